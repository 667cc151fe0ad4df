"""Four receivers and a JetStream cluster of three nodes, each event and context kept three times:
receivers, nodes and the leader of the stream die one after another, while hosts send over RELP.

Each host has an order of receivers: it begins each attempt at its first, as a forwarder that has
seen it come back, and goes on at the next when that dies.
"""

import asyncio
import math
from dataclasses import dataclass, replace

from benchmarks.relp import RelpSender
from tests import mail_traffic
from tests.faults.case import Outcome, Size
from tests.faults.knowledge import Life, Taken
from tests.faults.scene import Feed, Place, Scene
from tests.faults.verdict import Sending, judge
from tests.metric_values import value
from tests.nats_server import RealNats

_RECEIVERS = 4
_HOSTS = 8
_WINDOW = 16
_LINES_A_MAIL = 12
_STREAMS = ("POSTFIX", "KV_mailfault_context")
_SETTINGS = {
    "NATS__STREAM__REPLICAS": "3",
    "SHARING__REPLICAS": "3",
    # What is known must be complete here: a machine with eight processes is to have the time.
    "SHARING__ASK_TIMEOUT": "0.9",
}
_LEAST_SECONDS = 0.8
"""An attempt of few lines takes as long, so that there is a midst of them."""


@dataclass(frozen=True)
class _Deaths:
    receiver: int | None = None
    follower: bool = False
    leader: bool = False

    @property
    def of_node(self) -> bool:
        return self.follower or self.leader


_PLAN = (
    _Deaths(receiver=0),
    _Deaths(),  # its hosts are back: what the others told of their messages is all there is
    _Deaths(follower=True),
    _Deaths(leader=True),
    _Deaths(receiver=1, leader=True),
)
"""By attempt, in the midst of its lines."""


async def cluster_failures(scene: Scene, size: Size) -> Outcome:
    # All at once, as after a power cut: each may be the one that makes the stream.
    homes = [scene.home / f"data{number}" for number in range(_RECEIVERS)]
    places = await asyncio.gather(*(scene.receive(_SETTINGS, home) for home in homes))
    fleet = _Fleet(scene, places, size.rate)
    await fleet.until_shared()
    sendings: list[Sending] = []
    for wave in range(size.ends):
        made = _hosts(wave, size.lines // size.ends // _HOSTS // _LINES_A_MAIL)
        for number in range(max(len(one.host.rounds) for one in made)):
            deaths = _PLAN[number] if number < len(_PLAN) else _Deaths()
            await fleet.attempt(made, number, deaths)
        sendings += made
    outcome = await judge(scene, sendings)
    for failure in fleet.failures:
        outcome.check(False, failure)
    outcome.notes["resent"] = fleet.resent
    return outcome


def _hosts(wave: int, mails: int) -> list[Sending]:
    return [
        Sending(
            mail_traffic.host(f"mx{number}.wave{wave}.example.org", 100 * wave + number, mails),
            [(number + step) % _RECEIVERS for step in range(_RECEIVERS)],
        )
        for number in range(_HOSTS)
    ]


def _connections(cut: tuple[int, int] | None, lines: int) -> set[int]:
    """How many a host must have had. Its last lines may have been answered by one that died."""
    if cut is None:
        return {1}
    return {2} if cut[0] + _WINDOW < lines else {1, 2}


class _Fleet:
    def __init__(self, scene: Scene, places: list[Place], rate: float | None) -> None:
        self._scene = scene
        self._places = places
        self._rate = rate
        self._lives = [Life(number, 0) for number in range(len(places))]
        self.failures: list[str] = []
        self.resent = 0

    async def until_shared(self) -> None:
        for place in self._places:
            await place.receiver.until(lambda text: value(text, "sharing_readable") == 1)
        await self._scene.cluster.whole(*_STREAMS)

    async def attempt(self, sendings: list[Sending], number: int, deaths: _Deaths) -> None:
        """All hosts send their lines of this attempt. Returns when what is to be known is told."""
        here = [one for one in sendings if number < len(one.host.rounds)]
        lives = list(self._lives)
        nodes = await self._doomed(deaths)
        feeds = [self._feed(one, number) for one in here]
        cuts = await self._kill(deaths, nodes, here, feeds, number)
        for feed in feeds:
            await feed.finished()
        for one, feed, cut in zip(here, feeds, cuts, strict=True):
            self._note(one, number, lives, cut, deaths)
            wanted = _connections(cut, len(one.host.rounds[number]))
            if feed.sender.connections not in wanted:
                self.failures.append(f"{one.host.name}: {feed.sender.connections} connections")
            self.resent += feed.sender.sent - len(feed.sender.tails)
        await self._rest()

    def _feed(self, one: Sending, number: int) -> Feed:
        addresses = [self._places[place].relp for place in one.order]
        lines = one.host.rounds[number]
        rate = min(self._rate or math.inf, len(lines) / _LEAST_SECONDS)
        sender = RelpSender(addresses, lines, _WINDOW, rate)
        return self._scene.feed_from(sender)

    async def _doomed(self, deaths: _Deaths) -> list[RealNats]:
        cluster = self._scene.cluster
        leader = await cluster.leader(_STREAMS[0])
        nodes = [leader] if deaths.leader else []
        if deaths.follower:
            nodes += [next(node for node in cluster.nodes if node is not leader)]
        return nodes

    async def _kill(
        self,
        deaths: _Deaths,
        nodes: list[RealNats],
        here: list[Sending],
        feeds: list[Feed],
        number: int,
    ) -> list[tuple[int, int] | None]:
        """For each host whose receiver died: the lines that were certainly taken by it, and those
        from which on the next one took them."""
        cuts: list[tuple[int, int] | None] = [None] * len(here)
        hit = [n for n, one in enumerate(here) if one.order[0] == deaths.receiver]
        if deaths == _Deaths():
            return cuts
        for n in hit or range(len(here)):
            await feeds[n].reached((len(here[n].host.rounds[number]) + 3) // 4)
        before = [feed.sender.acknowledged for feed in feeds]
        if deaths.receiver is not None:
            await self._places[deaths.receiver].kill()
            for n in hit:
                # What it had answered may still be read, and makes the sender send as much again.
                cuts[n] = (before[n], feeds[n].sender.acknowledged + 2 * _WINDOW)
        for node in nodes:
            await node.kill()
        for feed in feeds:
            await feed.finished()  # without them: the rest bears it
        for node in nodes:
            await node.start()
        if deaths.receiver is not None:
            await self._places[deaths.receiver].start()
            life = self._lives[deaths.receiver]
            self._lives[deaths.receiver] = replace(life, number=life.number + 1)
        return cuts

    def _note(
        self,
        one: Sending,
        number: int,
        lives: list[Life],
        cut: tuple[int, int] | None,
        deaths: _Deaths,
    ) -> None:
        first, second = (lives[place] for place in one.order[:2])
        lines = one.host.rounds[number]
        places = {line: place for place, line in enumerate(lines)}
        for mail in one.host.mails:
            if number >= len(mail.rounds):
                continue
            at = [places[line] for line in mail.rounds[number]]
            by: Life | None = first
            if cut is not None:
                by = first if max(at) < cut[0] else second if min(at) >= cut[1] else None
            has_died = cut is not None and by != second
            taken = Taken(by, has_died, deaths.of_node)
            one.taken.setdefault(mail.queue_id, []).append(taken)

    async def _rest(self) -> None:
        """As the minutes between two attempts: all are back, and have told what they know."""
        await self._scene.cluster.whole(*_STREAMS)
        for place in self._places:
            await place.receiver.until(
                lambda text: (
                    value(text, "sharing_readable") == 1 and value(text, "sharing_unwritten") == 0
                )
            )
            await place.receiver.metrics()
        await self._scene.cluster.quiet(_STREAMS[1])
        await self._scene.cluster.whole(*_STREAMS)
