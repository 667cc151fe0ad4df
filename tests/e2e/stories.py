"""What the tests of whole stories share: a message in, and in short what its events said."""

from collections.abc import Iterable
from typing import Any

from schemas import Event
from schemas.base import Client, Message
from schemas.delivery import BouncedEvent, DeferredEvent
from schemas.resolved import ResolvedEvent
from tests.e2e.mail_site import MailSite
from tests.e2e.postfix import Postfix
from tests.e2e.smtp_client import connected

SENDER = "a@next.example"
"""The notices of these bounces are delivered, so that they are no events themselves."""

US = Client(name=None, ip="127.0.0.1", port=None)

Brief = tuple[str, str | None, int | None]
"""Type, and outcome of a resolved event; recipient; attempt."""


def message(case: str) -> str:
    return f"Message-ID: <{case}@client.example.net>\r\nSubject: x\r\n\r\nhi"


async def submit(
    postfix: Postfix,
    case: str,
    *recipients: str,
    sender: str = SENDER,
    service: str = "open",
    options: str = "",
) -> str:
    """Hand a message in; returns its queue id."""
    async with connected(postfix.ports[service]) as session:
        return await session.send(sender, *recipients, message=message(case), options=options)


def brief(event: Event) -> Brief:
    kind: str = event.event_type
    attempt = None
    if isinstance(event, DeferredEvent | BouncedEvent | ResolvedEvent):
        attempt = event.attempt
    if isinstance(event, ResolvedEvent):
        kind = f"resolved: {event.outcome}"
    return kind, event.recipient, attempt


def briefs(events: Iterable[Event]) -> set[Brief]:
    """Without order: a bounce may wait for its notice while others pass."""
    found = [brief(event) for event in events]
    assert len(set(found)) == len(found), found
    return set(found)


def check_told(events: Iterable[Event], case: str, **told: Any) -> None:
    """What all events of one message say of it. `told`: what is not as `submit` has it."""
    wanted = {
        "message_id": f"{case}@client.example.net",
        "sender": SENDER,
        "recipients": 1,
        "client": US,
        "sasl_username": None,
        "origin_queue_id": None,
        "context": "complete",
        **told,
    }
    for event in events:
        assert isinstance(event.message, Message)
        assert event.sender == wanted["sender"]
        assert {name: getattr(event.message, name) for name in wanted} == wanted
        assert event.message.size
        assert event.message.queued_at
        assert event.message.queued_at <= event.event_time


async def queue_id_of(site: MailSite, *words: str, behind: str) -> str:
    """The queue id that a line with these words names."""
    line = await site.logged(*words, behind)
    return line.rpartition(behind)[2].split()[0].rstrip("):,;")
