"""What another receiver wrote, or anybody else: read, or refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.correlate.shared import LONGEST_VALUE, decode
from tests.core.correlate.receivers import (
    ACTIVE,
    AT,
    CLIENT,
    KEY,
    MESSAGE_ID,
    NOW,
    QUEUE,
    correlator,
    delivery,
    end,
    fail,
    note,
)


def told() -> dict[str, Any]:
    here = correlator()
    note(here, CLIENT, MESSAGE_ID, ACTIVE)
    fail(here)
    value: dict[str, Any] = json.loads(here.exchange.export(KEY))
    return value


def is_refused(value: bytes) -> bool:
    try:
        decode(value)
    except ValueError:
        return True
    return False


class TestHostile:
    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b"{}",
            b"null",
            b"[]",
            b"\xff\xfe",
            b"[" * 100_000,
            b'{"v":2}',
            b'{"v":1,"records":["c\\nd"]}',
            b'{"v":1,"records":["a1;"]}',
            b'{"v":1,"records":["c\\ud800"]}',
            b'{"v":1,"begun":4294967296}',
            b'{"v":1,"begun":-1}',
            b'{"v":1,"activations":1e400}',
            b'{"v":1,"waiting":[[]]}',
            b" " * (LONGEST_VALUE + 1),
        ],
    )
    def test_is_refused(self, value: bytes) -> None:
        assert is_refused(value)

    @pytest.mark.parametrize(
        ("place", "wrong"),
        [
            (0, None),
            (0, "x" * 2000),
            (2, "now"),
            (2, 1e300),
            (3, -1),
            (4, 0),
            (4, 10**30),
            (4, 1.5),
            (5, 1),
            (9, ""),
            (11, 7),
            (12, "1.1.1"),
            (13, "a b"),
        ],
    )
    def test_a_recipient_with_a_wrong_value_is_refused(self, place: int, wrong: Any) -> None:
        value = told()
        value["waiting"][0][place] = wrong
        assert is_refused(json.dumps(value).encode())

    def test_a_begin_in_the_future_keeps_nobody_from_being_forgotten(self) -> None:
        here = correlator()
        value = told() | {"begun": 2**32 - 1}
        here.exchange.learn(KEY, decode(json.dumps(value).encode()), NOW)
        here.trim(NOW + 7 * 86_400)
        assert KEY not in here.memory.entries

    def test_later_versions_may_add_fields(self) -> None:
        assert decode(json.dumps(told() | {"more": [1]}).encode()).waiting

    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: st.lists(inner, max_size=17) | st.dictionaries(st.text(), inner),
            max_leaves=20,
        ),
        st.sampled_from(
            ["begun", "records", "activations", "ended", "ends", "waiting", "cut", "gone"]
        ),
    )
    def test_anything_is_refused_or_harmless(self, wrong: Any, name: str) -> None:
        here = correlator()
        try:
            shared = decode(json.dumps(told() | {name: wrong}).encode())
        except ValueError:
            return
        here.exchange.learn(KEY, shared, NOW)
        here.story(QUEUE, KEY)
        here.exchange.asked(KEY, NOW)
        here.exchange.export(KEY)
        note(here, ACTIVE)
        assert fail(here, AT + 1, "next") >= 1
        end(here, delivery(), AT + 2)
