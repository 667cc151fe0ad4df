from typing import Any

import pytest
from pydantic import ValidationError

from schemas import RejectEvent
from schemas.samples import example


@pytest.mark.parametrize(
    "changes",
    [
        *({"action": action} for action in ["reject", "proxy-reject", "milter-header-reject"]),
        *({"stage": stage} for stage in ["CONNECT", "END-OF-MESSAGE", "BDAT content", "header"]),
        {"client": None},
        {"client": {"name": None, "ip": None}},
        {"helo": "\x00<script>"},
        {"content": ""},
    ],
)
def test_takes(changes: dict[str, Any]) -> None:
    event = example(RejectEvent, **changes).model_dump()
    for name, value in changes.items():
        assert event[name] == ({"port": None, **value} if isinstance(value, dict) else value)


@pytest.mark.parametrize(
    "changes",
    [
        {"action": ""},
        {"action": "Reject"},
        {"action": "reject: RCPT"},
        {"action": "a" * 65},
        {"action": None},
        {"stage": ""},
        {"stage": "x" * 65},
        {"client": {"name": None, "ip": None, "port": 65_536}},
    ],
)
def test_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        example(RejectEvent, **changes)
