"""What is packed comes back, and nothing else is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.correlate.waiting import Waiting, pack, unpack

_TEXTS = st.text(max_size=30)
_OPTIONAL = st.none() | _TEXTS
waiting = st.builds(
    Waiting,
    recipient=_TEXTS,
    original_recipient=_OPTIONAL,
    first_deferred=st.floats(0, 4e9),
    last_deferred=st.floats(0, 4e9),
    attempts=st.integers(1, 2**31),
    is_counted=st.booleans(),
    activation=st.integers(0, 2**31),
    last_id=_TEXTS,
    arrived=st.none() | st.floats(0, 4e9),
    status=_TEXTS,
    response=_TEXTS,
    smtp_code=st.none() | st.integers(200, 599),
    enhanced_code=_OPTIONAL,
    category=_OPTIONAL,
    scope=_OPTIONAL,
    provider=_OPTIONAL,
    provider_code=_OPTIONAL,
)


@given(waiting)
def test_there_and_back(one: Waiting) -> None:
    packed = pack(one)
    assert unpack(packed) == one
    assert b"\n" not in packed


@pytest.mark.parametrize("packed", [b"", b"{}", b"[]", b"[1]", b"null", b"\xff", b"["])
def test_what_nobody_packed_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        unpack(packed)
