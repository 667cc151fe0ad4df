"""What a rule may ask about: the same few questions for a refusal and for a failed delivery.

In: `Facts`. Out: what was `heard`, without the parts a client chose that are cheap to tell: it
repeats from line to line, and verdicts are remembered by it. Of that a `Subject`, with the others
cut out too, so that the same refusal of a thousand recipients is one subject.
"""

import re
from typing import Final, NamedTuple

from service.core.classify.provider import Providers
from service.core.classify.wording import (
    LIMIT,
    names_machine,
    without_addresses,
    without_codes,
    without_free_numbers,
    without_numbers,
    without_opening,
    without_peers,
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

Heard = tuple[str, str, int | None, str | None, str, str, str | None, bool]
"""As a `Subject`, but with numbers in the text, and the place in letters as logged."""
Asked = tuple[str, str, int | None, str | None, str, str, str | None, bool, bool]
"""What a `Subject` is made of."""


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
            without_peers(without_addresses(_opened(facts.response[:LIMIT], facts.helo))),
            facts.smtp_code,
            facts.enhanced_code,
            facts.stage,
            facts.action,
            None,
            facts.dnsbl is not None,
        )
    return _of_delivery(facts, providers)


def asked_of(told: Heard) -> Asked:
    """Not yet a `Subject`: most need not be made, and one is dear to make."""
    said, text, smtp_code, enhanced, place, action, provider, listed = told
    machine = False
    if said == REMOTE:
        machine = names_machine(text)
        if provider is None:  # a provider's own code may be a number
            text = without_numbers(text)
    else:
        text = without_free_numbers(text)
    return said, text, smtp_code, enhanced, place.upper(), action, provider, listed, machine


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
            without_peers(without_addresses(without_codes(reason))),
            None,
            facts.enhanced_code,
            facts.status,
            "",
            providers.of_host(host) if host else None,
            False,
        )
    host = reply.host or host
    text = without_trace(reply.text[:LIMIT])
    enhanced = reply.enhanced_code
    if enhanced is None and text.count(".") > 1 and (found := _IN_TEXT.search(text)):
        enhanced = found[0]  # `550 no mailbox here (#5.1.1)`
    if text[3:4] != "-":
        text = without_opening(text)
    return (
        REMOTE,
        without_addresses(text),
        reply.smtp_code,
        enhanced,
        _place(reason, reply.command),
        "",
        providers.of_host(host) if host else None,
        False,
    )


def _place(reason: str, command: str | None) -> str:
    if reason.startswith(_WRAPPINGS):
        return next(place for opening, place in _PLACES if reason.startswith(opening))
    if command is not None:
        return command
    return "GREETING" if "refused to talk to me:" in reason else ""
