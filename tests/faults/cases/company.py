"""Bad peers beside a good one, which must not notice them."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.faults.case import Outcome, Size, compare
from tests.faults.lines import line, times
from tests.faults.scene import HOST, Place, Scene, until
from tests.listeners.certificates import make
from tests.metric_values import assert_balanced, value

_BAD = ("127.0.0.2", 0)
"""Where the bad ones come from: limits count by address."""
_SLOW = 60
_FLOODS = 8
_PAUSE_SECONDS = 0.05
_Peer = Callable[[int, random.Random], Awaitable[None]]
_Attack = tuple[_Peer, int]
"""Which, and on which port."""
_SHORT = {"HALF_FRAME_TIMEOUT": "1", "MAX_CONNECTIONS_PER_ADDRESS": "100"}


async def slow_and_many(scene: Scene, size: Size) -> Outcome:
    """Peers that never finish a frame, and peers that connect and leave, on TCP and RELP."""
    env = {f"{table}__{name}": text for table in ("TCP", "RELP") for name, text in _SHORT.items()}
    place = await scene.receive(env)
    ports = [place.ports["tcp"], place.ports["relp"]]
    slow: list[_Attack] = [(_slowly, ports[n % 2]) for n in range(_SLOW)]
    flood: list[_Attack] = [(_connect_and_leave, ports[n % 2]) for n in range(_FLOODS)]
    async with _beside(slow + flood) as counts:
        outcome = await _good(scene, place, size, lambda: _has_stalled(place))
    outcome.notes["bad visits"] = sum(counts.values())
    return outcome


async def random_bytes(scene: Scene, size: Size) -> Outcome:
    """On the ports of RELP and TLS."""
    identity = make(scene.home / "tls", "receiver.example.net")
    place = await scene.receive(
        {
            "TLS__LISTEN": f"{HOST}:0",
            "TLS__CERT_FILE": str(identity.cert_file),
            "TLS__KEY_FILE": str(identity.key_file),
            "TLS__AUTH_MODE": "anon",
        }
    )
    tls = await place.receiver.port("tls")
    bad: list[_Attack] = [
        (_noise, port) for port in (place.ports["relp"], tls) for _ in range(_FLOODS)
    ]
    async with _beside(bad) as counts:
        outcome = await _good(scene, place, size, lambda: _has_refused(place))
    outcome.notes["bad visits"] = sum(counts.values())
    return outcome


async def _good(
    scene: Scene, place: Place, size: Size, was_bothered: Callable[[], Awaitable[bool]]
) -> Outcome:
    """At least until the bad ones have been dealt with."""
    feed = scene.feed(place, count=size.lines, rate=size.rate)
    await until(was_bothered, seconds=100)
    await feed.finished()
    outcome = compare(times(range(size.lines)), await scene.stored(size.lines))
    outcome.check(feed.sender.connections == 1, "the good sender was disconnected")
    return outcome


async def _has_stalled(place: Place) -> bool:
    text = await place.receiver.get("/metrics")
    return value(text, "frames_dropped_total", reason="stalled") >= _SLOW


async def _has_refused(place: Place) -> bool:
    text = await place.receiver.get("/metrics")
    assert_balanced(text)
    relp = value(text, "relp_sessions_refused_total")
    tls = value(text, "connections_refused_total", transport="tls")
    return min(relp, tls) >= _FLOODS


@asynccontextmanager
async def _beside(bad: list[_Attack]) -> AsyncIterator[dict[int, int]]:
    """Each of them again and again, as long as the block lasts. Yields how often."""
    counts = dict.fromkeys(range(len(bad)), 0)

    async def again(number: int, peer: _Peer, port: int) -> None:
        chance = random.Random(number)
        while True:
            try:
                await peer(port, chance)
            except (OSError, RuntimeError):
                pass  # turned away, which is the point; uvloop refuses to write then
            counts[number] += 1
            await asyncio.sleep(_PAUSE_SECONDS)

    async with asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(again(n, *attack)) for n, attack in enumerate(bad)]
        try:
            yield counts
        finally:
            for task in made:
                task.cancel()


async def _slowly(port: int, chance: random.Random) -> None:
    """Byte after byte, until it is disconnected."""
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=_BAD)
    try:
        data = b"1 open 50000 " if chance.random() < 0.5 else line(0)
        for at in range(len(data)):
            writer.write(data[at : at + 1])
            await writer.drain()
            try:
                async with asyncio.timeout(0.2):
                    await reader.read(1)
                return
            except TimeoutError:
                pass
    finally:
        writer.transport.abort()


async def _connect_and_leave(port: int, chance: random.Random) -> None:
    for _ in range(20):
        _, writer = await asyncio.open_connection(HOST, port, local_addr=_BAD)
        if chance.random() < 0.5:
            writer.transport.abort()
        else:
            writer.close()


async def _noise(port: int, chance: random.Random) -> None:
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=_BAD)
    try:
        beginning = chance.choice([b"", b"1 open 9 ", b"\x16\x03\x01\x02\x00\x01", b"1 syslog 5 "])
        writer.write(beginning + chance.randbytes(chance.randrange(1, 4096)))
        writer.write_eof()
        async with asyncio.timeout(1):
            await reader.read(4096)
    except TimeoutError:
        pass
    finally:
        writer.transport.abort()
