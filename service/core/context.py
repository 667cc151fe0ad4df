"""What an event says that its own line does not: from the story of its message to schema objects.

In: a `Story` and what the correlator counted. Out: a `Context`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final

from pydantic import TypeAdapter

from schemas.base import Message
from schemas.delivery import Notice
from service.core.correlate.story import Story

# The validator itself, as in `core.assemble`.
_MESSAGE: Final = TypeAdapter(Message).validator
_DOUBLE_BOUNCE: Final = "double-bounce@"
_PRIVATE = tuple(
    map(
        ip_network,
        (
            *("127.0.0.0/8", "::1/128"),  # RFC 1122 3.2.1.3, RFC 4291 2.5.3: this host
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
            *("fc00::/7", "fe80::/10", "169.254.0.0/16"),  # RFC 4193, RFC 4291 2.5.6, RFC 3927
        ),
    )
)
"""Whose senders are a Postfix' own users."""


@dataclass(slots=True, init=False)
class Context:
    message: Message
    sender: str | None
    attempt: int | None
    first_deferred_at: datetime | None
    notice: Notice | None
    """This and the next of a bounce only."""
    backscatter_risk: bool | None

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(
        self,
        message: Message,
        sender: str | None = None,
        attempt: int | None = None,
        first_deferred_at: datetime | None = None,
        notice: Notice | None = None,
        backscatter_risk: bool | None = None,
    ) -> None:
        self.message = message
        self.sender = sender
        self.attempt = attempt
        self.first_deferred_at = first_deferred_at
        self.notice = notice
        self.backscatter_risk = backscatter_risk


NO_CONTEXT = Context(Message())
"""Of lines without a queue id, all the same one: not to be changed."""
_NO_MESSAGE: Final = NO_CONTEXT.message


def context_of(
    story: Story | None, attempt: int | None = None, since: float | None = None
) -> Context:
    """A new one, for one line. `since`: when the recipient was first deferred, Unix time."""
    first_deferred_at = utc(since)
    if story is None:
        return Context(_NO_MESSAGE, None, attempt, first_deferred_at)
    return Context(_message(story), story.sender, attempt, first_deferred_at)


def utc(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _message(story: Story) -> Message:
    """Validated once, with each story: it is in every event of the message."""
    if story.message is not None:
        return story.message
    client = story.client
    told = (
        story.is_begun
        or story.is_local
        or story.message_id is not None
        or story.sender is not None
        or client is not None
        or story.origin_queue_id is not None
    )
    message: Message = _MESSAGE.validate_python(
        {
            "message_id": story.message_id,
            "sender": story.sender,
            "size": story.size,
            "recipients": story.recipients,
            "client": None if client is None else _client(*client),
            "sasl_username": story.sasl_username,
            "queued_at": story.queued_at,
            "origin_queue_id": story.origin_queue_id,
            "context": "complete" if story.is_whole else "partial" if told else "none",
        }
    )
    story.message = message
    return message


def _client(name: str | None, ip: str | None, port: int | None) -> dict[str, Any]:
    return {"name": name, "ip": ip, "port": port}


def backscatter_risk(story: Story | None, sender: str | None) -> bool | None:
    """Whether a notice of this bounce goes to somebody who may never have written the message.

    False where no notice goes out (null sender, and Postfix' own double-bounce address) and where
    the sender was known to this Postfix: logged in, or submitted on the host or from a private
    network. True where the message came from anywhere else: its sender is only claimed. None where
    the lines that would tell were not seen.
    """
    if sender is None:
        return None
    if sender == "" or sender.startswith(_DOUBLE_BOUNCE):
        return False
    if story is None:
        return None
    if story.is_local or story.sasl_username is not None:
        return False
    if story.client is None or story.client.ip is None:
        return None
    return _is_outside(story.client.ip)


@lru_cache(maxsize=4096)
def _is_outside(address: str) -> bool | None:
    """None: it is no IP address."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return not any(ip in network for network in _PRIVATE)
