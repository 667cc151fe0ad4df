"""A real rsyslogd, with omrelp and omfwd, while what it sends to dies."""

import asyncio

from tests.e2e.rsyslog import FailoverForm, Form
from tests.faults.case import Outcome, Size, compare
from tests.faults.lines import local_lines, times
from tests.faults.scene import Place, Scene

RELP = Form("relp", "50-mailfault-relp.conf")
TCP = Form("tcp", "50-mailfault-tcp.conf")

FAILOVER = "50-mailfault-failover.conf"


async def omrelp_receiver_killed(scene: Scene, size: Size) -> Outcome:
    place = await scene.receive()
    return await _killed(scene, size, RELP, place.ports["relp"], [place])


async def omfwd_nats_killed(scene: Scene, size: Size) -> Outcome:
    place = await scene.receive()
    return await _killed(scene, size, TCP, place.ports["tcp"], [])


async def omrelp_failover(scene: Scene, size: Size) -> Outcome:
    """The first dies while lines come, the second takes over, the first returns, and so on. Each
    time rsyslog may drop the one line by which it finds a receiver dead, and no more."""
    first, second = await scene.receive(), await scene.receive()
    form = FailoverForm("failover", FAILOVER, second=second.ports["relp"])
    outcome = await _killed(scene, size, form, first.ports["relp"], [first, second])
    outcome.may_lose = True
    outcome.check(outcome.lost <= size.ends, f"{outcome.lost} lost")
    return outcome


async def _killed(scene: Scene, size: Size, form: Form, port: int, places: list[Place]) -> Outcome:
    """Each time the next one of the places, or NATS where there is none. Of two places one is down
    until the other one is killed."""
    rsyslogd = await scene.rsyslogd(form, port)
    step = size.lines // (size.ends + 1)
    down: Place | None = None
    for part in range(size.ends + 1):
        first = part * step
        logging = asyncio.create_task(rsyslogd.log(local_lines(first, first + step)))
        if part < size.ends:
            await scene.wait_for(first + step // 4)
            if places:
                down = await _kill_next(places, part, down)
            else:
                await scene.restart_nats()
        await logging
    if down is not None:
        await down.start()
    # omrelp looks at a connection only when it has a line to send.
    count = (size.ends + 1) * step + 1
    await rsyslogd.log(local_lines(count - 1, count))
    return compare(times(range(count)), await scene.stored(count))


async def _kill_next(places: list[Place], number: int, down: Place | None) -> Place | None:
    """Returns which one is down now."""
    place = places[number % len(places)]
    await place.kill()
    if len(places) == 1:
        await place.start()
        return None
    if down is not None:
        await down.start()
    return place
