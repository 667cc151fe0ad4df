"""What a postmaster does to the queue of a real Postfix, and what becomes of its messages."""

import pytest

from schemas.delivery import BouncedEvent
from schemas.resolved import ResolvedEvent
from tests.e2e.auth_server import plain
from tests.e2e.mail_site import MailSite
from tests.e2e.postfix import Postfix
from tests.e2e.smtp_client import connected
from tests.e2e.stories import SENDER, brief, briefs, check_told, message, queue_id_of, submit

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]


async def requeue(site: MailSite, postfix: Postfix, queue_id: str) -> str:
    """Returns the new queue id."""
    await postfix.until_in("deferred", queue_id)
    await postfix.run("postsuper", "-r", queue_id)
    line = await site.logged(f" orig_id={queue_id}")
    return line.partition("]: ")[2].partition(":")[0]


async def test_deleted(site: MailSite) -> None:
    one, two = "busy+deleted-1@next.example", "busy+deleted-2@next.example"
    queue_id = await submit(site.postfix, "deleted", "ok+deleted@next.example", one, two)
    before = await site.story(2, queue_id)
    await site.postfix.until_in("deferred", queue_id)
    await site.postfix.run("postsuper", "-d", queue_id)
    events = await site.story(4, queue_id)
    assert briefs(events) == {
        ("deferred", one, 1),
        ("deferred", two, 1),
        ("resolved: removed", one, 1),
        ("resolved: removed", two, 1),
    }
    check_told(events, "deleted", recipients=3)
    for event in events:
        if isinstance(event, ResolvedEvent):
            assert event.status is None
            assert event.mta.daemon == "postsuper"
            assert event.response == before[0].response
            assert event.attempts == 1


async def test_deleted_while_on_hold(site: MailSite) -> None:
    recipient = "busy+held-deleted@next.example"
    queue_id = await submit(site.out, "held-deleted", recipient)
    await site.story(1, queue_id)
    await site.out.until_in("deferred", queue_id)
    await site.out.run("postsuper", "-h", queue_id)
    await site.out.run("postsuper", "-d", queue_id)
    events = await site.story(2, queue_id)
    assert list(map(brief, events)) == [
        ("deferred", recipient, 1),
        ("resolved: removed", recipient, 1),
    ]
    check_told(events, "held-deleted")


async def test_held_and_released(site: MailSite) -> None:
    recipient = "busy.ok+held@next.example"
    queue_id = await submit(site.postfix, "held", recipient)
    await site.story(1, queue_id)
    await site.postfix.until_in("deferred", queue_id)
    await site.postfix.run("postsuper", "-h", queue_id)
    await site.logged(f"{queue_id}: placed on hold")
    await site.postfix.run("postsuper", "-H", queue_id)
    await site.postfix.retry(queue_id)
    events = await site.story(2, queue_id)
    assert list(map(brief, events)) == [
        ("deferred", recipient, 1),
        ("resolved: delivered", recipient, 2),
    ]
    check_told(events, "held")


async def test_requeued_then_delivered(site: MailSite) -> None:
    later, worse = "busy.ok+requeued@next.example", "busy.unknown+requeued@next.example"
    old = await submit(site.postfix, "requeued", later, worse)
    before = await site.story(2, old)
    check_told(before, "requeued", recipients=2)
    new = await requeue(site, site.postfix, old)
    events = await site.story(3, new)
    assert briefs(events) == {
        ("resolved: delivered", later, 2),
        ("bounced", worse, 2),
        ("resolved: bounced", worse, 2),
    }
    check_told(events, "requeued", recipients=2, origin_queue_id=old)
    for event in events:
        if isinstance(event, ResolvedEvent):
            assert event.first_deferred_at in {event.event_time for event in before}


async def test_requeued_twice_after_a_login(site: MailSite) -> None:
    """Who handed it in stays known."""
    recipient = "busy.busy.unknown+again@next.example"
    async with connected(site.out.ports["submission"]) as session:
        await session.expect("235", plain("bert"))
        first = await session.send(SENDER, recipient, message=message("again"))
    told = {"sasl_username": "bert"}
    check_told(await site.story(1, first), "again", **told)
    second = await requeue(site, site.out, first)
    events = await site.story(1, second)
    assert list(map(brief, events)) == [("deferred", recipient, 2)]
    check_told(events, "again", **told, origin_queue_id=first)
    third = await requeue(site, site.out, second)
    events = await site.story(2, third)
    assert list(map(brief, events)) == [
        ("bounced", recipient, 3),
        ("resolved: bounced", recipient, 3),
    ]
    check_told(events, "again", **told, origin_queue_id=second)


@pytest.mark.parametrize("option", ["-e", "-f"])
async def test_expired_by_the_postmaster(site: MailSite, option: str) -> None:
    """`-f` releases what is on hold, too."""
    case = f"force{option}"
    one, two = f"busy+{case}-1@next.example", f"busy+{case}-2@next.example"
    queue_id = await submit(site.postfix, case, one, two)
    before = await site.story(2, queue_id)
    await site.postfix.until_in("deferred", queue_id)
    if option == "-f":
        await site.postfix.run("postsuper", "-h", queue_id)
    await site.postfix.run("postsuper", option, queue_id)
    await site.postfix.retry(queue_id)
    attempts = await _attempts(site, queue_id, one)
    events = await site.story(2 * attempts + 4, queue_id)
    check_told(events, case, recipients=2)
    expired = [event for event in events if isinstance(event, BouncedEvent)]
    ends = [event for event in events if isinstance(event, ResolvedEvent)]
    for found in (expired, ends):
        assert {event.recipient for event in found} == {one, two}
        assert {event.status for event in found} == {"force-expired"}
        assert {event.attempt for event in found} == {attempts}
        assert {event.mta.daemon for event in found} == {"qmgr"}
        assert {event.first_deferred_at for event in found} == {
            event.event_time for event in before
        }
    assert {event.outcome for event in ends} == {"expired"}
    notice = await queue_id_of(site, queue_id, behind="sender non-delivery notification: ")
    for event in expired:
        assert event.notice is not None
        assert (event.notice.queue_id, event.notice.kind) == (notice, "sender")
        assert (event.category, event.response) == ("expired", "returned to sender")


async def test_expired(site: MailSite) -> None:
    one, two = "busy+expired@next.example", "busy.ok+expired@next.example"
    fine, bad = "ok+expired@next.example", "unknown+expired@next.example"
    queue_id = await submit(site.once, "expired", one, fine, bad, two)
    events = await site.story(7, queue_id)
    assert briefs(events) == {
        ("bounced", bad, 1),
        ("deferred", one, 1),
        ("deferred", two, 1),
        ("bounced", one, 1),
        ("bounced", two, 1),
        ("resolved: expired", one, 1),
        ("resolved: expired", two, 1),
    }
    check_told(events, "expired", recipients=4)
    assert {event.mta.instance for event in events} == {"postfix-once"}
    for event in events:
        if isinstance(event, BouncedEvent):
            assert event.notice is not None
            assert event.status == ("bounced" if event.recipient == bad else "expired")


async def test_expired_without_a_sender(site: MailSite) -> None:
    """Tried once; nobody is told."""
    recipient = "busy+expired-null@next.example"
    queue_id = await submit(site.postfix, "expired-null", recipient, sender="")
    events = await site.story(3, queue_id)
    assert briefs(events) == {
        ("deferred", recipient, 1),
        ("bounced", recipient, 1),
        ("resolved: expired", recipient, 1),
    }
    check_told(events, "expired-null", sender="")
    (bounce,) = (event for event in events if isinstance(event, BouncedEvent))
    assert (bounce.notice, bounce.backscatter_risk) == (None, False)


async def _attempts(site: MailSite, queue_id: str, recipient: str) -> int:
    """Whether Postfix tries once more before it gives up is its own affair."""
    await site.logged(f"{queue_id}: from=<", "expired, returned to sender")
    return sum(f"{queue_id}: to=<{recipient}>" in line for line in site.rsyslogd.child.lines)
