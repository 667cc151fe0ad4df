from typing import Any

import pytest
from pydantic import ValidationError

from schemas import BouncedEvent, DeferredEvent, DeliveryEvent, Relay
from schemas.samples import example


@pytest.mark.parametrize("model", [DeferredEvent, BouncedEvent])
@pytest.mark.parametrize(
    "changes",
    [
        {"status": "SOFTBOUNCE"},
        {"status": "force-expired", "response": "", "recipient": None, "delays": None},
        {"relay": None, "remote_reply": None, "smtp_code": None},
        {"remote_reply": None, "tls": "dane", "delay": 0},
        {"attempt": None, "first_deferred_at": None},
    ],
)
def test_takes(model: type[DeliveryEvent], changes: dict[str, Any]) -> None:
    assert changes.items() <= dict(example(model, **changes)).items()


@pytest.mark.parametrize("model", [DeferredEvent, BouncedEvent])
@pytest.mark.parametrize(
    "changes",
    [
        {"queue_id": None},
        {"status": None},
        {"status": ""},
        {"delay": -1},
        {"delay": "soon"},
        {"delays": {"before_queue_manager": 1}},
        {"attempt": 0},
        {"remote_reply": {"host": "mx.example.com"}},
        {"remote_reply": {"text": "", "smtp_code": 1}},
        {"relay": {"host": None}},
    ],
)
def test_refuses(model: type[DeliveryEvent], changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        example(model, **changes)


def test_a_delivery_over_a_unix_socket() -> None:
    relay = Relay(host="mail.example.org", path="private/dovecot-lmtp")
    assert example(DeferredEvent, relay=relay).relay == relay


def test_a_notice_needs_a_queue_id() -> None:
    with pytest.raises(ValidationError):
        example(BouncedEvent, notice={"kind": "sender"})
