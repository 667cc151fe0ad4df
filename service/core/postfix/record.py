"""What stands around the text of every Postfix record: the tag, a severity word, folded repeats.

In: tag and text of a syslog message. Out: who logged it, and the text without its wrapping.
Postfix `global/mail_task.c` (tag), `util/msg_syslog.c` (severity word, 2000 bytes of text).
"""

from typing import Final, NamedTuple

from service.core.postfix.fragments import pattern
from service.core.postfix.remembered import remember

MAX_TEXT: Final = 8192
"""Characters that are looked at: four times what Postfix writes, so that no line costs more."""
MAX_TAG: Final = 255
"""A tag is remembered, so its length must be bounded; RFC 5424 6.2.5 allows 48 characters."""
_RECORD_BYTES: Final = 2000
"""MSG_SYSLOG_RECLEN and MSG_LOGGER_RECLEN: Postfix cuts there, without a mark."""
_SHORTEST_CUT: Final = _RECORD_BYTES // 4
"""No text of fewer characters can have that many bytes."""
_MOST_REPEATS = 1000

_DAEMONS = (
    "anvil bounce cleanup discard dnsblog error flush lmtp local master nqmgr oqmgr pickup pipe "
    "postlogd postscreen proxymap qmgr qmqpd scache showq smtp smtpd spawn tlsmgr tlsproxy "
    "trivial-rewrite verify virtual"
)
_COMMANDS = "postdrop postfix-script postlog postqueue postsuper sendmail"
PROGRAMS = frozenset(f"{_DAEMONS} {_COMMANDS}".split())

_SEVERITY: Final = pattern(r"(warning|error|fatal|panic): ")
_REPEATED: Final = pattern(r"message repeated ([0-9]{1,18}) times: \[ ?")


class Identity(NamedTuple):
    instance: str
    daemon: str | None


_IDENTITIES: Final[dict[str, Identity]] = {}


def identify(tag: str) -> Identity | None:
    """None for a program that is not Postfix, or no tag at all: no tag is that long."""
    if len(tag) > MAX_TAG:
        return None
    known = _IDENTITIES.get(tag)
    if known is not None:
        return known
    found = _identify(tag)
    return None if found is None else remember(_IDENTITIES, tag, found)


def _identify(tag: str) -> Identity | None:
    """`postfix` alone is what is left where a relay took the `/` for the end of the program
    name."""
    first, slash, _ = tag.partition("/")
    if not slash:
        return Identity(tag, None) if tag.startswith("postfix") else None
    last = tag.rpartition("/")[2]
    if first.startswith("postfix") or last in PROGRAMS:
        return Identity(first, last or None)
    return None


def split_severity(text: str) -> tuple[str | None, str]:
    """The word that Postfix puts in front of everything that is not information."""
    match = _SEVERITY.match(text)
    if match is None:
        return None, text
    return match[1], text[match.end() :]


def unfold(text: str) -> tuple[str, int]:
    """`message repeated 2 times: [ <text>]`, as rsyslog folds equal lines, and how often."""
    match = _REPEATED.match(text)
    if match is None:
        return text, 1
    return text[match.end() :].removesuffix("]"), max(1, min(int(match[1]), _MOST_REPEATS))


def is_cut(text: str) -> bool:
    """True where Postfix itself must have cut the record."""
    length = len(text)
    if length < _SHORTEST_CUT:
        return False
    if not text.isascii():
        # A replacement character stands for one byte, but for up to three at the end, where
        # the cut may have split a character.
        encoded = len(text.encode("utf-8", "surrogatepass"))
        length = encoded - 2 * text.count("\ufffd", 0, length - 1)
    return length >= _RECORD_BYTES
