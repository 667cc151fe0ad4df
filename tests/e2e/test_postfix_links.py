"""Messages of a real Postfix that are made of others: aliases, lists, .forward files, filters."""

import pytest

from schemas.base import Client
from schemas.delivery import BouncedEvent, DeferredEvent
from schemas.reject import RejectEvent
from tests.e2e.mail_site import MailSite
from tests.e2e.smtp_client import connected
from tests.e2e.stories import SENDER, US, brief, briefs, check_told, message, queue_id_of, submit

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]

STRANGER = "XFORWARD NAME=mail.stranger.example ADDR=203.0.113.9 PORT=4711 IDENT=NOQUEUE"
"""Said to a Postfix that believes it: the client is somebody outside."""


async def test_a_virtual_alias_with_several_targets(site: MailSite) -> None:
    alias = "team@virtual.example"
    bad, later = "unknown+team@next.example", "busy.ok+team@next.example"
    queue_id = await submit(site.postfix, "team", alias)
    before = await site.story(2, queue_id)
    assert {
        event.original_recipient
        for event in before
        if isinstance(event, BouncedEvent | DeferredEvent)
    } == {alias}
    await site.postfix.retry(queue_id)
    events = await site.story(3, queue_id)
    assert briefs(events) == {
        ("bounced", bad, 1),
        ("deferred", later, 1),
        ("resolved: delivered", later, 2),
    }
    check_told(events, "team", recipients=3)


async def test_a_local_alias_with_several_targets(site: MailSite) -> None:
    """The targets elsewhere get a message of their own, an unknown one here fails in this one."""
    alias, bad = "several@local.example", "unknown+several-alias@next.example"
    queue_id = await submit(site.postfix, "several", alias)
    onward = await queue_id_of(site, queue_id, behind="(forwarded as ")
    here, there = await site.story(1, queue_id), await site.story(1, onward)
    assert list(map(brief, here)) == [("bounced", "no-such-user@local.example", 1)]
    check_told(here, "several")
    assert list(map(brief, there)) == [("bounced", bad, 1)]
    check_told(there, "several", recipients=2, origin_queue_id=queue_id)
    (event,) = here
    assert isinstance(event, BouncedEvent)
    assert event.original_recipient == alias


async def test_a_list_with_one_bad_member(site: MailSite) -> None:
    """Its owner is who hears of it."""
    bad, owner = "unknown+list@next.example", "owner-list@next.example"
    queue_id = await submit(site.postfix, "list", "list@local.example")
    onward = await queue_id_of(site, queue_id, behind="(forwarded as ")
    events = await site.story(1, onward)
    assert list(map(brief, events)) == [("bounced", bad, 1)]
    check_told(events, "list", sender=owner, recipients=2, origin_queue_id=queue_id)
    await site.logged(f"{onward}: sender non-delivery notification: ")
    await site.nothing(f" {queue_id}: to=")


@pytest.mark.parametrize(
    ("user", "target", "ends"),
    [
        ("games", "unknown+forwarded@next.example", [("bounced", 1)]),
        (
            "news",
            "busy.ok+forwarded@next.example",
            [("deferred", 1), ("resolved: delivered", 2)],
        ),
    ],
)
async def test_a_forward_file(
    site: MailSite, user: str, target: str, ends: list[tuple[str, int]]
) -> None:
    case = f"forward-{user}"
    queue_id = await submit(site.postfix, case, f"{user}@local.example")
    onward = await queue_id_of(site, queue_id, behind="(forwarded as ")
    for attempt in range(1, len(ends)):
        await site.story(attempt, onward)
        await site.postfix.retry(onward)
    events = await site.story(len(ends), onward)
    assert list(map(brief, events)) == [(kind, target, attempt) for kind, attempt in ends]
    check_told(events, case, origin_queue_id=queue_id)
    await site.nothing(f" {queue_id}: to=")


async def test_a_command_that_refuses(site: MailSite) -> None:
    recipient = "piped@local.example"
    queue_id = await submit(site.postfix, "command", recipient)
    events = await site.story(1, queue_id)
    assert list(map(brief, events)) == [("bounced", recipient, 1)]
    check_told(events, "command")


async def test_a_filter_behind_the_queue(site: MailSite) -> None:
    """What comes back is a message of its own; the client is who gave it to the filter."""
    bad, later = "unknown+filtered@next.example", "busy.ok+filtered@next.example"
    queue_id = await submit(site.postfix, "filtered", bad, later, service="filtered")
    back = await queue_id_of(site, f"orig_queue_id={queue_id}", behind="]: ")
    await site.story(2, back)
    await site.postfix.retry(back)
    events = await site.story(3, back)
    assert briefs(events) == {
        ("bounced", bad, 1),
        ("deferred", later, 1),
        ("resolved: delivered", later, 2),
    }
    check_told(events, "filtered", recipients=2, origin_queue_id=queue_id)
    await site.nothing(f" {queue_id}: to=")


async def test_a_filter_before_the_queue(site: MailSite) -> None:
    bad = "unknown+proxied@next.example"
    queue_id = await submit(site.postfix, "proxied", bad, service="proxied")
    events = await site.story(1, queue_id)
    assert list(map(brief, events)) == [("bounced", bad, 1)]
    check_told(events, "proxied")


async def test_a_filter_before_the_queue_that_refuses(site: MailSite) -> None:
    """Both ends of it log so; only the second one has a queue id."""
    sender, recipient = "filtered-out@next.example", "ok+filter-says-no@next.example"
    reply = await submit(site.postfix, "says-no", recipient, sender=sender, service="proxied")
    assert reply.startswith("554")
    events = await site.events(recipient, 2)
    by_action = {event.action: event for event in events if isinstance(event, RejectEvent)}
    assert by_action.keys() == {"reject", "proxy-reject"}
    for event in by_action.values():
        # The line of the first end does not name the client: an earlier one does.
        assert (event.sender, event.client, event.stage) == (sender, US, "END-OF-MESSAGE")
    assert by_action["proxy-reject"].queue_id is None
    assert by_action["reject"].queue_id is not None


async def test_a_message_from_outside(site: MailSite) -> None:
    """A notice to its sender, whoever that may be, is a risk."""
    recipient = "unknown+outside@next.example"
    async with connected(site.postfix.ports["back"]) as session:
        await session.expect("250", STRANGER)
        queue_id = await session.send(SENDER, recipient, message=message("outside"))
    (event,) = await site.story(1, queue_id)
    assert isinstance(event, BouncedEvent)
    assert event.backscatter_risk is True
    check_told([event], "outside", client=Client(name="mail.stranger.example", ip="203.0.113.9"))


async def test_a_message_on_hold_for_its_header_is_no_failure(site: MailSite) -> None:
    async with connected(site.postfix.ports["smtpd"]) as session:
        queue_id = await session.send(
            SENDER, "ok+hold-case@next.example", message="Subject: hold this\r\n\r\nhi"
        )
    await site.postfix.until_in("hold", queue_id)
    await site.nothing(queue_id)
