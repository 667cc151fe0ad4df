"""What a real Postfix cannot deliver, for now or for good, from the attempt to the event."""

import pytest

from schemas import Event
from schemas.delivery import BouncedEvent, DeferredEvent
from tests.e2e.expected import Fields, bounced, deferred, relay, remote_reply, said
from tests.e2e.mail_site import MailSite
from tests.e2e.next_hop import AT_END_OF_DATA, AT_RCPT, LONG
from tests.e2e.smtp_client import connected

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]

SENDER = "a@next.example"
"""The notices of these bounces are delivered, so that they are no events themselves."""


async def queued(site: MailSite, *recipients: str, sender: str = SENDER) -> str:
    """Hand a message in; returns its queue id."""
    async with connected(site.postfix.ports["open"]) as session:
        return await session.send(sender, *recipients)


def check(event: Event, wanted: Fields) -> None:
    """Delays are Postfix's own measurements: checked to be there and to make sense."""
    wanted = {name: value for name, value in wanted.items() if name not in ("delay", "delays")}
    wanted["sender"] = SENDER  # other lines tell it
    assert said(event, wanted) == wanted
    assert isinstance(event, DeferredEvent | BouncedEvent)
    assert event.attempt == 1
    assert event.delay is not None
    assert event.delays is not None
    total = sum(event.delays.model_dump().values())
    assert event.delay == pytest.approx(total, abs=0.2)


@pytest.mark.parametrize(
    ("name", "command", "codes"),
    [
        ("unknown", "RCPT TO", (550, "5.1.1", "5.1.1")),
        ("moved", "RCPT TO", (550, "5.1.6", "5.1.6")),
        ("bare", "RCPT TO", (550, None, "5.0.0")),
        ("quota", "RCPT TO", (552, "5.2.2", "5.2.2")),
        ("spam", "end of DATA", (554, "5.7.1", "5.7.1")),
        ("busy", "RCPT TO", (450, "4.2.1", "4.2.1")),
        ("hostile", "RCPT TO", (450, "4.2.0", "4.2.0")),
    ],
)
async def test_the_next_hop_refuses(
    site: MailSite, name: str, command: str, codes: tuple[int, str | None, str]
) -> None:
    smtp_code, enhanced_code, dsn = codes
    recipient = f"{name}+refused@next.example"
    queue_id = await queued(site, recipient)
    text = " ".join({**AT_RCPT, **AT_END_OF_DATA}[name])
    port = await _next_hop_port(site, recipient)
    (event,) = await site.events(recipient, 1)
    kind = bounced if smtp_code >= 500 else deferred
    said_by = "host 127.0.0.1[127.0.0.1] said: "
    check(
        event,
        kind(
            queue_id=queue_id,
            recipient=recipient,
            smtp_code=smtp_code,
            enhanced_code=dsn,
            response=f"{said_by}{text} (in reply to {command} command)",
            relay=relay("127.0.0.1", "127.0.0.1", port),
            remote_reply=remote_reply(
                "127.0.0.1", "127.0.0.1", smtp_code, enhanced_code, text, command
            ),
        ),
    )
    assert event.mta.daemon == "smtp"


async def test_each_recipient_is_an_event(site: MailSite) -> None:
    good, bad = "ok+several@next.example", "unknown+several@next.example"
    later = "busy+several@next.example"
    queue_id = await queued(site, good, bad, later)
    events = await site.events("+several@", 2)
    assert {(event.event_type, event.recipient) for event in events} == {
        ("bounced", bad),
        ("deferred", later),
    }
    assert {event.queue_id for event in events} == {queue_id}


async def test_a_reply_longer_than_postfix_logs(site: MailSite) -> None:
    recipient = "long+reply@next.example"
    queue_id = await queued(site, recipient)
    (event,) = await site.events(recipient, 1)
    response = f"host 127.0.0.1[127.0.0.1] said: {LONG}"
    assert isinstance(event, BouncedEvent)
    assert event.queue_id == queue_id
    assert event.truncated
    assert event.response
    assert response.startswith(event.response)
    assert event.remote_reply is not None
    assert event.remote_reply.text == event.response.partition(" said: ")[2]
    assert (event.smtp_code, event.remote_reply.command) == (550, None)


async def test_the_address_before_aliasing(site: MailSite) -> None:
    queue_id = await queued(site, "alias@virtual.example")
    (event,) = await site.events("unknown+alias@next.example", 1)
    assert said(event, {"queue_id": "", "original_recipient": "", "recipient": ""}) == {
        "queue_id": queue_id,
        "original_recipient": "alias@virtual.example",
        "recipient": "unknown+alias@next.example",
    }


async def test_soft_bounce(site: MailSite) -> None:
    recipient = "unknown+soft@soft.example"
    queue_id = await queued(site, recipient)
    port = await _next_hop_port(site, recipient)
    (event,) = await site.events(recipient, 1)
    text = AT_RCPT["unknown"][0]
    check(
        event,
        deferred(
            queue_id=queue_id,
            status="SOFTBOUNCE",
            recipient=recipient,
            smtp_code=550,
            enhanced_code="4.1.1",
            response=f"host 127.0.0.1[127.0.0.1] said: {text} (in reply to RCPT TO command)",
            relay=relay("127.0.0.1", "127.0.0.1", port),
            remote_reply=remote_reply("127.0.0.1", "127.0.0.1", 550, "5.1.1", text, "RCPT TO"),
        ),
    )


async def test_connection_refused_and_then_suspended(site: MailSite) -> None:
    first, second = "first@closed.example", "second@closed.example"
    first_id = await queued(site, first)
    (refused,) = await site.events(first, 1)
    second_id = await queued(site, second)
    (suspended,) = await site.events(second, 1)
    assert refused.response
    assert refused.response.endswith(": Connection refused")
    assert refused.response.startswith("connect to 127.0.0.1[127.0.0.1]:")
    check(
        refused,
        deferred(
            queue_id=first_id,
            recipient=first,
            enhanced_code="4.4.1",
            response=refused.response,
            category="connection",
        ),
    )
    check(
        suspended,
        deferred(
            queue_id=second_id,
            recipient=second,
            enhanced_code="4.4.1",
            response=f"delivery temporarily suspended: {refused.response}",
            category="connection",
        ),
    )
    assert (refused.mta.daemon, suspended.mta.daemon) == ("smtp", "error")


async def test_a_server_that_refuses_to_talk(site: MailSite) -> None:
    recipient = "somebody@refusing.example"
    queue_id = await queued(site, recipient)
    (event,) = await site.events(recipient, 1)
    text = "554 5.7.1 we do not talk to you"
    assert isinstance(event, DeferredEvent)
    assert event.relay is not None
    check(
        event,
        deferred(
            queue_id=queue_id,
            recipient=recipient,
            smtp_code=554,
            enhanced_code="4.7.1",
            response=f"host 127.0.0.1[127.0.0.1] refused to talk to me: {text}",
            relay=relay("127.0.0.1", "127.0.0.1", event.relay.port),
            remote_reply=remote_reply("127.0.0.1", "127.0.0.1", 554, "5.7.1", text, None),
        ),
    )


async def test_a_server_that_closes(site: MailSite) -> None:
    recipient = "closing+case@closing.example"
    queue_id = await queued(site, recipient)
    port = await _next_hop_port(site, recipient)
    (event,) = await site.events(recipient, 1)
    text = AT_RCPT["closing"][0]
    check(
        event,
        deferred(
            queue_id=queue_id,
            recipient=recipient,
            smtp_code=421,
            enhanced_code="4.3.2",
            response=f"host 127.0.0.1[127.0.0.1] said: {text} (in reply to RCPT TO command)",
            relay=relay("127.0.0.1", "127.0.0.1", port),
            remote_reply=remote_reply("127.0.0.1", "127.0.0.1", 421, "4.3.2", text, "RCPT TO"),
        ),
    )


async def test_a_connection_that_breaks(site: MailSite) -> None:
    recipient = "dropped+case@dropped.example"
    queue_id = await queued(site, recipient)
    port = await _next_hop_port(site, recipient)
    (event,) = await site.events(recipient, 1)
    check(
        event,
        deferred(
            queue_id=queue_id,
            recipient=recipient,
            enhanced_code="4.4.2",
            response="lost connection with 127.0.0.1[127.0.0.1] while sending RCPT TO",
            relay=relay("127.0.0.1", "127.0.0.1", port),
            category="connection",
        ),
    )


async def test_unknown_local_user(site: MailSite) -> None:
    recipient = "nobody+delivery@local.example"
    queue_id = await queued(site, recipient)
    (event,) = await site.events(recipient, 1)
    check(
        event,
        bounced(
            queue_id=queue_id,
            recipient=recipient,
            enhanced_code="5.1.1",
            response='unknown user: "nobody+delivery"',
            relay=relay("local"),
            category="unknown_user",
        ),
    )


async def test_unknown_virtual_user(site: MailSite) -> None:
    recipient = "nobody+delivery@virtual.example"
    queue_id = await queued(site, recipient)
    (event,) = await site.events(recipient, 1)
    check(
        event,
        bounced(
            queue_id=queue_id,
            recipient=recipient,
            enhanced_code="5.1.1",
            response=f'unknown user: "{recipient}"',
            relay=relay("virtual"),
            category="unknown_user",
        ),
    )


async def test_a_program_that_refuses_with_a_text_that_lies(site: MailSite) -> None:
    recipient = "pipe-case@piped.example"
    queue_id = await queued(site, recipient)
    (event,) = await site.events(recipient, 1)
    check(
        event,
        bounced(
            queue_id=queue_id,
            recipient=recipient,
            enhanced_code="5.1.1",
            response="user unknown. Command output: no such user: to=<x@y>, status=sent (250"
            " 2.0.0 Ok) ",
            relay=relay("piped"),
            category="unknown_user",
        ),
    )


async def test_a_domain_that_a_table_refuses(site: MailSite) -> None:
    recipient = "error-case@gone.example"
    queue_id = await queued(site, recipient)
    (event,) = await site.events(recipient, 1)
    check(
        event,
        bounced(
            queue_id=queue_id,
            recipient=recipient,
            enhanced_code="5.1.2",
            response="this domain is gone; status=sent",
        ),
    )


async def test_a_bounce_of_the_null_sender_has_no_notice(site: MailSite) -> None:
    recipient = "unknown+null-sender@next.example"
    queue_id = await queued(site, recipient, sender="")
    (event,) = await site.events(recipient, 1)
    assert (event.event_type, event.queue_id) == ("bounced", queue_id)


async def _next_hop_port(site: MailSite, recipient: str) -> int:
    """The port is in Postfix's own line; what must agree is what the event makes of it."""
    line = await site.logged(f"to=<{recipient}>", "status=")
    return int(line.partition("relay=127.0.0.1[127.0.0.1]:")[2].partition(",")[0])
