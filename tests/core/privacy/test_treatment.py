"""A whole event: every field that holds something of somebody, and none that does not."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import pytest

import schemas
from schemas.samples import example
from service.core.privacy import Policy, Privacy, Treatment
from service.core.privacy.pseudonyms import Pseudonyms

HASH, DOMAIN, DROP, KEEP = Treatment.HASH, Treatment.DOMAIN, Treatment.DROP, Treatment.KEEP
KEY = b"k" * 32
PSEUDONYMS = Pseudonyms(KEY)
H = PSEUDONYMS.of
ALL = ("sender", "recipient", "client", "sasl_username", "message_id")
E = TypeVar("E", bound=schemas.EventBase)

CLIENT = schemas.Client(name="dsl.example.net", ip="192.0.2.66", port=4711)
REJECT = example(
    schemas.RejectEvent,
    sender="anna@a.example",
    recipient="bob@B.example",
    recipient_domain="b.example",
    response="554 5.7.1 <bob@b.example>: from anna@a.example [192.0.2.66] eve@e.example",
    client=CLIENT,
    helo="dsl.example.net",
    sasl_username="anna",
    sasl_sender="anna@a.example",
    content="Subject: to bob@b.example",
    dnsbl="66.2.0.192.bl.example",
    raw="the line with bob@b.example",
    message=schemas.Message(
        message_id="1@laptop.example", sender="anna@a.example", client=CLIENT, sasl_username="anna"
    ),
)
BOUNCED = example(
    schemas.BouncedEvent,
    recipient="bob@b.example",
    recipient_domain="b.example",
    original_recipient="robert@b.example",
    response="host mx.b.example[198.51.100.1] said: 550 <bob@b.example> unknown",
    relay=schemas.Relay(host="mx.b.example", ip="198.51.100.1", port=25),
    remote_reply=schemas.RemoteReply(
        host="mx.b.example",
        ip="198.51.100.1",
        text="550 <bob@b.example> unknown",
        command="RCPT TO",
    ),
    raw="the line",
    message=None,
)


def treated(event: E, **wished: Any) -> E:
    policy = Policy(**{"keeps_raw": False, "key": KEY, **wished})
    found = Privacy(policy).treat([event])
    (only,) = found
    assert type(only) is type(event), "no dead letter"
    assert schemas.decode(schemas.encode(only)) == only
    return cast(E, only)


def test_all_hashed() -> None:
    event = treated(REJECT, **dict.fromkeys(ALL, HASH))
    anna, bob = f"{H('anna@a.example')}@a.example", f"{H('bob@b.example')}@b.example"
    ip, name = H("192.0.2.66"), H("dsl.example.net")
    assert event.sender == event.sasl_sender == anna
    assert event.recipient == bob
    assert event.recipient_domain == "b.example"
    assert event.client == schemas.Client(name=name, ip=ip)
    assert event.helo == name
    assert event.sasl_username == H("anna")
    assert event.response == (
        f"554 5.7.1 <{bob}>: from {anna} [{ip}] {H('eve@e.example')}@e.example"
    )
    assert event.content == f"Subject: to {bob}"
    assert event.dnsbl == f"{ip}.bl.example"
    assert event.raw is None
    assert event.message == schemas.Message(
        message_id=H("1@laptop.example"),
        sender=anna,
        client=schemas.Client(name=name, ip=ip),
        sasl_username=H("anna"),
    )


def test_only_domains() -> None:
    event = treated(REJECT, **dict.fromkeys(ALL, DOMAIN))
    assert (event.sender, event.recipient) == ("a.example", "b.example")
    assert event.client == schemas.Client(name="example.net", ip="192.0.2.0/24")
    assert event.helo == "example.net"
    assert event.sasl_username is None
    assert event.response == "554 5.7.1 <b.example>: from a.example [192.0.2.0/24] e.example"
    assert event.message is not None
    assert event.message.message_id == "laptop.example"


def test_all_dropped() -> None:
    event = treated(REJECT, **dict.fromkeys(ALL, DROP))
    assert (event.sender, event.recipient, event.client, event.helo) == (None,) * 4
    assert (event.recipient_domain, event.sasl_username, event.sasl_sender) == (None,) * 3
    assert event.response == "554 5.7.1 <*>: from * [*] *"
    assert event.message is not None
    message = event.message
    assert (message.client, message.sender, message.message_id) == (None,) * 3


@pytest.mark.parametrize("kept", ALL)
def test_one_kind_alone_is_kept(kept: str) -> None:
    """And all others: what is kept is as logged."""
    event = treated(REJECT, **dict.fromkeys(set(ALL) - {kept}, DROP))
    assert event.message is not None
    assert REJECT.message is not None
    found = {
        "sender": (event.sender, event.sasl_sender, event.message.sender),
        "recipient": (event.recipient, event.recipient_domain),
        "client": (event.client, event.helo, event.message.client),
        "sasl_username": (event.sasl_username, event.message.sasl_username),
        "message_id": (event.message.message_id,),
    }
    logged = {
        "sender": ("anna@a.example",) * 3,
        "recipient": ("bob@B.example", "b.example"),
        "client": (CLIENT, "dsl.example.net", CLIENT),
        "sasl_username": ("anna",) * 2,
        "message_id": ("1@laptop.example",),
    }
    for name, values in found.items():
        assert values == (logged[name] if name == kept else (None,) * len(values))


def test_texts_dropped_and_a_server_that_looks_like_somebody() -> None:
    reply = schemas.RemoteReply(host="bob@b.example", text="bob@b.example")
    odd = BOUNCED.model_copy(update={"remote_reply": reply})
    event = treated(odd, keeps_response=False, recipient=DROP)
    assert event.remote_reply == schemas.RemoteReply(host="*", text="")


def test_a_delivery() -> None:
    event = treated(BOUNCED, recipient=HASH, client=HASH)
    bob = f"{H('bob@b.example')}@b.example"
    assert event.recipient == bob
    assert event.original_recipient == f"{H('robert@b.example')}@b.example"
    assert event.response == f"host mx.b.example[198.51.100.1] said: 550 <{bob}> unknown"
    assert event.relay == BOUNCED.relay, "servers are nobody's"
    assert event.remote_reply is not None
    assert event.remote_reply.text == f"550 <{bob}> unknown"
    assert event.remote_reply.command == "RCPT TO"
    assert event.remote_reply.host == "mx.b.example"
    assert event.message is None


def test_a_resolved_recipient() -> None:
    event = treated(
        example(schemas.ResolvedEvent, recipient="bob@b.example", recipient_domain="b.example"),
        recipient=DOMAIN,
    )
    assert event.recipient == "b.example"


def test_texts_dropped_as_a_whole() -> None:
    event = treated(REJECT, keeps_response=False, keeps_content=False)
    assert event.response is event.content is None
    assert event.sender == "anna@a.example"
    bounced = treated(BOUNCED, keeps_response=False, recipient=HASH)
    assert bounced.response is None
    assert bounced.remote_reply is not None
    assert bounced.remote_reply.text == ""
    assert bounced.remote_reply.command is None
    assert bounced.remote_reply.host == "mx.b.example"


def test_only_the_line_dropped() -> None:
    event = treated(REJECT, key=None)
    assert event == REJECT.model_copy(update={"raw": None})


def test_an_address_in_two_roles_is_treated_as_the_stricter() -> None:
    to_herself = REJECT.model_copy(update={"sender": "Bob@b.example", "message": None})
    event = treated(to_herself, recipient=DROP)
    assert event.sender is None
    verp = REJECT.model_copy(update={"sender": "l-bob=b.example@l.example", "message": None})
    assert treated(verp, recipient=HASH).sender == f"{H('l-bob=b.example@l.example')}@l.example"


def test_a_message_id_that_holds_an_address() -> None:
    message = schemas.Message(message_id="20261122.bob@b.example")
    event = treated(REJECT.model_copy(update={"message": message}), recipient=HASH)
    assert event.message is not None
    assert event.message.message_id == H("20261122.bob@b.example")


def test_the_null_sender_stays_a_null_sender() -> None:
    null = REJECT.model_copy(update={"sender": "", "message": None})
    assert treated(null, sender=HASH).sender == ""
    assert treated(null, sender=DOMAIN).sender == ""
    assert treated(null, sender=DROP).sender is None


def test_an_address_literal_is_the_clients() -> None:
    literal = REJECT.model_copy(
        update={
            "recipient": "x@[192.0.2.66]",
            "recipient_domain": "[192.0.2.66]",
            "sender": "y@[192.0.2.66]",
        }
    )
    event = treated(literal, client=HASH)
    assert event.recipient == f"x@[{H('192.0.2.66')}]"
    assert event.recipient_domain is None
    assert treated(literal, client=DROP).sender == "y@[*]"


@pytest.mark.parametrize("field", ["helo", "stage", "protocol", "sasl_method", "dnsbl"])
def test_an_address_where_none_should_be(field: str) -> None:
    odd = REJECT.model_copy(update={field: "bob@b.example"})
    assert getattr(treated(odd, recipient=DROP), field) == "*"


def test_an_address_where_a_server_should_be() -> None:
    odd = BOUNCED.model_copy(
        update={
            "relay": schemas.Relay(host="bob@b.example", path="x/bob@b.example"),
            "remote_reply": schemas.RemoteReply(host="bob@b.example", text="", command="bob"),
            "tls": "bob@b.example",
        }
    )
    event = treated(odd, recipient=DROP)
    assert event.relay == schemas.Relay(host="*", path="x/*")
    assert event.remote_reply == schemas.RemoteReply(host="*", text="", command="*")
    assert event.tls == "*"


def test_a_client_name_with_an_address_in_it() -> None:
    odd = REJECT.model_copy(update={"client": schemas.Client(name="bob@b.example", ip=None)})
    assert treated(odd, recipient=DROP).client == schemas.Client(name="*")
    nameless = REJECT.model_copy(update={"client": schemas.Client(), "helo": None})
    assert treated(nameless, client=HASH).client == schemas.Client()


def test_a_dead_letter_is_reduced_to_its_shape() -> None:
    line = b"<22>Aug 22 10:00:00 mx1 postfix/smtpd[7]: 4ABCDE12F: reject: bob@b.example\xff"
    invalid = example(
        schemas.InvalidEvent,
        raw=line.decode("utf-8", "replace"),
        raw_base64=b64encode(line).decode(),
        queue_id="4ABCDE12F",
        detail="about bob@b.example",
        mta=schemas.Mta(host="mx1", service="postfix/smtpd", transport="tcp"),
    )
    event = treated(invalid, recipient=HASH)
    assert event.raw is None
    assert event.raw_bytes.decode() == (
        "<0>x 0 0:0:0 mx1 postfix/smtpd[0]: 4ABCDE12F: reject: x@x.x\ufffd"
    )
    assert event.detail == f"about {H('bob@b.example')}@b.example"
    assert event.mta == invalid.mta
    bare = invalid.model_copy(
        update={"queue_id": None, "mta": schemas.Mta(host="", transport="udp")}
    )
    assert b"xABCDE" not in treated(bare, recipient=HASH).raw_bytes


def test_no_field_is_forgotten() -> None:
    """A new field of text is either treated or nobody's: say which, here and in the treatment."""
    treated_fields = {
        *("sender", "recipient", "recipient_domain", "original_recipient", "sasl_sender"),
        *("sasl_username", "client", "helo", "message", "response", "content", "dnsbl", "detail"),
        *("provider_code", "tls", "stage", "protocol", "sasl_method", "remote_reply", "relay"),
        *("raw", "raw_base64", "event_id"),
    }
    nobodys = {
        *("schema_version", "event_type", "event_time", "received_at", "time_quality", "mta"),
        *("queue_id", "smtp_code", "enhanced_code", "severity", "category", "scope", "provider"),
        *("truncated", "action", "status", "delay", "delays", "attempt", "attempts"),
        *("first_deferred_at", "notice", "backscatter_risk", "outcome", "age", "reason"),
        *("receiver", "period", "counts"),
    }
    fields = {name for model in schemas.codec.MODELS.values() for name in model.model_fields}
    assert fields == treated_fields | nobodys
    assert schemas.Message.model_fields.keys() == {
        *("message_id", "sender", "client", "sasl_username"),
        *("size", "recipients", "queued_at", "origin_queue_id", "context"),
    }
    assert schemas.Client.model_fields.keys() == {"name", "ip", "port"}
    assert schemas.Relay.model_fields.keys() == {"host", "ip", "port", "path"}
    assert schemas.RemoteReply.model_fields.keys() == {
        *("host", "ip", "smtp_code", "enhanced_code", "text", "command")
    }


class TestIds:
    def test_with_a_key_nobody_can_try_out_lines(self) -> None:
        event = treated(REJECT, recipient=HASH)
        assert event.event_id == PSEUDONYMS.of_event_id(REJECT.event_id) != REJECT.event_id
        assert treated(REJECT, recipient=HASH).event_id == event.event_id

    def test_without_one_they_stay(self) -> None:
        assert treated(REJECT, recipient=DROP, key=None).event_id == REJECT.event_id


@pytest.mark.parametrize("key", [KEY, None])
def test_what_cannot_be_treated_is_not_shown(key: bytes | None) -> None:
    """What must never happen: a defect of ours."""
    broken = REJECT.model_copy(update={"response": 5})
    found = Privacy(Policy(recipient=DROP, keeps_raw=False, key=key)).treat([broken])
    (event,) = found
    assert isinstance(event, schemas.InvalidEvent)
    assert event.reason == "privacy_failed"
    assert event.detail == "AttributeError", "and not its text"
    assert event.raw_base64 == ""
    assert event.event_time == datetime.fromisoformat(REJECT.event_time.isoformat()).astimezone(UTC)
    assert (event.event_id == REJECT.event_id) is (key is None)
    assert b"b.example" not in schemas.encode(event)
