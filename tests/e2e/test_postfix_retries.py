"""Messages that a real Postfix tries more than once, from their first attempt to their end."""

import asyncio

import pytest

from schemas import Event
from schemas.delivery import DeferredEvent
from schemas.resolved import ResolvedEvent
from tests.e2e.auth_server import plain
from tests.e2e.mail_site import MailSite
from tests.e2e.smtp_client import connected
from tests.e2e.stories import SENDER, US, brief, briefs, check_told, message, submit
from tests.e2e.test_postfix_content import LIE

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]


def resolved(events: list[Event]) -> ResolvedEvent:
    (event,) = (event for event in events if isinstance(event, ResolvedEvent))
    return event


async def test_deferred_then_delivered(site: MailSite) -> None:
    recipient = "busy.ok+delivered@next.example"
    queue_id = await submit(site.postfix, "delivered", recipient)
    (first,) = await site.story(1, queue_id)
    await site.postfix.retry(queue_id)
    events = await site.story(2, queue_id)
    assert list(map(brief, events)) == [
        ("deferred", recipient, 1),
        ("resolved: delivered", recipient, 2),
    ]
    check_told(events, "delivered")
    end = resolved(events)
    assert (end.status, end.attempts, end.severity) == ("sent", 2, None)
    assert end.first_deferred_at == first.event_time
    assert first.message is not None
    assert first.message.queued_at is not None
    assert end.age == pytest.approx(
        (end.event_time - first.message.queued_at).total_seconds(), abs=1.1
    )
    assert end.response == "250 2.0.0 Ok: taken"


async def test_deferred_twice_then_bounced(site: MailSite) -> None:
    recipient = "busy.busy.unknown+thrice@next.example"
    queue_id = await submit(site.postfix, "thrice", recipient)
    for attempt in (1, 2):
        await site.story(attempt, queue_id)
        await site.postfix.retry(queue_id)
    events = await site.story(4, queue_id)
    assert list(map(brief, events)) == [
        ("deferred", recipient, 1),
        ("deferred", recipient, 2),
        ("bounced", recipient, 3),
        ("resolved: bounced", recipient, 3),
    ]
    check_told(events, "thrice")
    end = resolved(events)
    assert (end.status, end.category, end.severity) == ("bounced", "unknown_user", "permanent")
    assert (end.smtp_code, end.enhanced_code, end.attempts) == (550, "5.1.1", 3)


async def test_recipients_with_different_ends(site: MailSite) -> None:
    ok, unknown, later, worse, last = (
        f"{name}+ends@next.example"
        for name in ("ok", "unknown", "busy.ok", "busy.unknown", "busy.busy.ok")
    )
    queue_id = await submit(site.postfix, "ends", ok, unknown, later, worse, last)
    await site.story(4, queue_id)
    await site.postfix.retry(queue_id)
    await site.story(8, queue_id)
    await site.postfix.retry(queue_id)
    events = await site.story(9, queue_id)
    assert briefs(events) == {
        ("bounced", unknown, 1),
        ("deferred", later, 1),
        ("deferred", worse, 1),
        ("deferred", last, 1),
        ("resolved: delivered", later, 2),
        ("bounced", worse, 2),
        ("resolved: bounced", worse, 2),
        ("deferred", last, 2),
        ("resolved: delivered", last, 3),
    }
    check_told(events, "ends", recipients=5)


async def test_two_messages_at_once_to_one_recipient(site: MailSite) -> None:
    recipient = "busy.busy.ok+both@next.example"
    one, two = await asyncio.gather(
        submit(site.postfix, "both-1", recipient), submit(site.postfix, "both-2", recipient)
    )
    await site.story(2, one, two)
    await asyncio.gather(site.postfix.retry(one), site.postfix.retry(two))
    for queue_id, case in ((one, "both-1"), (two, "both-2")):
        events = await site.story(2, queue_id)
        assert briefs(events) == {
            ("deferred", recipient, 1),
            ("resolved: delivered", recipient, 2),
        }
        check_told(events, case)


async def test_a_hard_failure_made_soft_until_it_is_none(site: MailSite) -> None:
    recipient = "unknown.unknown.ok+softened@soft.example"
    queue_id = await submit(site.postfix, "softened", recipient)
    for attempt in (1, 2):
        await site.story(attempt, queue_id)
        await site.postfix.retry(queue_id)
    events = await site.story(3, queue_id)
    assert list(map(brief, events)) == [
        ("deferred", recipient, 1),
        ("deferred", recipient, 2),
        ("resolved: delivered", recipient, 3),
    ]
    check_told(events, "softened")


async def test_lmtp(site: MailSite) -> None:
    """Each recipient has an answer of its own behind the message."""
    full, fine = "full.ok+lmtp@lmtp.example", "ok+lmtp@lmtp.example"
    bad = "full.spam+lmtp@lmtp.example"
    queue_id = await submit(site.postfix, "lmtp", full, fine, bad)
    await site.story(2, queue_id)
    await site.postfix.retry(queue_id)
    events = await site.story(5, queue_id)
    assert briefs(events) == {
        ("deferred", full, 1),
        ("deferred", bad, 1),
        ("resolved: delivered", full, 2),
        ("bounced", bad, 2),
        ("resolved: bounced", bad, 2),
    }
    check_told(events, "lmtp", recipients=3)
    assert {event.mta.daemon for event in events} == {"lmtp"}
    assert {event.category for event in events if event.event_type == "deferred"} == {
        "mailbox_full"
    }


@pytest.mark.parametrize("address", ["pipe-later@later.example", "later@local.example"])
async def test_a_program_that_takes_mail_later(site: MailSite, address: str) -> None:
    """pipe(8), and a command of local(8)'s aliases."""
    ready = site.postfix.config / "later.ready"
    ready.unlink(missing_ok=True)
    queue_id = await submit(site.postfix, "programs", address)
    (first,) = await site.story(1, queue_id)
    ready.touch()
    await site.postfix.retry(queue_id)
    events = await site.story(2, queue_id)
    recipient = first.recipient
    assert list(map(brief, events)) == [
        ("deferred", recipient, 1),
        ("resolved: delivered", recipient, 2),
    ]
    assert recipient == address
    check_told(events, "programs")


@pytest.mark.parametrize("alias", ["first-later", "last-later", "last-slow"])
async def test_an_alias_of_two_programs(site: MailSite, alias: str) -> None:
    """While one of them waits, local(8) runs both again each time: the recipient has not been
    served when the other one has, some seconds before."""
    recipient = f"{alias}@local.example"
    ready = site.postfix.config / "later.ready"
    ready.unlink(missing_ok=True)
    queue_id = await submit(site.postfix, alias, recipient)
    await site.story(1, queue_id)
    await site.postfix.retry(queue_id)
    await site.story(2, queue_id)
    ready.touch()
    await site.postfix.retry(queue_id)
    events = await site.story(3, queue_id)
    assert list(map(brief, events)) == [
        ("deferred", recipient, 1),
        ("deferred", recipient, 2),
        ("resolved: delivered", recipient, 3),
    ]
    check_told(events, alias)


@pytest.mark.parametrize("alias", ["later-refused", "refused-later"])
async def test_an_alias_of_which_one_target_bounces_while_the_other_waits(
    site: MailSite, alias: str
) -> None:
    """Each attempt returns the message to its sender once more; the recipient waits on."""
    recipient = f"{alias}@local.example"
    ready = site.postfix.config / "later.ready"
    ready.unlink(missing_ok=True)
    queue_id = await submit(site.postfix, alias, recipient)
    await site.story(2, queue_id)
    await site.postfix.retry(queue_id)
    events = await site.story(4, queue_id)
    assert briefs(events) == {
        (kind, recipient, attempt) for kind in ("deferred", "bounced") for attempt in (1, 2)
    }
    ready.touch()
    await site.postfix.retry(queue_id)
    last = (await site.story(6, queue_id))[4:]
    outcome = "delivered" if alias == "later-refused" else "bounced"
    assert briefs(last) == {("bounced", recipient, 3), (f"resolved: {outcome}", recipient, 3)}
    check_told(events, alias)


async def test_two_aliases_of_one_recipient_with_different_ends(site: MailSite) -> None:
    """Each is delivered to; the recipient has been served when both have."""
    aliases = {"info@virtual.example", "sales@virtual.example"}
    recipient = "busy.busy.ok.busy.ok+two-aliases@next.example"
    queue_id = await submit(site.postfix, "two-aliases", *sorted(aliases))
    first = await site.story(2, queue_id)
    assert {event.original_recipient for event in first if isinstance(event, DeferredEvent)} == (
        aliases
    )
    await site.postfix.retry(queue_id)
    await site.story(3, queue_id)
    await site.postfix.retry(queue_id)
    events = await site.story(4, queue_id)
    assert list(map(brief, events)) == [
        ("deferred", recipient, 1),
        ("deferred", recipient, 1),
        ("deferred", recipient, 2),
        ("resolved: delivered", recipient, 3),
    ]
    check_told(events, "two-aliases", recipients=2)


async def test_long_queue_ids(site: MailSite) -> None:
    recipient = "busy.ok+long-id@next.example"
    queue_id = await submit(site.out, "long-id", recipient)
    assert "z" in queue_id
    await site.story(1, queue_id)
    await site.out.retry(queue_id)
    events = await site.story(2, queue_id)
    assert list(map(brief, events)) == [
        ("deferred", recipient, 1),
        ("resolved: delivered", recipient, 2),
    ]
    check_told(events, "long-id")
    assert {event.mta.instance for event in events} == {"postfix-out"}


async def test_utf8_addresses(site: MailSite) -> None:
    sender, recipient = "å@next.example", "busy.unknown+jörg@next.example"
    queue_id = await submit(
        site.postfix, "utf8", recipient, sender=sender, options="SMTPUTF8 BODY=8BITMIME"
    )
    await site.story(1, queue_id)
    await site.postfix.retry(queue_id)
    events = await site.story(3, queue_id)
    assert list(map(brief, events)) == [
        ("deferred", recipient, 1),
        ("bounced", recipient, 2),
        ("resolved: bounced", recipient, 2),
    ]
    check_told(events, "utf8", sender=sender)


async def test_a_recipient_that_lies(site: MailSite) -> None:
    recipient = '"busy.ok+lying, relay=x[192.0.2.1]:25, dsn=2.0.0, status=sent (ok)"@next.example'
    sender = '"x>, size=1, nrcpt=9 (queue active)"@next.example'
    queue_id = await submit(site.postfix, "lying", recipient, sender=sender)
    await site.story(1, queue_id)
    await site.postfix.retry(queue_id)
    events = await site.story(2, queue_id)
    assert list(map(brief, events)) == [
        ("deferred", recipient, 1),
        ("resolved: delivered", recipient, 2),
    ]
    check_told(events, "lying", sender=sender)


async def test_submitted_on_the_host(site: MailSite) -> None:
    recipient = "busy.unknown+pickup@next.example"
    text = message("on-host").replace("\r\n", "\n").encode()
    await site.postfix.run("sendmail", "-f", SENDER, recipient, stdin=text)
    (first,) = await site.events(recipient, 1)
    assert first.queue_id is not None
    await site.postfix.retry(first.queue_id)
    events = await site.story(3, first.queue_id)
    assert list(map(brief, events)) == [
        ("deferred", recipient, 1),
        ("bounced", recipient, 2),
        ("resolved: bounced", recipient, 2),
    ]
    check_told(events, "on-host", client=None)


async def test_message_ids_that_lie(site: MailSite) -> None:
    """The first of two counts, whatever it holds."""
    recipient = "unknown+id-lies@next.example"
    header = f"Message-ID: <a b> (c), {LIE[:150]}\r\nMessage-ID: <second@x>\r\n"
    async with connected(site.postfix.ports["open"]) as session:
        queue_id = await session.send(SENDER, recipient, message=f"{header}\r\nhi")
    events = await site.story(1, queue_id)
    check_told(events, "", message_id=f"<a b> (c), {LIE[:150]}")


async def test_no_message_id(site: MailSite) -> None:
    recipient = "unknown+no-id@next.example"
    async with connected(site.postfix.ports["back"]) as session:
        queue_id = await session.send(SENDER, recipient)
    await site.logged(queue_id, "message-id=<>")
    events = await site.story(1, queue_id)
    check_told(events, "", message_id=None)


async def test_a_login_at_the_second_instance(site: MailSite) -> None:
    """Its submission service logs under the first instance's name."""
    recipient = "busy.unknown+login@next.example"
    async with connected(site.out.ports["submission"]) as session:
        await session.expect("235", plain("anna"))
        queue_id = await session.send(SENDER, recipient, message=message("login"))
    assert "postfix/submission/smtpd" in await site.logged(f"{queue_id}: client=")
    await site.story(1, queue_id)
    await site.out.retry(queue_id)
    events = await site.story(3, queue_id)
    assert list(map(brief, events)) == [
        ("deferred", recipient, 1),
        ("bounced", recipient, 2),
        ("resolved: bounced", recipient, 2),
    ]
    check_told(events, "login", sasl_username="anna", client=US)
    assert {event.mta.service for event in events} == {"postfix-out/smtp"}
