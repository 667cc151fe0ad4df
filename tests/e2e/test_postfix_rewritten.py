"""Messages of a real Postfix, their lines told once more as of another host, with what time or a
loss would have done to them."""

import pytest

from schemas import Event
from schemas.resolved import ResolvedEvent
from tests.e2e.mail_site import MailSite
from tests.e2e.rsyslog import LOCAL_HOST
from tests.e2e.stories import brief, briefs, check_told, submit

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]


async def lines_of(site: MailSite, case: str, recipient: str, new_id: str) -> list[str]:
    """All lines of a message that is tried as often as its recipient's name asks for, under
    another queue id."""
    queue_id = await submit(site.postfix, case, recipient, sender=f"{case}@next.example")
    retries = recipient.partition("+")[0].count(".")
    for attempt in range(1, 1 + retries):
        await site.story(attempt, queue_id)
        await site.postfix.retry(queue_id)
    await site.logged(f"{queue_id}: removed")
    lines = [line for line in site.rsyslogd.child.lines if f" {queue_id}: " in line]
    return [line.replace(queue_id, new_id) for line in lines]


async def tell(site: MailSite, host: str, lines: list[str], count: int) -> list[Event]:
    """Their events."""
    await site.rsyslogd.relay([line.replace(LOCAL_HOST, host).encode() for line in lines])
    return await site.house.subscriber.until(lambda event: event.mta.host == host, count)


@pytest.mark.parametrize("is_removal_lost", [False, True])
async def test_a_queue_id_used_again(site: MailSite, is_removal_lost: bool) -> None:
    """A short one is, after a while."""
    word = "lost" if is_removal_lost else "seen"
    queue_id = "5ABCDE9999" if is_removal_lost else "5ABCDE9998"
    one, two = f"busy.ok+reused-{word}-1@next.example", f"busy.unknown+reused-{word}-2@next.example"
    first = await lines_of(site, "reused-1", one, queue_id)
    second = await lines_of(site, "reused-2", two, queue_id)
    assert first[-1].endswith(": removed")
    if is_removal_lost:
        del first[-1]
    events = await tell(site, f"{word}.example.org", first + second, 5)
    assert briefs(events) == {
        ("deferred", one, 1),
        ("resolved: delivered", one, 2),
        ("deferred", two, 1),
        ("bounced", two, 2),
        ("resolved: bounced", two, 2),
    }
    for recipient, case in ((one, "reused-1"), (two, "reused-2")):
        told = [event for event in events if event.recipient == recipient]
        check_told(told, case, sender=f"{case}@next.example")


async def test_a_beginning_that_was_not_seen(site: MailSite) -> None:
    """What is not known is not made up: neither which attempt it is nor how many recipients there
    were. The sender is in each line of qmgr's."""
    recipient = "busy.busy.ok+late@next.example"
    lines = await lines_of(site, "late", recipient, "5ABCDE9997")
    tries = [number for number, line in enumerate(lines) if line.endswith("(queue active)")]
    assert len(tries) == 3
    events = await tell(site, "late.example.org", lines[tries[1] :], 2)
    assert list(map(brief, events)) == [
        ("deferred", recipient, None),
        ("resolved: delivered", recipient, None),
    ]
    for event in events:
        assert event.sender == "late@next.example"
        assert event.message is not None
        assert event.message.model_dump() == {
            "message_id": None,
            "sender": "late@next.example",
            "size": event.message.size,
            "recipients": None,
            "client": None,
            "sasl_username": None,
            "queued_at": None,
            "origin_queue_id": None,
            "context": "partial",
        }
        assert event.message.size
    end = events[1]
    assert isinstance(end, ResolvedEvent)
    assert (end.attempts, end.first_deferred_at) == (2, None)


async def test_only_the_failure_was_seen(site: MailSite) -> None:
    recipient = "unknown+alone@next.example"
    lines = await lines_of(site, "alone", recipient, "5ABCDE9996")
    told = [line for line in lines if "status=bounced" in line or ": removed" in line]
    assert len(told) == 2
    (event,) = await tell(site, "alone.example.org", told, 1)
    assert brief(event) == ("bounced", recipient, None)
    assert event.sender is None
    assert event.message is not None
    assert event.message.context == "none"
    assert set(event.message.model_dump(exclude={"context"}).values()) == {None}
