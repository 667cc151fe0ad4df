"""The notices a real Postfix sends of its failures: which bounce each is of, and what is none."""

import pytest

from schemas import Event
from schemas.delivery import BouncedEvent
from tests.e2e.mail_site import MailSite
from tests.e2e.smtp_client import connected
from tests.e2e.stories import SENDER, brief, briefs, check_told, queue_id_of, submit

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]

NON_DELIVERY = "sender non-delivery notification: "


def notice_of(event: Event) -> tuple[str, str] | None:
    assert isinstance(event, BouncedEvent)
    return None if event.notice is None else (event.notice.queue_id, event.notice.kind)


async def test_a_notice_of_two_recipients(site: MailSite) -> None:
    one, two = "unknown+noticed-1@next.example", "spam+noticed-2@next.example"
    queue_id = await submit(site.postfix, "noticed", one, two)
    events = await site.story(2, queue_id)
    notice = await queue_id_of(site, queue_id, behind=NON_DELIVERY)
    assert [notice_of(event) for event in events] == [(notice, "sender")] * 2
    assert {event.backscatter_risk for event in events if isinstance(event, BouncedEvent)} == {
        False
    }
    await site.logged(f"{notice}: to=<{SENDER}>", "status=sent")
    await site.nothing(f" {notice}: to=")


async def test_each_attempt_has_its_own_notice(site: MailSite) -> None:
    one, two = "unknown+attempts@next.example", "busy.unknown+attempts@next.example"
    queue_id = await submit(site.postfix, "attempts", one, two)
    await site.story(2, queue_id)
    await site.postfix.retry(queue_id)
    events = await site.story(4, queue_id)
    bounces = {event.recipient: event for event in events if isinstance(event, BouncedEvent)}
    first, second = notice_of(bounces[one]), notice_of(bounces[two])
    assert first is not None
    assert second is not None
    assert first != second
    for queue_id_of_notice, kind in (first, second):
        await site.logged(f"{queue_id}: {NON_DELIVERY}{queue_id_of_notice}")
        assert kind == "sender"


async def test_a_notice_that_bounces(site: MailSite) -> None:
    sender, recipient = "unknown+no-way-back@next.example", "unknown+notice@next.example"
    queue_id = await submit(site.postfix, "no-way-back", recipient, sender=sender)
    notice = await queue_id_of(site, queue_id, behind=NON_DELIVERY)
    (event,) = await site.story(1, queue_id)
    assert notice_of(event) == (notice, "sender")
    check_told([event], "no-way-back", sender=sender)
    (event,) = await site.story(1, notice)
    assert brief(event) == ("bounced", sender, 1)
    assert isinstance(event, BouncedEvent)
    assert (event.notice, event.backscatter_risk) == (None, False)
    line = await site.logged(f"{notice}: message-id=")
    message_id = line.partition("message-id=<")[2].rstrip(">")
    check_told([event], "", message_id=message_id, sender="", client=None)


async def test_a_notice_that_waits(site: MailSite) -> None:
    """And expires, having been tried once."""
    sender, recipient = "busy+slow-way-back@next.example", "unknown+slow@next.example"
    queue_id = await submit(site.postfix, "slow", recipient, sender=sender)
    notice = await queue_id_of(site, queue_id, behind=NON_DELIVERY)
    events = await site.story(3, notice)
    assert briefs(events) == {
        ("deferred", sender, 1),
        ("bounced", sender, 1),
        ("resolved: expired", sender, 1),
    }
    assert {event.sender for event in events} == {""}


async def test_what_no_notice_can_tell_the_postmaster_hears(site: MailSite) -> None:
    sender, recipient = "unknown+double@next.example", "unknown+doubled@next.example"
    queue_id = await submit(site.out, "double", recipient, sender=sender)
    notice = await queue_id_of(site, queue_id, behind=NON_DELIVERY)
    last = await queue_id_of(site, notice, behind="postmaster non-delivery notification: ")
    (event,) = await site.story(1, queue_id)
    assert notice_of(event) == (notice, "sender")
    (event,) = await site.story(1, notice)
    assert isinstance(event, BouncedEvent)
    assert event.backscatter_risk is False
    assert notice_of(event) == (last, "postmaster")
    await site.logged(f"{last}: to=<postmaster@next.example>", "status=sent")
    await site.nothing(f" {last}: to=")


async def test_a_null_sender_is_told_nothing(site: MailSite) -> None:
    recipient = "unknown+nobody@next.example"
    queue_id = await submit(site.postfix, "nobody", recipient, sender="")
    (event,) = await site.story(1, queue_id)
    assert notice_of(event) is None
    assert isinstance(event, BouncedEvent)
    assert event.backscatter_risk is False
    check_told([event], "nobody", sender="")


async def test_a_sender_who_wants_no_notice(site: MailSite) -> None:
    recipient = "unknown+never@next.example"
    async with connected(site.postfix.ports["open"]) as session:
        await session.expect("250", f"MAIL FROM:<{SENDER}>")
        await session.expect("250", f"RCPT TO:<{recipient}> NOTIFY=NEVER")
        queue_id = await session.data("Subject: x\r\n\r\nhi")
    (event,) = await site.story(1, queue_id)
    assert notice_of(event) is None


async def test_word_of_a_delivery_is_no_failure(site: MailSite) -> None:
    async with connected(site.postfix.ports["open"]) as session:
        await session.expect("250", f"MAIL FROM:<{SENDER}>")
        await session.expect("250", "RCPT TO:<ok+success@next.example> NOTIFY=SUCCESS")
        queue_id = await session.data("Subject: x\r\n\r\nhi")
    word = await queue_id_of(site, queue_id, behind="sender delivery status notification: ")
    await site.logged(f"{word}: removed")
    await site.nothing(queue_id)
    await site.nothing(word)


async def test_a_warning_of_a_delay_is_no_failure(site: MailSite) -> None:
    """It goes out at the first attempt after a second; the message is delivered later."""
    recipient = "busy+delayed@next.example"
    queue_id = await submit(site.postfix, "delayed", recipient, service="warned")
    attempts = 1
    await site.story(attempts, queue_id)
    warning = f"{queue_id}: sender delay notification: "
    while not any(warning in line for line in site.rsyslogd.child.lines):
        await site.postfix.retry(queue_id)
        attempts += 1
        await site.story(attempts, queue_id)
    word = await queue_id_of(site, warning, behind="notification: ")
    await site.logged(f"{word}: to=<{SENDER}>", "status=sent")
    await site.nothing(f" {word}: to=")
    events = await site.story(attempts, queue_id)
    assert list(map(brief, events)) == [
        ("deferred", recipient, number) for number in range(1, attempts + 1)
    ]
    check_told(events, "delayed")


async def test_a_probe_is_no_mail(site: MailSite) -> None:
    """Postfix asks the next hop for an address: the client is refused, the probe is no event."""
    recipient = "unknown+probed@next.example"
    async with connected(site.postfix.ports["probing"]) as session:
        await session.expect("250", f"MAIL FROM:<{SENDER}>")
        await session.expect("250", "RCPT TO:<ok+probed@next.example>")
        await session.expect("4", f"RCPT TO:<{recipient}>")
    await site.logged(f"to=<{recipient}>", "status=undeliverable")
    await site.logged("to=<ok+probed@next.example>", "status=deliverable")
    (event,) = await site.events(recipient, 1)
    assert (event.event_type, event.sender) == ("reject", SENDER)
    assert event.category == "unverified_address"
