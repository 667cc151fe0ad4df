"""Who runs the receiving server, and the code of its own that a reply carries.

In: `[[provider]]` tables (`name`, `hosts`, `codes`, `enhanced`), a host, a reply. Out: the
provider's name; its code, such as `S3140` or `TSS04`.

The shape of a code is written out: `#` is a digit, `%` three to ten digits, `@` a capital letter,
anything else itself, as are these three behind a backslash. With `enhanced = true` the provider
documents its enhanced codes as its own (`4.7.28`), and they are its code where the reply has no
other.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from service.core.classify.conditions import RuleError, names

_KEYS = frozenset({"name", "hosts", "codes", "enhanced", "source"})
_CLASSES = {"#": r"\d", "%": r"\d{3,10}", "@": "[A-Z]"}
_SHAPE = re.compile(r"(?:[A-Za-z0-9#%@:_()-]|\\[#%@]){2,24}")
_PARTS = re.compile(r"\\?.")
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")


class Providers:
    def __init__(self, tables: Iterable[Mapping[str, object]]) -> None:
        self._hosts: dict[str, str] = {}
        self._codes: dict[str, re.Pattern[str]] = {}
        self._enhanced: set[str] = set()
        self._names: set[str] = set()
        for table in tables:
            self._add(table)
        self.of_host = lru_cache(maxsize=4096)(self._of_host)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._names)

    def _add(self, table: Mapping[str, object]) -> None:
        name = table.get("name")
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9_-]+", name):
            raise RuleError(f"a provider needs a name of a-z, 0-9, '-' and '_', not {name!r}")
        if unknown := sorted(table.keys() - _KEYS):
            raise RuleError(f"provider {name}: unknown key {unknown[0]!r}")
        self._names.add(name)
        for host in names(table.get("hosts", [])):
            if not _HOST.fullmatch(host):
                raise RuleError(f"provider {name}: {host!r} is not a domain in lower case")
            self._hosts.setdefault(host, name)  # the first file wins, as with rules
        shapes = sorted(names(table.get("codes", [])))
        for shape in shapes:
            if not _SHAPE.fullmatch(shape):
                raise RuleError(f"provider {name}: {shape!r} is not the shape of a code")
        if shapes and name not in self._codes:
            codes = "|".join(map(_pattern, shapes))
            self._codes[name] = re.compile(
                rf"(?<![A-Za-z0-9_])(?:{codes})(?![A-Za-z0-9_])", re.ASCII
            )
        enhanced = table.get("enhanced", False)
        if not isinstance(enhanced, bool):
            raise RuleError(f"provider {name}: enhanced is true or false")
        if enhanced:
            self._enhanced.add(name)

    def _of_host(self, host: str) -> str | None:
        """By the longest known suffix."""
        rest = host[-255:].rstrip(".")
        while rest:
            if (name := self._hosts.get(rest)) is not None:
                return name
            rest = rest.partition(".")[2]
        return None

    def code(self, name: str, text: str, enhanced: str | None) -> str | None:
        """The provider's own code in a reply of its server."""
        shapes = self._codes.get(name)
        if shapes is not None and (found := shapes.search(text)):
            return found[0]
        return enhanced if name in self._enhanced else None


def _pattern(shape: str) -> str:
    return "".join(_CLASSES.get(part, re.escape(part[-1])) for part in _PARTS.findall(shape))
