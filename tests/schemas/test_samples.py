"""Golden examples: whole, consistent in themselves, and about nobody real."""

import ipaddress
import json
import re
from base64 import b64decode

import pytest
from pydantic import ValidationError

from schemas import BouncedEvent, DeferredEvent, EventType, RejectEvent, encode
from schemas.codec import MODELS
from schemas.samples import example, example_bytes

OF_LINES = [kind for kind in EventType if kind is not EventType.ROLLUP]

DOCUMENTATION = [
    ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
]
ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
MAIL = re.compile(r"[\w.+-]+@([\w.-]+)")


@pytest.mark.parametrize("kind", EventType)
def test_an_example_is_what_encode_writes(kind: EventType) -> None:
    """All fields, in order, in the one form."""
    event = example(MODELS[kind])
    written = json.loads(encode(event))
    assert list(json.loads(example_bytes(kind)).items()) == list(written.items())


@pytest.mark.parametrize("kind", OF_LINES)
def test_an_example_names_nobody_real(kind: EventType) -> None:
    text = example_bytes(kind).decode()
    addresses = ADDRESS.findall(text)
    assert addresses
    for address in addresses:
        assert any(ipaddress.ip_address(address) in net for net in DOCUMENTATION), address
    for domain in MAIL.findall(text):
        assert domain.endswith(("example.org", "example.com", "example.net")), domain


@pytest.mark.parametrize("kind", OF_LINES)
def test_an_example_says_what_its_line_says(kind: EventType) -> None:
    fields = json.loads(example_bytes(kind))
    raw = fields["raw"]
    mta = fields["mta"]
    assert f" {mta['host']} {mta['service']}[{mta['pid']}]: " in raw
    assert f": {fields['queue_id'] or 'NOQUEUE'}: " in raw
    for name in ("sender", "recipient"):
        if fields[name] and kind is EventType.REJECT:
            assert f"<{fields[name]}>" in raw
    for name in ("response", "status", "original_recipient", "provider_code"):
        assert (fields.get(name) or "") in raw
    if fields["recipient"]:
        assert fields["recipient_domain"] == fields["recipient"].rpartition("@")[2].lower()
    assert fields["received_at"] > fields["event_time"]
    if kind is EventType.INVALID:
        assert b64decode(fields["raw_base64"]).decode() == raw


def test_the_codes_of_an_example_agree() -> None:
    for model in (RejectEvent, DeferredEvent, BouncedEvent):
        event = example(model)
        assert event.smtp_code is not None
        assert event.enhanced_code is not None
        permanent = event.severity == "permanent"
        assert str(event.smtp_code)[0] == event.enhanced_code[0] == ("5" if permanent else "4")


def test_changes_are_applied_and_validated() -> None:
    assert example(RejectEvent, recipient="x@example.org").recipient == "x@example.org"
    assert example(RejectEvent, recipient="x@example.org").helo == example(RejectEvent).helo
    with pytest.raises(ValidationError):
        example(RejectEvent, smtp_code=1)
    with pytest.raises(TypeError, match="RejectEvent has no colour, shape"):
        example(RejectEvent, shape="round", colour="red")


def test_only_event_types_have_examples() -> None:
    with pytest.raises(ValueError, match="EventType"):
        example_bytes("../../etc/passwd")
