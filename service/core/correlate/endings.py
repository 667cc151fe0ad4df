"""Deferred recipients whose waiting is over: since when, by which line, and how they had waited.

In: recipients, and the line that ended them, here or at another receiver. Out, for ten minutes: the
same recipients when that line comes again; what to tell other receivers; whether somebody waited.
"""

from dataclasses import dataclass

from service.core.correlate.memory import STAMP_BYTES, Bounds, Memory, stamp_of
from service.core.correlate.queued import NAME, key_of, name_of
from service.core.correlate.waiting import Waiting, pack, unpack, waiting_in

ENDED_SECONDS = 600
"""How long it is known of a recipient which line ended its waiting: as long as JetStream by default
knows an event id again."""
ENDED_SHARE = 128
"""Of what may be remembered that much of those that ended, twice, and then it is known no longer:
three thousand endings at least with the usual bounds, so those of the last fifty thousand lines."""


@dataclass(slots=True, init=False)
class End:
    """Of a recipient who waited."""

    name: bytes
    attempts: int
    """Seen in all."""
    by: str
    """Event id of the line that said so; empty where it is not known."""
    is_whole: bool
    """That line ended all of the message, as an expiry, and names no recipient."""
    waiting: Waiting | None
    """How he waited, as far as it is told."""

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(
        self, name: bytes, attempts: int, by: str, is_whole: bool, waiting: Waiting | None
    ) -> None:
        self.name = name
        self.attempts = attempts
        self.by = by
        self.is_whole = is_whole
        self.waiting = waiting


class Endings:
    def __init__(self, bounds: Bounds, recipients: Memory) -> None:
        """`recipients`: deferred ones by their keys. Those that end are closed there."""
        self._recipients = recipients
        self.lines = Memory(bounds, ENDED_SECONDS, ENDED_SHARE)
        """Recipients whose waiting a line ended, by its event id."""

    def end(self, key: bytes, ended: list[Waiting], by: str, is_whole: bool, seconds: int) -> None:
        """`by`, `is_whole`: as an `End` has them."""
        stamp = stamp_of(seconds)
        for waiting in ended:
            self._close(key_of(key, waiting.recipient), waiting, by, is_whole, stamp, seconds)
        self._remember(by, ended, stamp, seconds)

    def ended_by(self, line: str) -> list[Waiting]:
        """Whose waiting that line, by its event id, ended when it was here before."""
        value = self.lines.left(line.encode())
        return [] if value is None else list(map(unpack, value[STAMP_BYTES:].split(b"\n")))

    def is_end_of_any(self, line: str) -> bool:
        """Whether there is any such recipient."""
        return self.lines.left(line.encode()) is not None

    def left(self, its_key: bytes) -> bytes | None:
        """Of a recipient that does not wait any more, as far as known: when it ended, in
        `STAMP_BYTES`; the Unix time when it was last deferred, and what `ends` gives."""
        return self._recipients.left(its_key)

    def ends(self, key: bytes, names: list[bytes], is_gone: bool) -> list[End]:
        """Of those of them who waited a moment ago. `is_gone`: the message is, so that only what
        ended with all of it is told in full."""
        ends: list[End] = []
        ended_by: dict[str, dict[bytes, Waiting]] = {}
        for name in names:
            ended = self.left(key + NAME + name)
            if ended is None:
                continue
            _, attempts, is_whole, by = ended[STAMP_BYTES:].decode().split(" ", 3)
            waiting = None
            if is_whole == "1" or not is_gone:
                if by not in ended_by:
                    ended_by[by] = {name_of(one.recipient): one for one in self.ended_by(by)}
                waiting = ended_by[by].get(name)
            ends.append(End(name, int(attempts), by, is_whole == "1", waiting))
        return ends

    def ended_elsewhere(self, key: bytes, ends: list[End], seconds: int) -> None:
        """Another receiver saw it. The line may come here yet, sent again by who had no answer to
        it there: it gives the same then."""
        stamp = stamp_of(seconds)
        by_line: dict[str, list[Waiting]] = {}
        for end in ends:
            here, waiting = waiting_in(self._recipients, key + NAME + end.name), end.waiting
            if here is not None:
                # Who told it may have seen attempts that were missed here, or the other way round.
                if waiting is None or (here.is_counted and not waiting.is_counted):
                    waiting = here
                    waiting.attempts = max(here.attempts, end.attempts)
                self._close(key + NAME + end.name, waiting, end.by, end.is_whole, stamp, seconds)
            if waiting is not None and end.by:
                by_line.setdefault(end.by, []).append(waiting)
        for by, ended in by_line.items():
            before = self.ended_by(by)
            known = {waiting.recipient for waiting in before}
            news = [waiting for waiting in ended if waiting.recipient not in known]
            if news:
                self._remember(by, before + news, stamp, seconds)

    def _close(
        self,
        its_key: bytes,
        waiting: Waiting,
        by: str,
        is_whole: bool,
        stamp: bytes,
        seconds: int,
    ) -> None:
        told = b"%a %d %d %b" % (waiting.last_deferred, waiting.attempts, is_whole, by.encode())
        self._recipients.put(its_key, stamp + told)
        self._recipients.close(its_key, seconds)

    def _remember(self, by: str, ended: list[Waiting], stamp: bytes, seconds: int) -> None:
        name = by.encode()
        self.lines.renew(name, stamp + b"\n".join(map(pack, ended)))
        self.lines.close(name, seconds)
