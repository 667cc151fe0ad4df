"""What an event says that its own line does not: from the story of its message to schema objects.

In: a `Story` and what the correlator counted. Out: a `Context`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network
from typing import Final

from pydantic import TypeAdapter

import schemas.base
from schemas.base import Message
from schemas.delivery import Notice
from service.core.correlate.story import Story
from service.core.postfix.facts import Client
from service.core.postfix.remembered import remember

# The validator itself, as in `core.assemble`.
_MESSAGE: Final = TypeAdapter(Message).validator
_CLIENT: Final = TypeAdapter(schemas.base.Client).validator
_NOTICE: Final = TypeAdapter(Notice).validator
# Validated once and remembered, as in `core.assemble`.
_CLIENTS: Final[dict[Client, schemas.base.Client]] = {}
_DOUBLE_BOUNCE: Final = "double-bounce@"
# Whose senders are a Postfix' own users. RFC 1122 3.2.1.3: this host; RFC 1918; RFC 3927.
_PRIVATE_8: Final = frozenset({"127", "10"})
_PRIVATE_16: Final = frozenset(
    {"192.168", "169.254", *(f"172.{second}" for second in range(16, 32))}
)
# RFC 4291 2.5.3: this host; RFC 4193; RFC 4291 2.5.6.
_PRIVATE_IPV6: Final = tuple(map(IPv6Network, ("::1/128", "fc00::/7", "fe80::/10")))

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}")
"""What `ipaddress` takes for one, at a fifth of the cost."""


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
    story: Story | None, attempt: int | None = None, first_deferred_at: datetime | None = None
) -> Context:
    """A new one, for one line."""
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
            "client": None if client is None else client_of(client),
            "sasl_username": story.sasl_username,
            "queued_at": story.queued_at,
            "origin_queue_id": story.origin_queue_id,
            "context": "complete" if story.is_whole else "partial" if told else "none",
        }
    )
    story.message = message
    return message


def client_of(client: Client) -> schemas.base.Client:
    known = _CLIENTS.get(client)
    if known is None:
        name, ip, port = client
        known = _CLIENT.validate_python({"name": name, "ip": ip, "port": port})
        remember(_CLIENTS, client, known)
    return known


def notice_of(queue_id: str, kind: str) -> Notice:
    """Raises `pydantic.ValidationError` where that is no queue id: the line is not right."""
    notice: Notice = _NOTICE.validate_python({"queue_id": queue_id, "kind": kind})
    return notice


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
    address = address.partition("%")[0]
    if _IPV4.fullmatch(address):
        first, second, _ = address.split(".", 2)
        return first not in _PRIVATE_8 and f"{first}.{second}" not in _PRIVATE_16
    try:
        ip = IPv6Address(address)
    except ValueError:
        return None
    return not any(ip in network for network in _PRIVATE_IPV6)
