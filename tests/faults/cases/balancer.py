"""Receivers behind one address: HAProxy with the lines that `docs/scaling.md` shows."""

import re
import signal
from pathlib import Path

from benchmarks.relp import RelpSender
from tests.e2e.child import Child
from tests.e2e.packages import require_program
from tests.faults.case import Outcome, Size, compare
from tests.faults.lines import lines, times
from tests.faults.scene import HOST, Place, Scene
from tests.metric_values import value
from tests.ports import free_port

_DOCUMENT = Path(__file__).parents[3] / "docs" / "scaling.md"
_BLOCK = re.compile(r"^```\n(listen mailfault-relp\n.*?)^```$", re.DOTALL | re.MULTILINE)
_SERVER = re.compile(r"^    server ([a-z]) \S+$", re.MULTILINE)
_SETTINGS = {"RELP__PROXY_PROTOCOL_FROM": HOST}


async def receiver_killed(scene: Scene, size: Size) -> Outcome:
    """All that comes from one address goes to one receiver; when that dies, to one other."""
    places = [await scene.receive(_SETTINGS) for _ in range(3)]
    port = await _haproxy(scene, places)
    sender = RelpSender([(HOST, port)], lines(0, size.lines))
    feed = scene.feed_from(sender)
    await feed.reached(size.lines // 3)
    (first,) = [place for place in places if await _received(place)]
    await first.kill()
    await feed.finished()
    others = [place for place in places if place is not first and await _received(place)]
    outcome = compare(times(range(size.lines)), await scene.stored(size.lines))
    outcome.check(len(others) == 1, f"{len(others)} took its place, not one")
    outcome.notes["resent"] = sender.sent - size.lines
    return outcome


async def _haproxy(scene: Scene, places: list[Place]) -> int:
    program = require_program("haproxy", "haproxy")
    block = _BLOCK.search(_DOCUMENT.read_text(encoding="utf-8"))
    assert block is not None
    port = free_port()
    rest = iter(places)

    def server(match: re.Match[str]) -> str:
        place = next(rest)
        return f"    server {match[1]} {HOST}:{place.ports['relp']} port {place.ports['http']}"

    text, count = _SERVER.subn(server, block[1].replace("bind :2514", f"bind {HOST}:{port}"))
    assert count == len(places)
    config = scene.home / "haproxy.cfg"
    config.write_text(text, encoding="utf-8")
    check = await Child.start(program, "-c", "-f", config)
    assert await check.ended() == 0, check.output
    child = await Child.start(program, "-db", "-f", config)
    scene.cleanup.push_async_callback(child.stop, signal.SIGKILL)
    return port  # senders come again until it is there


async def _received(place: Place) -> float:
    return value(await place.receiver.get("/metrics"), "frames_received_total", transport="relp")
