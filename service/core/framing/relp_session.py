"""One RELP session: negotiation, and which answer is due when (librelp `doc/relp.md`).

Bytes go in, pieces for the intake come out, and, when what they carry is durable, the bytes to
answer with. Answers leave in the order of the commands. A syslog frame is answered when its events
are durable, one without events at once, each only after all before it. No syslog frame is ever
refused by an answer: librelp forgets a frame that was answered with 500. The connection is closed
instead, and the sender sends it again.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from service.core.framing.base import Block, Fault, Frame, Piece
from service.core.framing.relp import MAX_TXNR, Command, Item, RelpFramer
from service.core.outcomes import Drop, RelpRefusal

SERVERCLOSE: Final = b"0 serverclose 0\n"
"""Told to the peer before the receiver closes; it connects again and sends what is unanswered."""

_PRESSED: Final = 32
"""A quarter of librelp's window (128): with more unanswered the sender may soon have to stop."""
_OF_A_THOUSAND: Final = [b"%03d rsp 6 200 OK\n" % number for number in range(1000)]
_OF_THE_FIRST: Final = [b"%d rsp 6 200 OK\n" % number for number in range(1000)]
"""Answers to syslog frames; of larger numbers what follows the thousands."""
_VERSION: Final = b"relp_version"
_COMMANDS: Final = b"commands"


class Batch:
    """The pieces of one read. Implements `service.received.Receipts` for them."""

    __slots__ = ("_session", "_ticket_of", "pieces")

    def __init__(self, session: "RelpSession", pieces: list[Piece], ticket_of: list[int]) -> None:
        self._session = session
        self._ticket_of = ticket_of
        self.pieces = pieces

    @property
    def frames(self) -> int:
        return sum(p.count if isinstance(p, Block) else 1 for p in self.pieces)

    @property
    def is_pressed(self) -> bool:
        return self._session.unanswered >= _PRESSED

    def expect(self, piece: int) -> None:
        self._session.expect(self._ticket_of[piece])

    def durable(self, piece: int) -> None:
        self._session.durable(self._ticket_of[piece])


class RelpSession:
    """Commands that want an answer get tickets, 1, 2, 3 ...; a ticket is the transaction number as
    long as that does not start again."""

    def __init__(
        self,
        max_frame_bytes: int,
        software: bytes,
        split: Callable[[Block], Iterable[Piece]],
        on_answerable: Callable[[], None],
    ) -> None:
        """The lines of a block are answered together; `split` divides one into pieces, all lines in
        order, so that no line waits for another's events. `on_answerable` is called when something
        that was waited for has become durable, so that `answers` has something to give."""
        self._framer = RelpFramer(max_frame_bytes)
        self._software = software
        self._split = split
        self._on_answerable = on_answerable
        self._received = 0
        self._answered = 0
        self._waiting: dict[int, int] = {}
        """Events not yet durable, by ticket."""
        self._order: deque[int] = deque()
        """Tickets that wait or have waited, in order; the first one waits."""
        self._special: deque[tuple[int, bytes]] = deque()
        """Answers to other commands than syslog."""
        self._is_open = False
        self._is_over = False
        self.refusal: RelpRefusal | None = None
        """Set when we end the session; the connection is to be closed once `is_done`."""
        self.detail = ""
        """For the log."""

    def feed(self, data: bytes) -> Batch:
        """After the intake has taken the pieces, ask for `answers`."""
        return self._batch(self._framer.feed(data))

    def end(self) -> Batch:
        """The connection is over, or nothing more will be read from it."""
        return self._batch(self._framer.end())

    def _batch(self, items: Iterable[Item]) -> Batch:
        pieces: list[Piece] = []
        ticket_of: list[int] = []
        for item in items:
            if self._is_over:
                break
            if isinstance(item, Command):
                self._command(item)
            elif isinstance(item, Fault):
                pieces.append(self._broken(item))
            elif not self._is_open:
                pieces.append(self._broken(_not_open(item)))
            else:
                for piece in (item,) if isinstance(item, Frame) else self._split(item):
                    pieces.append(piece)
                    # Of a block the first: when it may be answered, so may the rest.
                    ticket_of.append(self._received + 1)
                    self._received += piece.count if isinstance(piece, Block) else 1
        return Batch(self, pieces, ticket_of)

    def _broken(self, fault: Fault) -> Fault:
        """What is unanswered stays so: the peer sends it again."""
        if fault.fatal:
            self.refusal = RelpRefusal(fault.kind.value)
            self.detail = fault.detail
            self._is_over = True
        return fault

    def _command(self, command: Command) -> None:
        if command.is_hint:
            return
        self._received += 1
        if command.name == b"open" and not self._is_open:
            answer = self._negotiate(command.data)
        elif command.name == b"close":
            self._is_over = True
            answer = b"200 OK"
        else:
            answer = b"500 unexpected command"
        self._special.append((self._received, answer))

    def _negotiate(self, data: bytes) -> bytes:
        offers = dict(_offer(line) for line in data.split(b"\n"))
        if not offers.get(_VERSION, b"").strip().isdigit():
            return self._bad_offers(_VERSION)
        if b"syslog" not in offers.get(_COMMANDS, b"").split(b","):
            return self._bad_offers(_COMMANDS)
        self._is_open = True
        # The peer decides whether version 0 will do; librelp knows no other.
        return b"200 OK\nrelp_version=0\nrelp_software=%s\ncommands=syslog" % self._software

    def _bad_offers(self, name: bytes) -> bytes:
        self.refusal = RelpRefusal.BAD_OFFERS
        self.detail = "offer missing or not supported: " + name.decode()
        self._is_over = True
        return b"500 " + self.detail.encode()

    # Receipts

    def expect(self, ticket: int) -> None:
        count = self._waiting.get(ticket, 0)
        self._waiting[ticket] = count + 1
        if not count:
            self._order.append(ticket)

    def durable(self, ticket: int) -> None:
        left = self._waiting[ticket] - 1
        if left:
            self._waiting[ticket] = left
            return
        del self._waiting[ticket]
        if ticket == self._order[0]:
            while self._order and self._order[0] not in self._waiting:
                self._order.popleft()
            self._on_answerable()

    # Answers

    def answers(self) -> bytes:
        """Everything that can be answered now and was not yet, as it goes on the wire."""
        limit = self._order[0] - 1 if self._order else self._received
        if limit == self._answered:
            return b""
        out: list[bytes] = []
        while self._special and self._special[0][0] <= limit:
            ticket, answer = self._special.popleft()
            self._acknowledge(ticket - 1, out)
            txnr = (ticket - 1) % MAX_TXNR + 1
            out.append(b"%d rsp %d %s\n" % (txnr, len(answer), answer))
            self._answered = ticket
        self._acknowledge(limit, out)
        return b"".join(out)

    def _acknowledge(self, up_to: int, out: list[bytes]) -> None:
        while self._answered < up_to:
            # Those of one thousand at once: only their thousands are not written already. The last
            # number of all ends a thousand.
            thousands, rest = divmod(self._answered % MAX_TXNR + 1, 1000)
            stop = rest + up_to - self._answered
            head = b"%d" % thousands if thousands else b""
            tails = (_OF_A_THOUSAND if thousands else _OF_THE_FIRST)[rest:stop]
            out.append(head + head.join(tails))
            self._answered += len(tails)

    @property
    def unanswered(self) -> int:
        """Frames received and not answered."""
        return self._received - self._answered

    @property
    def is_over(self) -> bool:
        """Nothing more is to be read: the peer said `close`, or was refused."""
        return self._is_over

    @property
    def is_done(self) -> bool:
        """The connection is to be closed: it is over, and what can be answered is. A peer whose
        frame was broken gets no further answers."""
        is_broken = self.refusal is not None and self.refusal is not RelpRefusal.BAD_OFFERS
        return self._is_over and (is_broken or not self.unanswered)

    @property
    def unfinished(self) -> int | None:
        """The ticket of a frame that has begun and not ended; None between frames."""
        return self._received + 1 if self._framer.is_inside_frame else None

    @property
    def buffered_bytes(self) -> int:
        return self._framer.buffered_bytes


def _not_open(item: Frame | Block) -> Fault:
    first = item.data.partition(b"\n")[0] if isinstance(item, Block) else item.data
    return Fault(Drop.NOT_OPEN, len(first), fatal=True, detail="a syslog frame before open")


def _offer(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b"=")
    return name.strip(), value.strip()
