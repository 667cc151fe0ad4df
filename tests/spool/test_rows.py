"""Envelope to row and back; any change of a row is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.envelope import Envelope
from service.spool.rows import Row, from_row, to_row
from tests.spool.stores import envelope, fields

ASCII = st.text(st.characters(max_codepoint=127))


def stored(row: Row) -> list[object]:
    """As a connection with `text_factory = bytes` gives it."""
    return [value.encode() if isinstance(value, str) else value for value in row]


@given(st.builds(Envelope, ASCII, ASCII, ASCII, st.binary(), ASCII, st.floats(allow_nan=False)))
def test_there_and_back(event: Envelope) -> None:
    found = from_row(tuple(stored(to_row(event))))
    assert found is not None
    assert fields(found) == fields(event)


@given(st.integers(0, 7), st.data())
def test_a_flipped_bit_is_noticed(column: int, data: st.DataObject) -> None:
    row = stored(to_row(envelope(3)))
    value = row[column]
    if isinstance(value, bytes):
        at = data.draw(st.integers(0, len(value) * 8 - 1))
        changed = bytearray(value)
        changed[at // 8] ^= 1 << at % 8
        row[column] = bytes(changed)
    elif isinstance(value, int):
        row[column] = value ^ 1 << data.draw(st.integers(0, 31))
    else:
        row[column] = data.draw(st.floats().filter(lambda other: other != value))
    assert from_row(tuple(row)) is None


@pytest.mark.parametrize("column", range(8))
@pytest.mark.parametrize("value", [None, 1, 1.5, b"x", -1])
def test_a_value_of_another_type_is_noticed(column: int, value: object) -> None:
    row = stored(to_row(envelope(3)))
    row[column] = value
    assert from_row(tuple(row)) is None
