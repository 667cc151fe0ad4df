"""What an event says that its own line does not: from the story of its message to schema objects.

In: a `Story` and what the correlator counted. Out: a `Context`.
"""

from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from schemas.base import Client, Message
from schemas.delivery import Notice
from service.core.correlate.story import Story

_DOUBLE_BOUNCE = "double-bounce@"
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


class Context(NamedTuple):
    message: Message
    sender: str | None = None
    attempt: int | None = None
    first_deferred_at: datetime | None = None
    notice: Notice | None = None
    """This and the next of a bounce only."""
    backscatter_risk: bool | None = None


NO_CONTEXT = Context(Message())


def context_of(
    story: Story | None, attempt: int | None = None, since: float | None = None
) -> Context:
    """`since`: when the recipient was first deferred, Unix time."""
    first_deferred_at = utc(since)
    if story is None:
        return Context(NO_CONTEXT.message, None, attempt, first_deferred_at)
    return Context(_message(story), story.sender, attempt, first_deferred_at)


def utc(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


@lru_cache(maxsize=4096)
def _message(story: Story) -> Message:
    client = story.client
    told = (
        story.is_begun
        or story.is_local
        or any(
            value is not None
            for value in (story.message_id, story.sender, story.client, story.origin_queue_id)
        )
    )
    return Message(
        message_id=story.message_id,
        sender=story.sender,
        size=story.size,
        recipients=story.recipients,
        client=Client(name=client.name, ip=client.ip, port=client.port) if client else None,
        sasl_username=story.sasl_username,
        queued_at=story.queued_at,
        origin_queue_id=story.origin_queue_id,
        context="complete" if story.is_whole else "partial" if told else "none",
    )


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
