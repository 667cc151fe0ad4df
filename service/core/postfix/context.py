"""The context that ends a reject line, found from the right: who sent what to whom, and how.

In: text and where free text begins. Out: `Context`, or None where the line has none. Writers:
Postfix `smtpd/smtpd_check.c:log_whatsup`, `smtpd/smtpd.c:smtpd_whatsup`.

    <text>; from=<sender> to=<recipient> proto=ESMTP helo=<name> sasl_method=LOGIN sasl_username=u

Everything in it is the client's word, and so may be the text. What can be relied on:

* The HELO name holds no `<>;@` nor space (smtpd replaces them), so `proto=P helo=<name>` at the
  end of the line is an anchor. Only at the HELO stage itself the raw name is logged.
* Addresses in external form cannot end before their writer ended them (`addresses.ADDRESS`): at
  most one context in that grammar reaches the anchor.
* A SASL login name is logged raw, behind the anchor, and was accepted by the server.

Without quotes (`info_log_address_format = internal`, the only form before 3.5) an address and the
text can imitate everything between them. There the choice is: an address that the refusal
repeats, as `<address>: Relay access denied` does, else the last context and the last ` to=<`.
"""

from dataclasses import dataclass
from typing import NamedTuple

from service.core.postfix.addresses import ADDRESS, divide_addresses, is_inside, unquoted
from service.core.postfix.fragments import HELO, PROTOCOL, SPACE, pattern
from service.core.postfix.reply import codes


@dataclass(slots=True)
class Context:
    start: int
    """Where the text before it ends."""
    sender: str | None = None
    recipient: str | None = None
    protocol: str | None = None
    helo: str | None = None
    sasl_method: str | None = None
    sasl_username: str | None = None
    sasl_sender: str | None = None
    partial: bool = False
    """The line ends inside the context."""


class _Sasl(NamedTuple):
    method: str | None
    username: str | None
    sender: str | None


_NO_SASL = _Sasl(None, None, None)
_MOST_PLACES = 12
"""How many imitations are weighed where addresses are not quoted."""
_HELO_STAGES = frozenset({"HELO", "EHLO"})
_NEEDS_SENDER = frozenset({"MAIL", "RCPT", "DATA", "BDAT", "END-OF-MESSAGE"})
_NEEDS_RECIPIENT = frozenset({"RCPT", "VRFY"})

_START = pattern(r";(?= (?:from=<|to=<|proto=))")
# Without a HELO name behind it, a protocol that is none was cut.
_END = (
    rf" proto=(?={PROTOCOL} helo=<|(?:E?SMTP|LMTP|QMQP|unknown)(?:\Z| sasl_))({PROTOCOL})"
    rf"(?: helo=<({HELO})>)?(?=\Z| sasl_)"
)
_STRICT = pattern(rf";(?: from=<({ADDRESS})>)?(?: to=<({ADDRESS})>)?{_END}")
_ANCHOR = pattern(_END)
_RAW_HELO = pattern(rf"; proto=({PROTOCOL}) helo=<")
# A raw name with a bracket in front is a bracketed one that was cut.
_SASL = pattern(
    r"(?: sasl_username=<(?P<quoted>.*)>"
    r"|(?: sasl_method=(?P<method>[^\s<>]{1,64}))?(?: sasl_username=(?P<raw>(?!<).*))?)\Z"
)
_SASL_SENDER = " sasl_sender="
_HELO_FIELD = " helo=<"
_VERDICT = pattern(r"Relay access denied|[A-Z][A-Za-z -]{1,30} rejected: ")
# One after the other and for good, as a possessive group would: those are matched wrongly by
# Python before 3.11.5. With the commas of postscreen, as others write them for smtpd, too.
_BROKEN_FIELDS = (
    pattern(rf" from=<({ADDRESS})>"),
    pattern(rf",? to=<({ADDRESS})>"),
    pattern(r",? proto=(E?SMTP)(?=,? |\Z)"),
    pattern(rf",? helo=<({HELO})>"),
)
_BROKEN_END = pattern(r"(?: (?:(?:from=|to=|proto=|helo=|sasl_).*|[a-z=]{0,6}))?\Z")
# Whose brackets, some or all, or all that was in them, a page has taken for markup.
_ANY_ADDRESS = rf"(?:<([^<>{SPACE}]{{0,320}})>|([^<>{SPACE}]{{0,320}}))"
_BARE = pattern(
    rf"; from={_ANY_ADDRESS} to={_ANY_ADDRESS}"
    rf" proto=(E?SMTP) helo=(?:<({HELO})>|([^<>{SPACE}]{{0,255}}))\Z"
)
_BARE_HELO = pattern(rf" helo=([^<>{SPACE}]{{1,255}})\Z")


def find_context(text: str, start: int, stage: str, may_be_cut: bool) -> Context | None:
    """`start`: where the refusal's text begins, a `;` there included. `may_be_cut`: the line."""
    if stage in _HELO_STAGES and (context := _at_helo(text, start)):
        return context
    places = [place.start() for place in _START.finditer(text, start)]
    strict = [context for place in places if (context := _strict(text, place))]
    if len(places) == 1 and strict and not _hides_anchor(strict[0]):
        return strict[0]
    plain = [context for context in strict if not _hides_anchor(context)]
    with_login = [context for context in strict if _hides_anchor(context)]
    loose = _loose(text, start, places[-_MOST_PLACES:])
    readings = with_login + [way for way in loose if _is_complete(way, stage)] + plain
    if readings:
        return _best(readings, text, start, stage)
    if len(places) > 1:
        return None
    # What has lost its brackets is easily imitated: not where a client may have written the end.
    bare = None if may_be_cut else _bare(text, start)
    return bare or (_broken(text, places[0]) if places else None)


def _bare(text: str, start: int) -> Context | None:
    match = _BARE.search(text, start)
    if match is None or is_inside(text[start : match.start()]):
        return None
    quoted_sender, sender, quoted_recipient, recipient, protocol, quoted_helo, helo = match.groups()
    return Context(
        match.start(),
        sender or quoted_sender,
        recipient or quoted_recipient,
        protocol,
        helo or quoted_helo or None,
        partial=helo == "",  # as likely cut there
    )


def _strict(text: str, place: int) -> Context | None:
    """The context at `place`, if its addresses are quoted as they must be."""
    match = _STRICT.match(text, place)
    if match is None or (sasl := _sasl(text, match.end())) is None:
        return None
    sender, recipient, protocol, helo = match.groups()
    return Context(place, sender, recipient, protocol, helo or None, *sasl)


def _sasl(text: str, start: int) -> _Sasl | None:
    """What follows the anchor to the end of the line; None where it is something else."""
    if start == len(text):
        return _NO_SASL
    # Postfix 3.10 and later; an xtext, so without spaces.
    sender = None
    end = len(text)
    place = text.rfind(_SASL_SENDER, start)
    if place >= 0 and " " not in text[place + len(_SASL_SENDER) :] and text[-1] != ">":
        sender = text[place + len(_SASL_SENDER) :]
        end = place
    match = _SASL.match(text, start, end)
    if match is None:
        return None
    return _Sasl(match["method"], match["quoted"] or match["raw"] or None, sender or None)


def _hides_anchor(context: Context) -> bool:
    """A login name with an anchor in it is rather a part of what is no login name."""
    return context.sasl_username is not None and " proto=" in context.sasl_username


def _best(readings: list[Context], text: str, start: int, stage: str) -> Context:
    """Complete for its stage, an address of it repeated by the text, last."""
    complete = [context for context in readings if _is_complete(context, stage)]
    echoed = [context for context in complete or readings if _is_echoed(context, text, start)]
    return (echoed or complete or readings)[-1]


def _is_complete(context: Context, stage: str) -> bool:
    if stage in _NEEDS_SENDER and context.sender is None:
        return False
    return stage not in _NEEDS_RECIPIENT or context.recipient is not None


def _is_echoed(context: Context, text: str, start: int) -> bool:
    """`554 5.7.1 <address>: Relay access denied`: smtpd repeats what it refused, without quotes."""
    words = codes(text, start)[2]
    for address in (context.recipient, context.sender):
        for written in (address, unquoted(address)) if address else ():
            echo = f" <{written}>: "
            if text.startswith(echo, words) and _VERDICT.match(text, words + len(echo)):
                return True
    return False


def _loose(text: str, start: int, places: list[int]) -> list[Context]:
    """Readings whose addresses hold what they should not, in the order of preference, best last."""
    end = len(text)
    for _ in range(_MOST_PLACES):
        end = text.rfind("> proto=", start, end) + 1
        if end == 0:
            break
        anchor = _ANCHOR.match(text, end)
        if anchor and (sasl := _sasl(text, anchor.end())):
            protocol, helo = anchor.groups()
            found = [
                Context(place, sender, recipient, protocol, helo or None, *sasl)
                for place in places
                if place < end
                for sender, recipient in divide_addresses(text, place + 2, end)
            ]
            if found:
                return found
    return []


def _at_helo(text: str, start: int) -> Context | None:
    """At its own stage the HELO name is raw; but the refusal repeats it, and it comes alone."""
    if not text.endswith(">"):
        return None
    found = []
    for match in _RAW_HELO.finditer(text, start):
        found.append(Context(match.start(), None, None, match[1], text[match.end() : -1] or None))
        if len(found) == _MOST_PLACES:
            break
    for context in found:
        refusal = text[start : context.start]
        if context.helo and (f"<{context.helo}>" in refusal or f"[{context.helo}]" in refusal):
            return context
    return found[0] if found else None


def _broken(text: str, place: int) -> Context | None:
    """A line that was cut inside its only context: the fields that are whole."""
    position = place + 1
    fields: list[str | None] = []
    for field in _BROKEN_FIELDS:
        match = field.match(text, position)
        fields.append(match[1] if match else None)
        position = match.end() if match else position
    end = _BROKEN_END.match(text, position)
    if end is None:
        return None
    sender, recipient, protocol, helo = fields
    rest = end[0]
    if protocol and rest.startswith(_HELO_FIELD) and rest.endswith(">"):
        # Not cut, but from a writer that does not clean the HELO name.
        helo, rest = rest[len(_HELO_FIELD) : -1], ""
    elif protocol and (bare := _BARE_HELO.fullmatch(rest)):
        helo, rest = bare[1], ""  # nor does Postfix leave out the bracket in front
    return Context(place, sender, recipient, protocol, helo or None, partial=bool(rest))
