"""Who runs the receiving server, and the code of its own that a reply carries.

In: `[[provider]]` tables, a host, a reply. Out: the provider's name; its code, such as `S3140` or
`TSS04`. Whose server it is tells its host; of a host that nobody knows (a relay or a filter that
hands replies on, a customer's own name for the server) the pages that the reply sends its reader
to.

    name       in events, and label of a metric
    hosts      its servers: hosts of these names, and all below them
    codes      shapes of its own codes
    pages      hosts of pages that only its own replies name
    enhanced   true: it documents its enhanced codes as its own (`4.7.28`), and they are its code
               where the reply has no other
    source     where the facts are documented

The shape of a code is written out: `#` is a digit, `%` three to ten digits, `@` a capital letter,
anything else itself, as are these three behind a backslash.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from service.core.classify.values import (
    RuleError,
    identifier,
    names,
    shown,
    text,
    yes_or_no,
)

MAX_CODES = 64
"""Shapes of one provider: each is tried at every letter of a reply."""
MAX_HOST = 253
"""Characters of a host name (RFC 1035 2.3.4, without the last dot)."""
REMEMBERED: Final = 4096
"""Hosts whose provider is known at once."""

_CLASSES = {"#": r"\d", "%": r"\d{3,10}", "@": "[A-Z]"}
_SHAPE = re.compile(r"(?:[A-Za-z0-9#%@:_()-]|\\[#%@]){2,24}")
_PARTS = re.compile(r"\\?.")
_AMBIGUOUS = re.compile(r"%[%#0-9]|[#0-9]%")
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")


class Provider(NamedTuple):
    name: str
    hosts: frozenset[str] = frozenset()
    codes: tuple[str, ...] = ()
    enhanced: bool = False
    pages: frozenset[str] = frozenset()


class Providers:
    """All that are known. Of two with a host, or with codes, the first stands."""

    def __init__(self, known: Iterable[Provider]) -> None:
        hosts: dict[str, str] = {}
        codes: dict[str, re.Pattern[str]] = {}
        enhanced: set[str] = set()
        names: set[str] = set()
        pages: dict[str, str] = {}
        for provider in known:
            names.add(provider.name)
            for host in provider.hosts:
                hosts.setdefault(host, provider.name)
            for page in provider.pages:
                pages.setdefault(page, provider.name)
            if provider.codes and provider.name not in codes:
                codes[provider.name] = _pattern(provider.codes)
            if provider.enhanced:
                enhanced.add(provider.name)
        self.names = frozenset(names)
        self._codes = codes
        self._enhanced = enhanced
        self._hosts = hosts
        self._pages = pages
        self._remembered: dict[str, str] = {}

    def of_host(self, host: str) -> str | None:
        """The provider of a host, by the longest known suffix of its name."""
        name = self._remembered.get(host)
        if name is None:
            name = _longest_suffix(self._hosts, host.lower()) or ""
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[host] = name
        return name or None

    def of_words(self, words: Iterable[str]) -> str | None:
        """The provider whose pages a reply names, by its words in the normal form."""
        pages = self._pages
        for word in words:
            if "." in word and (name := pages.get(word)) is not None:
                return name
        return None

    def code(self, name: str, text: str, enhanced: str | None) -> str | None:
        """The provider's own code in a reply of its server."""
        shapes = self._codes.get(name)
        if shapes is not None and (found := shapes.search(text)):
            return found[0]
        return enhanced if name in self._enhanced else None


def _longest_suffix(hosts: Mapping[str, str], host: str) -> str | None:
    rest = host[-255:].rstrip(".")
    while rest:
        if (name := hosts.get(rest)) is not None:
            return name
        rest = rest.partition(".")[2]
    return None


def _pattern(shapes: Iterable[str]) -> re.Pattern[str]:
    codes = "|".join(
        "".join(_CLASSES.get(part, re.escape(part[-1])) for part in _PARTS.findall(shape))
        for shape in shapes
    )
    return re.compile(rf"(?<![A-Za-z0-9_])(?:{codes})(?![A-Za-z0-9_])", re.ASCII)


def _hosts(values: object) -> frozenset[str]:
    hosts = names(values, MAX_HOST)
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise RuleError(
                f"{shown(host)} is not a domain: write it in lower case and without *, as "
                "mx.example.org; hosts below it count too"
            )
    return hosts


def _codes(values: object) -> tuple[str, ...]:
    shapes = sorted(names(values))
    if len(shapes) > MAX_CODES:
        raise RuleError(f"{len(shapes)} shapes; at most {MAX_CODES}: let # and @ stand for several")
    for shape in shapes:
        if not _SHAPE.fullmatch(shape):
            raise RuleError(
                f"{shown(shape)} is not the shape of a code: 2 to 24 letters, digits and # % @ : _ "
                "( ) -"
            )
        # How many digits each took could be told in many ways, and a hostile text has them all
        # tried.
        if _AMBIGUOUS.search(shape.replace("\\%", "_").replace("\\#", "_")):
            raise RuleError(f"{shown(shape)}: % cannot stand beside another digit")
    return tuple(shapes)


PARSERS: Mapping[str, Callable[[object], Any]] = {
    "name": identifier,
    "hosts": _hosts,
    "codes": _codes,
    "enhanced": yes_or_no,
    "pages": _hosts,
    "source": text,
}
