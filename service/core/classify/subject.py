"""What a rule may ask about: the same few questions for a refusal and for a failed delivery.

In: `Facts`. Out: what was `heard`, without what a client chose and what numbers a line: so the same
refusal of a thousand recipients is heard as one, and verdicts are remembered by it. A `Subject` is
made of it where rules must be asked.
"""

import re
from typing import Final, NamedTuple

from service.core.classify.provider import Providers
from service.core.classify.wording import (
    LIMIT,
    names_machine,
    without_addresses,
    without_codes,
    without_numbers,
    without_opening,
    without_trace,
)
from service.core.postfix.facts import Delivery, Facts, Reject

DOOR: Final = "door"
"""This MTA refused a client."""
REMOTE: Final = "remote"
"""Another server's reply to a delivery attempt."""
OWN: Final = "own"
"""This MTA's own words on a delivery attempt."""

SAID = (DOOR, REMOTE, OWN)

_SUSPENDED: Final = "delivery temporarily suspended: "
_IN_TEXT: Final = re.compile(r"(?<![\d.])[245]\.[0-7]\.\d{1,3}(?![\d.])", re.ASCII)
_PEER: Final = re.compile(
    r"(?:connect to|lost connection with|conversation with|host|while talking to) "
    r"([A-Za-z0-9_.-]{1,255})\[",
    re.ASCII,
)

# How Postfix opens a reason that wraps a reply, and where in the session that was
# (`smtp/smtp_trouble.c`, `smtp_sasl_glue.c`, `smtp_proto.c`).
_PLACES: Final = (
    ("SASL ", "AUTH"),
    ("Protocol error", "PROTOCOL ERROR"),
    ("TLS is required", "STARTTLS"),
)
_WRAPPINGS: Final = tuple(opening for opening, _ in _PLACES)

Heard = tuple[str, str, int | None, str | None, str, str, str | None, bool, bool]
"""What a `Subject` is made of. Not yet one: most need not be made, and one is dear to make."""


class Subject(NamedTuple):
    said: str
    text: str
    """Codes, leading value and addresses cut off; a reply of several lines keeps its codes."""
    smtp_code: int | None
    enhanced: str | None
    place: str
    """Upper case. At the door the stage (`RCPT`, `END-OF-MESSAGE`, `HEADER`), of a remote reply
    the command it answers (`MAIL FROM`, `RCPT TO`, `END OF DATA`, `GREETING`). May be empty."""
    action: str
    """At the door the action (`reject`, `milter-reject`); else empty."""
    provider: str | None
    """Whose server the receiving host is."""
    listed: bool
    """Postfix named the list that blocked the client."""
    machine: bool = False
    """A remote reply names the address of a machine: as a rule ours, that of its client."""


def heard(facts: Facts, providers: Providers) -> Heard:
    if isinstance(facts, Reject):
        return (
            DOOR,
            without_numbers(without_addresses(_opened(facts.response[:LIMIT], facts.helo))),
            facts.smtp_code,
            facts.enhanced_code,
            facts.stage.upper(),
            facts.action,
            None,
            facts.dnsbl is not None,
            False,
        )
    return _of_delivery(facts, providers)


def _opened(response: str, helo: str | None) -> str:
    """Without codes and the value in front. A HELO name may hold anything, `>` too."""
    if helo and (">" in helo or "<" in helo or '"' in helo):
        text = without_codes(response)
        if text.startswith(f"<{helo}>: "):
            return text[len(helo) + 4 :]
    return without_opening(response)


def _of_delivery(facts: Delivery, providers: Providers) -> Heard:
    reason = facts.response[:LIMIT]
    if reason.startswith(_SUSPENDED):
        reason = reason[len(_SUSPENDED) :]
    reply = facts.remote_reply
    relay = facts.relay
    host = relay.host if relay is not None else None
    if reply is None:
        if host is None and "[" in reason and (match := _PEER.match(reason)):
            host = match[1]
        return (
            OWN,
            without_numbers(without_addresses(without_codes(reason))),
            None,
            facts.enhanced_code,
            facts.status.upper(),
            "",
            providers.of_host(host) if host else None,
            False,
            False,
        )
    host = reply.host or host
    text, trace = without_trace(reply.text[:LIMIT])
    enhanced = reply.enhanced_code
    if enhanced is None and text.count(".") > 1 and (found := _IN_TEXT.search(text)):
        enhanced = found[0]  # `550 no mailbox here (#5.1.1)`
    if text[3:4] != "-":
        text = without_opening(text)
    text = without_addresses(text)
    machine = names_machine(text)
    provider = providers.of_host(host) if host else None
    if provider is None:
        provider = trace
    if provider is None:  # a provider's own code may be a number
        text = without_numbers(text)
    return (
        REMOTE,
        text,
        reply.smtp_code,
        enhanced,
        _place(reason, reply.command).upper(),
        "",
        provider,
        False,
        machine,
    )


def _place(reason: str, command: str | None) -> str:
    if reason.startswith(_WRAPPINGS):
        return next(place for opening, place in _PLACES if reason.startswith(opening))
    if command is not None:
        return command
    return "GREETING" if "refused to talk to me:" in reason else ""
