"""Fail-over between two receivers, by the files in `deploy/rsyslog/`: lines go to the first, to the
second while the first is away, to the first again once it is back, and wait while both are away.
An rsyslog that never gives a line up keeps all for the first.

What is lost is the one line by which rsyslog finds the first gone, over TCP and RELP. Nothing is,
where both share an address. `tests/faults/` plays the same under load (`omrelp-failover`).
"""

import signal
import subprocess

import pytest

from tests.e2e.house import House
from tests.e2e.packages import require_program
from tests.e2e.receiver import Receiver
from tests.e2e.rsyslog import FailoverForm, Form, Rsyslogd
from tests.e2e.test_rsyslog_queue import bounces
from tests.metric_values import assert_balanced, value

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

FILES = {"relp": "50-mailfault-failover.conf", "tcp": "50-mailfault-failover-tcp.conf"}
PART = 20
KEEP_TO_THE_FIRST = ("8.2504",)
"""Of Debian 13. They keep trying the line that they had when the first died (rsyslog's pull request
5945); 8.2302 and 8.2610 go on to the second."""


class Site:
    """Two receivers of one NATS, and a mail host that sends to them."""

    def __init__(self, house: House, second: Receiver, rsyslogd: Rsyslogd) -> None:
        self.house = house
        self.second = second
        self.rsyslogd = rsyslogd
        self.sent = 0

    async def send(self, count: int) -> set[str]:
        """Returns the queue ids in them."""
        first = self.sent
        self.sent += count
        await self.rsyslogd.log(bounces(first, self.sent))
        await self.rsyslogd.until_queued(f"user{self.sent - 1}@")
        return ids(first, self.sent)

    async def arrive(self, wanted: set[str]) -> None:
        await self.house.subscriber.until(lambda event: event.queue_id in wanted, len(wanted))

    async def restart_second(self) -> None:
        data, ports = self.house.directory / "second", self.second.ports
        self.second = await Receiver.start(data, self.house.nats_url, ports)
        self.house.cleanup.push_async_callback(self.second.child.stop)

    async def send_until_received(self, receiver: Receiver) -> set[str]:
        """One line after the other: rsyslog looks whether a receiver is there, or back, when it
        has one to send."""
        sent: set[str] = set()
        began = await received(receiver)
        while await received(receiver) == began:
            sent |= await self.send(1)
        return sent


def version_of_rsyslog() -> str:
    """Year and month of the release, as in `rsyslogd  8.2504.0 (aka 2025.04) compiled with:`."""
    program = require_program("rsyslogd", "rsyslog")
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stdout
    return said.split()[1].rpartition(".")[0]


def ids(first: int, end: int) -> set[str]:
    return {f"4ABC{number:05d}" for number in range(first, end)}


async def start(house: House, transport: str) -> Site:
    second = await Receiver.start(house.directory / "second", house.nats_url)
    house.cleanup.push_async_callback(second.child.stop)
    form = FailoverForm("failover", FILES[transport], second=second.ports[transport])
    rsyslogd = await house.rsyslogd(form, house.receiver.ports[transport])
    return Site(house, second, rsyslogd)


async def received(receiver: Receiver) -> float:
    return value(await receiver.metrics(), "frames_received_total")


@pytest.mark.parametrize("transport", sorted(FILES))
async def test_to_the_second_and_back(house: House, transport: str) -> None:
    site = await start(house, transport)
    await site.arrive(await site.send(PART))
    assert (await received(house.receiver), await received(site.second)) == (PART, 0)

    await house.receiver.child.stop(signal.SIGKILL)
    if transport == "relp" and version_of_rsyslog() in KEEP_TO_THE_FIRST:
        waiting = await site.send(PART)
        await house.restart_receiver()
        await site.arrive(waiting)
        assert await received(site.second) == 0, "it does go to the second"
        await _assert_each_once(site, set())
        return
    to_the_dead = await site.send_until_received(site.second)
    await site.arrive(await site.send(PART))
    assert await received(site.second) > PART

    await house.restart_receiver()
    await site.arrive(await site.send_until_received(house.receiver))
    before = await received(site.second)
    await site.arrive(await site.send(PART))
    assert await received(site.second) == before, "not back at the first"

    await _assert_each_once(site, to_the_dead)


async def test_two_that_share_an_address_lose_nothing(house: House) -> None:
    """As behind keepalived: the second, with data of its own, answers where the first did."""
    rsyslogd = await house.rsyslogd(
        Form("relp", "50-mailfault-relp.conf"), house.receiver.ports["relp"]
    )
    sent = 0
    for _ in range(3):
        await rsyslogd.log(bounces(sent, sent + 100))
        await house.subscriber.until(lambda event: True, count=sent + 1)
        await house.receiver.child.stop(signal.SIGKILL)
        sent += 100
        await rsyslogd.log(bounces(sent, sent + 1))
        sent += 1
        await house.start_another_receiver()
    await rsyslogd.log(bounces(sent, sent + 1))
    await house.subscriber.until(lambda event: True, count=sent + 1)
    arrived = sorted(str(arrival.event.queue_id) for arrival in house.subscriber.arrivals)
    assert arrived == sorted(ids(0, sent + 1))
    await house.subscriber.assert_all_stored()


async def test_lines_wait_while_both_are_away(house: House) -> None:
    site = await start(house, "relp")
    await site.arrive(await site.send(PART))
    await house.receiver.child.stop()
    await site.second.child.stop()
    waiting = await site.send(10 * PART)
    await site.restart_second()
    await house.restart_receiver()
    # The first of them may have been what rsyslog found the first one gone by.
    await site.arrive(set(sorted(waiting)[2:]))
    await site.arrive(await site.send_until_received(house.receiver))
    await _assert_each_once(site, waiting)


async def _assert_each_once(site: Site, may_be_lost: set[str]) -> None:
    subscriber = site.house.subscriber
    wanted = ids(0, site.sent)
    await site.arrive(wanted - may_be_lost)
    arrived = [str(arrival.event.queue_id) for arrival in subscriber.arrivals]
    assert len(arrived) == len(set(arrived))
    assert wanted - may_be_lost <= set(arrived) <= wanted
    assert len(wanted - set(arrived)) <= 1, "more than the line that found the first gone"
    await subscriber.assert_all_stored()
    for receiver in (site.house.receiver, site.second):
        if receiver.child.returncode is None:
            metrics = await receiver.metrics()
            assert_balanced(metrics)
            assert value(metrics, "frames_dropped_total") == 0
