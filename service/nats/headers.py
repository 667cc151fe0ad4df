"""Message headers at the cost of one.

nats-py encodes each header on its own, with a regular expression and four copies: for the nine
headers of an event that is a third of what publishing costs. The envelope's header lines are made
in one piece when the event is sealed, so here they pass as the tail of the first header's value,
through the public `headers=` argument. The client strips a value and replaces its line ends;
`_Verbatim` answers both with itself, as its lines are ours and hold nothing unescaped.
"""

from typing import Any

_CRLF = "\r\n"


class _Verbatim(str):
    __slots__ = ()

    def strip(self, chars: str | None = None, /) -> "_Verbatim":
        return self

    def translate(self, table: Any, /) -> "_Verbatim":
        return self


def with_message_id(message_id: str, header_lines: str) -> dict[str, str]:
    """`header_lines`: `name: value` lines joined by CR LF, without the last CR LF; may be empty."""
    value = f"{message_id}{_CRLF}{header_lines}" if header_lines else message_id
    return {"Nats-Msg-Id": _Verbatim(value)}
