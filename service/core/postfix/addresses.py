"""Addresses as Postfix logs them, and where one ends that holds the text around it.

In: pieces of a line. Out: whether they can be addresses, and the ways to divide them. Postfix
`global/quote_822_local.c`, `global/info_log_addr_form.c`.

In external form (`info_log_address_format`, default since 3.5) a local part that is no dot-string
stands in quotes. In internal form, the only one before, it stands as it is: `<foo bar@x.example>`,
`<x> to=<boss@y.example>`.
"""

from service.core.postfix.fragments import SPACE, optional, pattern

_DOT_STRING = rf'[^{SPACE}()<>@,;:\\"\[\]]+'
LOCAL_PART = rf'(?:{_DOT_STRING}|"[^"\\]*(?:\\.[^"\\]*)*")'
_DOMAIN = rf'(?:{_DOT_STRING}|\[[^{SPACE}<>"\]]{{0,64}}\])'
_ATOMS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u0080-\uffff-]+"
PLAIN_ADDRESS = optional(f"{_ATOMS}@{_ATOMS}")
"""The commonest ones: of two parts in the atoms of RFC 5322 and RFC 6532, or empty. A class that
says what it takes costs the engine half of one that says what it does not."""
ADDRESS = optional(LOCAL_PART + optional(f"@{_DOMAIN}"))
"""An address in external form, or one that needs no quotes.

What `quote_822_local` writes, and nothing looser: inside this grammar no address can end where its
writer did not end it. It leaves out addresses that begin with `@`, which Postfix takes for source
routes and prints as they are up to the first colon; and a colon outside quotes, which is in every
such address.
"""

_QUOTED = pattern(rf"{LOCAL_PART}(?:@|\Z)")
_MOST_WAYS = 12
"""How many ends of a sender are weighed, the last ones: a line may hold hundreds of them, and is
divided from a dozen places."""
# Stand for these meanwhile. Postfix prints no control characters.
_ESCAPED_BACKSLASH = "\0"
_ESCAPED_QUOTE = "\1"
_FROM = "from=<"
_TO = "to=<"
_THEN_TO = "> to=<"


def domain_of(address: str | None) -> str | None:
    if address and (at := address.rfind("@")) >= 0:
        return address[at + 1 :].lower() or None
    return None


def unquoted(address: str) -> str:
    """External to internal form."""
    if "\\" not in address:
        return address.replace('"', "")
    # Text by text: character by character a line of a few kilobytes was a tenth of a second.
    address = address.replace("\\\\", _ESCAPED_BACKSLASH).replace('\\"', _ESCAPED_QUOTE)
    address = address.replace('"', "").replace("\\", "")
    return address.replace(_ESCAPED_QUOTE, '"').replace(_ESCAPED_BACKSLASH, "\\")


def may_be_address(text: str) -> bool:
    """Whatever its local part: an address that Postfix took has a clean domain."""
    domain = text.rpartition("@")[2] if "@" in text else ""
    return not (" " in domain or "<" in domain or ">" in domain or '"' in domain)


def opens_a_quote(address: str) -> bool:
    """Whether it begins as a quoted local part that does not end."""
    return address.startswith('"') and not _QUOTED.match(address)


def divide_addresses(text: str, start: int, end: int) -> list[tuple[str | None, str | None]]:
    """The ways to read `from=<sender> to=<recipient>` in `text[start:end]`, best last: the last
    ` to=<` leaves the recipient clean."""
    if text.startswith(_TO, start):
        recipient = text[start + len(_TO) : end - 1]
        return [(None, recipient)] if may_be_address(recipient) else []
    if not text.startswith(_FROM, start):
        return []
    first = start + len(_FROM)
    whole = text[first : end - 1]
    alone: list[tuple[str | None, str | None]] = [(whole, None)] if may_be_address(whole) else []
    both: list[tuple[str | None, str | None]] = []
    cut = text.rfind(_THEN_TO, first, end)
    for _ in range(_MOST_WAYS):
        if cut < 0:
            break
        sender, recipient = text[first:cut], text[cut + len(_THEN_TO) : end - 1]
        if may_be_address(sender) and may_be_address(recipient):
            both.append((sender, recipient))
        cut = text.rfind(_THEN_TO, first, cut)
    return [*alone, *reversed(both)]


def is_inside(before: str) -> bool:
    """Whether a bracket or a quote is open behind that: what follows may be a stranger's words."""
    return before.count("<") != before.count(">") or before.count('"') % 2 == 1
