"""The mail server on the other side: it answers each recipient as its name asks for.

The part of the address before the first `+` picks the answer, so that one server plays them all:
`busy+anything@next.example` is told 450. Several answers with dots between them are for one attempt
after the other: `busy.busy.ok+anything` is taken at the third. It speaks LMTP to who says LHLO.
"""

import asyncio
import re
from collections import Counter
from contextlib import AsyncExitStack
from typing import Self

from tests.e2e.local import start_server

HOSTILE = "450 4.2.0 status=bounced (5.1.1) to=<x@y>, dsn=5.0.0, status=sent (in reply to no one)"
LONG = "550 5.7.1 " + "a reason that does not end " * 70
"""Under the 2048 bytes Postfix reads of a reply, over the 2000 it logs of a record."""

AT_RCPT = {
    "unknown": ["550 5.1.1 no such user here"],
    "moved": ["550-5.1.6 moved away", "550 5.1.6 (try, perhaps: elsewhere)"],
    "busy": ["450 4.2.1 mailbox busy, try later"],
    "quota": ["552 5.2.2 mailbox full"],
    "closing": ["421 4.3.2 closing for maintenance"],
    "hostile": [HOSTILE],
    "long": [LONG],
    "bare": ["550 no"],
}
AT_END_OF_DATA = {
    "spam": ["554 5.7.1 looks like spam"],
    "full": ["452 4.2.2 mailbox full for now"],
}
TAKEN = ["250 2.0.0 Ok: taken"]
DROPPED = "dropped"
"""The connection ends where the answer should come."""

_RECIPIENT = re.compile(r"RCPT TO:<([^>]*)", re.IGNORECASE)


class NextHop:
    """`greeting`: with another than 220, a server that refuses to talk."""

    def __init__(self, greeting: str = "220 next.example ESMTP") -> None:
        self._greeting = greeting
        self.port = 0
        self._attempts: Counter[str] = Counter()

    @classmethod
    async def start(cls, cleanup: AsyncExitStack, greeting: str | None = None) -> Self:
        hop = cls(greeting) if greeting else cls()
        hop.port = await start_server(hop._serve, cleanup)
        return hop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # Postfix hangs up when it likes
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _answer(writer, [self._greeting])
        names: list[str] = []
        is_lmtp = False
        while line := (await reader.readline()).decode().strip():
            verb = line.partition(" ")[0].upper()
            match verb:
                case "EHLO" | "LHLO":
                    is_lmtp = verb == "LHLO"
                    _answer(writer, ["250-next.example", "250-ENHANCEDSTATUSCODES", "250 SMTPUTF8"])
                case "RCPT":
                    name = self._turn(line)
                    if name == DROPPED:
                        return
                    if name not in AT_RCPT:
                        names.append(name)
                    _answer(writer, AT_RCPT.get(name, ["250 2.1.5 Ok"]))
                case "DATA":
                    _answer(writer, ["354 go on"])
                    await reader.readuntil(b"\r\n.\r\n")
                    answers = [AT_END_OF_DATA.get(name, TAKEN) for name in names]
                    if not is_lmtp:
                        answers = [max(answers, default=TAKEN)]
                    for answer in answers:
                        _answer(writer, answer)
                case "QUIT":
                    _answer(writer, ["221 2.0.0 Bye"])
                    return
                case _:
                    if verb in ("MAIL", "RSET"):
                        names.clear()
                    _answer(writer, ["250 2.0.0 Ok"])

    def _turn(self, line: str) -> str:
        """What this recipient's name asks for at this attempt."""
        found = _RECIPIENT.match(line)
        recipient = found[1].strip('"') if found else ""
        names = re.split(r"[+@]", recipient)[0].split(".")
        attempt = self._attempts[recipient]
        self._attempts[recipient] += 1
        return names[min(attempt, len(names) - 1)]


def _answer(writer: asyncio.StreamWriter, lines: list[str]) -> None:
    writer.write("".join(f"{line}\r\n" for line in lines).encode())
