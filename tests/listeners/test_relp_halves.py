"""A large read is taken in two halves, and answers are gathered: when, and that nothing is lost,
reordered or answered early, whatever happens in between."""

import asyncio

from service.core.outcomes import Drop, Refusal
from service.listeners.relp_config import RelpConfig
from service.listeners.relp_speaker import RelpSpeaker
from service.metrics import Metrics
from service.received import Origin
from tests.fakes import FakeIntake
from tests.relp_wires import frame, ok, opening, syslog

EVENT = b"<22>mx postfix/smtp[1]: status=bounced " + b"x" * 500
PLAIN = b"<22>mx postfix/smtp[1]: status=sent " + b"x" * 500
LINES = [EVENT, *[PLAIN] * 19, EVENT, *[PLAIN] * 18, EVENT]
READ = b"".join(syslog(number, line) for number, line in enumerate(LINES, 2))
LAST = len(LINES) + 1


class KeptWire:
    """Keeps what is written; implements `service.listeners.session.Wire`."""

    is_rated = False
    unsent_bytes = 0

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_written = asyncio.Event()
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.is_written.set()

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def pause(self) -> None:
        raise AssertionError

    def resume(self) -> None:
        raise AssertionError

    def spent(self, frames: int) -> None:
        raise AssertionError

    def warn(self, event: str, **facts: object) -> None:
        pass

    def refuse(self, reason: Refusal, **facts: object) -> None:
        raise AssertionError


class Spoken:
    """A session that is open."""

    def __init__(self) -> None:
        self.wire = KeptWire()
        self.intake = FakeIntake()
        origin = Origin("relp", "192.0.2.1", 1)
        self.speaker = RelpSpeaker(
            self.wire, origin, RelpConfig(), self.intake, Metrics(), set()
        )  # fmt: skip
        self.speaker.data_received(opening())
        assert self.wire.written.pop().startswith(b"1 rsp ")
        self.wire.is_written.clear()


def answered(*numbers: int) -> list[bytes]:
    return [ok(*numbers)]


async def test_the_second_half_is_taken_in_the_next_turn() -> None:
    spoken = Spoken()
    spoken.speaker.data_received(READ)
    first = list(spoken.intake.frames)
    assert 15 < len(first) < 25
    assert spoken.speaker.buffered_bytes > 8000
    spoken.intake.make_durable(1)
    await asyncio.sleep(0)
    assert spoken.intake.frames == LINES
    assert spoken.speaker.buffered_bytes == 0


async def test_nothing_of_the_second_half_is_answered_before_it_is_taken() -> None:
    spoken = Spoken()
    spoken.speaker.data_received(READ)
    half = len(spoken.intake.frames)
    spoken.intake.make_durable()
    spoken.speaker.say_goodbye()  # answers whatever can be
    assert spoken.wire.written[0] == ok(*range(2, half + 2))


async def test_what_comes_before_the_next_turn_comes_after_the_second_half() -> None:
    spoken = Spoken()
    spoken.speaker.data_received(READ)
    spoken.speaker.data_received(syslog(LAST + 1, PLAIN))
    assert spoken.intake.frames == [*LINES, PLAIN]
    spoken.intake.make_durable()
    await asyncio.sleep(0)
    assert spoken.wire.written == answered(*range(2, LAST + 2))


async def test_the_end_of_file_and_the_loss_of_the_connection_come_after_it_too() -> None:
    for end in ("eof", "lost"):
        spoken = Spoken()
        spoken.speaker.data_received(READ + b"99 sysl")
        if end == "eof":
            assert spoken.speaker.eof()
        spoken.speaker.lost(Drop.CUT_SHORT)
        assert spoken.intake.frames == LINES
        assert [fault.kind for fault in spoken.intake.faults] == [Drop.CUT_SHORT]


async def test_nothing_is_heard_after_a_broken_frame_in_the_first_half() -> None:
    spoken = Spoken()
    spoken.speaker.data_received(b"hello" + READ)
    await asyncio.sleep(0)
    assert spoken.intake.frames == []
    assert len(spoken.intake.faults) == 1
    assert spoken.wire.is_closed


async def test_one_large_frame_is_not_halved() -> None:
    spoken = Spoken()
    spoken.speaker.data_received(syslog(2, b"x" * 20_000))
    assert [len(line) for line in spoken.intake.frames] == [20_000]
    assert spoken.wire.written == answered(2)


async def test_answers_wait_for_those_behind_them() -> None:
    spoken = Spoken()
    spoken.speaker.data_received(syslog(2, PLAIN) + syslog(3, EVENT) + syslog(4, PLAIN))
    assert spoken.wire.written == []
    spoken.intake.make_durable()
    await asyncio.sleep(0)
    assert spoken.wire.written == answered(2, 3, 4)


async def test_but_not_for_long() -> None:
    spoken = Spoken()
    spoken.speaker.data_received(syslog(2, PLAIN) + syslog(3, EVENT))
    async with asyncio.timeout(5):
        await spoken.wire.is_written.wait()
    assert spoken.wire.written == answered(2)


async def test_a_close_is_not_kept_waiting() -> None:
    spoken = Spoken()
    spoken.speaker.data_received(syslog(2, PLAIN) + syslog(3, EVENT) + frame(4, b"close"))
    assert spoken.wire.written == answered(2)
    spoken.intake.make_durable()
    await asyncio.sleep(0)
    assert spoken.wire.written == [ok(2), ok(3, 4)]
    assert spoken.wire.is_closed
