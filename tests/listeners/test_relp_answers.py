"""When answers leave: gathered where others are to follow soon, and never kept for long."""

import asyncio

from service.core.outcomes import Refusal
from service.listeners.relp_config import RelpConfig
from service.listeners.relp_speaker import RelpSpeaker
from service.metrics import Metrics
from service.received import Origin
from tests.fakes import FakeIntake
from tests.relp_wires import frame, ok, opening, syslog

EVENT = b"<22>mx postfix/smtp[1]: status=bounced "
PLAIN = b"<22>mx postfix/smtp[1]: status=sent "


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
