"""RelpSession: what is answered, when, and in which order."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.framing.base import Block, Fault, Frame, Piece, flatten
from service.core.framing.relp import MAX_TXNR
from service.core.framing.relp_session import Batch, RelpSession
from service.core.outcomes import Drop, RelpRefusal
from tests.relp_wires import SOFTWARE, frame, ok, opening, syslog
from tests.strategies import cut, cuts

EVENT = b"status=bounced"
OPENED = b"1 rsp 66 200 OK\nrelp_version=0\nrelp_software=mailfault,test\ncommands=syslog\n"


def split(block: Block) -> Iterator[Piece]:
    """The first line alone, two and two of the rest."""
    lines = block.data.splitlines(keepends=True)
    yield Frame(lines[0][:-1])
    for place in range(1, len(lines), 2):
        pair = lines[place : place + 2]
        yield Block(b"".join(pair), len(pair))


class Peer:
    """A session and an intake that takes each read whole. Frames that hold `EVENT` give as many
    events as they hold it."""

    def __init__(self) -> None:
        self.session = RelpSession(65_536, SOFTWARE, split, self._answerable)
        self.undurable: list[tuple[Batch, int]] = []
        self.frames: list[bytes] = []
        self.faults: list[Fault] = []
        self.told = 0

    def _answerable(self) -> None:
        self.told += 1

    def take(self, batch: Batch) -> None:
        for index, piece in enumerate(batch.pieces):
            if isinstance(piece, Fault):
                self.faults.append(piece)
                continue
            self.frames += [frame.data for frame in flatten([piece]) if isinstance(frame, Frame)]
            for _ in range(piece.data.count(EVENT)):
                batch.expect(index)
                self.undurable.append((batch, index))

    def send(self, wire: bytes) -> bytes:
        self.take(self.session.feed(wire))
        return self.session.answers()

    def durable(self, place: int = 0) -> bytes:
        batch, index = self.undurable.pop(place)
        batch.durable(index)
        return self.session.answers()


@pytest.fixture
def peer() -> Peer:
    peer = Peer()
    assert peer.send(opening()) == OPENED
    return peer


class TestOpen:
    def test_the_answer_has_its_length(self) -> None:
        header, _, rest = OPENED.partition(b" 200")
        assert header == b"1 rsp %d" % (len(b"200" + rest) - 1)

    @pytest.mark.parametrize(
        "offers",
        [
            b"relp_version=0\ncommands=syslog",
            b"commands=syslog,x\nrelp_version=1\n",
            b"relp_version = 0\r\nunknown\ncommands=x,syslog\n=",
        ],
    )
    def test_enough(self, offers: bytes) -> None:
        assert Peer().send(frame(1, b"open", offers)) == OPENED

    @pytest.mark.parametrize(
        ("offers", "missing"),
        [
            (b"", b"relp_version"),
            (b"commands=syslog", b"relp_version"),
            (b"relp_version=\ncommands=syslog", b"relp_version"),
            (b"relp_version=one\ncommands=syslog", b"relp_version"),
            (b"relp_version=0", b"commands"),
            (b"relp_version=0\ncommands=", b"commands"),
            (b"relp_version=0\ncommands=syslogs", b"commands"),
        ],
    )
    def test_too_little_is_told_and_ends_the_session(self, offers: bytes, missing: bytes) -> None:
        peer = Peer()
        answer = peer.send(frame(1, b"open", offers) + syslog(2, EVENT))
        assert answer.startswith(b"1 rsp ")
        assert answer.endswith(b" 500 offer missing or not supported: " + missing + b"\n")
        assert peer.session.refusal is RelpRefusal.BAD_OFFERS
        assert peer.session.is_done
        assert not peer.frames

    def test_twice_is_refused_and_harms_nothing(self, peer: Peer) -> None:
        answer = peer.send(opening().replace(b"1", b"2", 1) + syslog(3, b"x"))
        assert answer == b"2 rsp 22 500 unexpected command\n" + ok(3)
        assert not peer.session.is_over

    def test_syslog_before_it_is_not_answered(self) -> None:
        peer = Peer()
        assert peer.send(syslog(1, EVENT)) == b""
        assert peer.session.is_done
        assert peer.session.refusal is RelpRefusal.NOT_OPEN
        assert [fault.kind for fault in peer.faults] == [Drop.NOT_OPEN]


class TestAnswers:
    def test_frames_without_events_at_once(self, peer: Peer) -> None:
        assert peer.send(syslog(2, b"a") + syslog(3, b"b") + syslog(4, b"")) == ok(2, 3, 4)
        assert peer.session.unanswered == 0

    def test_frames_with_events_once_durable(self, peer: Peer) -> None:
        assert peer.send(syslog(2, b"a") + syslog(3, EVENT) + syslog(4, b"b")) == ok(2)
        assert peer.session.unanswered == 2
        assert peer.send(syslog(5, b"c")) == b""
        assert peer.durable() == ok(3, 4, 5)
        assert peer.told == 1

    def test_every_event_of_a_frame(self, peer: Peer) -> None:
        assert peer.send(syslog(2, EVENT * 2)) == b""
        assert peer.durable() == b""
        assert peer.durable() == ok(2)

    def test_in_order_though_durable_in_another(self, peer: Peer) -> None:
        assert peer.send(b"".join(syslog(number, EVENT) for number in range(2, 6))) == b""
        assert peer.durable(2) == b""
        assert peer.durable(1) == b""
        assert peer.told == 0
        assert peer.durable(0) == ok(2, 3, 4)
        assert peer.durable(0) == ok(5)

    def test_other_commands_wait_their_turn(self, peer: Peer) -> None:
        assert peer.send(syslog(2, EVENT) + frame(3, b"starttls") + syslog(4, b"")) == b""
        assert peer.durable() == ok(2) + b"3 rsp 22 500 unexpected command\n" + ok(4)

    def test_hints_get_none(self, peer: Peer) -> None:
        assert peer.send(frame(0, b"noise", b"x") + syslog(2, b"a")) == ok(2)

    def test_the_number_after_the_last(self, peer: Peer) -> None:
        session = peer.session
        session._framer._txnr = MAX_TXNR
        session._received = session._answered = MAX_TXNR - 1
        assert peer.send(syslog(MAX_TXNR, EVENT) + syslog(1, b"") + frame(2, b"x")) == b""
        assert peer.durable() == ok(MAX_TXNR, 1) + b"2 rsp 22 500 unexpected command\n"

    @pytest.mark.parametrize("last", [998, 999, 1000, 1999, 2000, 123_000, MAX_TXNR])
    def test_the_numbers_about_a_full_thousand(self, peer: Peer, last: int) -> None:
        session = peer.session
        for count in (1, 2, 1500):
            numbers = [(last - 1 + more) % MAX_TXNR + 1 for more in range(count)]
            session._framer._txnr = last
            session._received = session._answered = last - 1
            assert peer.send(b"".join(syslog(number, b"") for number in numbers)) == ok(*numbers)


class TestEnd:
    def test_close_is_answered_after_all_before_it(self, peer: Peer) -> None:
        assert peer.send(syslog(2, EVENT) + frame(3, b"close") + syslog(4, b"x")) == b""
        assert peer.session.is_over
        assert not peer.session.is_done
        assert peer.durable() == ok(2, 3)
        assert peer.session.is_done
        assert peer.session.refusal is None
        assert peer.frames == [EVENT]

    def test_a_broken_frame_is_not_answered_those_before_it_are(self, peer: Peer) -> None:
        answer = peer.send(syslog(2, b"a") + syslog(3, EVENT) + syslog(4, b"b") + b"6 syslog 1 c\n")
        assert answer == ok(2)
        assert peer.session.is_done
        assert peer.session.refusal is RelpRefusal.OUT_OF_SEQUENCE
        assert [fault.kind for fault in peer.faults] == [Drop.OUT_OF_SEQUENCE]

    def test_half_a_frame_is_lost(self, peer: Peer) -> None:
        peer.send(syslog(2, b"a") + b"3 syslog 5 ab")
        assert peer.session.buffered_bytes == 2
        peer.take(peer.session.end())
        assert [fault.kind for fault in peer.faults] == [Drop.CUT_SHORT]
        assert not peer.session.is_over

    def test_durable_after_the_end_is_harmless(self, peer: Peer) -> None:
        peer.send(syslog(2, EVENT))
        peer.take(peer.session.end())
        assert peer.durable() == ok(2)


def test_every_fault_that_ends_a_session_has_a_reason() -> None:
    for kind in (Drop.BAD_FRAME, Drop.OUT_OF_SEQUENCE, Drop.TOO_LONG, Drop.NOT_OPEN):
        assert RelpRefusal(kind.value)


@given(
    st.lists(st.sampled_from([b"", b"a", EVENT, EVENT * 2, None]), max_size=30),
    cuts(),
    st.randoms(use_true_random=False),
)
def test_answers_are_complete_in_order_and_never_early(
    lines: list[bytes | None], points: list[int], random: Random
) -> None:
    wires = [
        frame(number, b"x") if line is None else syslog(number, line)
        for number, line in enumerate(lines, 2)
    ]
    wanted = [
        b"%d rsp 22 500 unexpected command\n" % number if line is None else ok(number)
        for number, line in enumerate(lines, 2)
    ]
    peer = Peer()
    answered = b""
    for data in cut(opening() + b"".join(wires), points):
        answered += peer.send(data)
        while peer.undurable and random.random() < 0.3:
            answered += peer.durable(random.randrange(len(peer.undurable)))
        count = answered.removeprefix(OPENED).count(b" rsp ")
        waiting = {batch._ticket_of[index] for batch, index in peer.undurable}
        if waiting:
            assert count + 1 < min(waiting)
    while peer.undurable:
        answered += peer.durable(random.randrange(len(peer.undurable)))
    assert answered == OPENED + b"".join(wanted)
    assert peer.session.unanswered == 0
