"""A whole mail site: Postfix with its neighbours, its log through rsyslog into the receiver, and a
subscriber. One for all Postfix tests, because Postfix takes seconds to start.

Tests share it without meeting: each uses addresses with a word of its own in them, `case`, and
looks at the events whose line has that word.
"""

import itertools
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from schemas import Event
from tests.e2e import milter, policy_server
from tests.e2e.house import House, build
from tests.e2e.next_hop import NextHop
from tests.e2e.postfix import (
    Postfix,
    config_directory,
    free_port,
    own_places,
    require_postfix,
)
from tests.e2e.rsyslog import LOCAL_HOST, Form
from tests.e2e.smtp_client import connected
from tests.metric_values import assert_balanced, value

_CONFIG = Path(__file__).parent / "postfix_config"
_SERVICES = ("smtpd", "early", "open", "milter", "strict", "postscreen")
"""Ways into this Postfix, each an smtpd (or postscreen) on a port of its own."""

_FORM = Form("tcp", "50-mailfault-tcp.conf")
_FENCES = itertools.count()


@dataclass
class MailSite:
    house: House
    postfix: Postfix

    async def events(self, case: str, count: int) -> list[Event]:
        """The events of this case, once there are `count` of them; more of them is a failure."""

        def is_of_case(event: Event) -> bool:
            return case in (event.raw or "")

        await self.house.subscriber.until(is_of_case, count)
        await self._fence()
        events = self.house.subscriber.wanted(is_of_case)
        assert len(events) == count, [event.raw for event in events]
        for event in events:
            mta = event.mta
            assert (mta.host, mta.source_ip, mta.transport) == (LOCAL_HOST, "127.0.0.1", "tcp")
            assert mta.service == f"postfix/{mta.daemon}"
            assert mta.pid
            assert event.time_quality == "exact"
        return events

    async def check_balance(self) -> None:
        """At the end of all tests: every line that rsyslog sent has its outcome, none is a dead
        letter, and what the receiver made of them is what JetStream has."""
        await self._fence()
        metrics = await self.house.receiver.metrics()
        assert_balanced(metrics)
        assert value(metrics, "events_total", type="invalid") == 0
        assert value(metrics, "frames_dropped_total") == 0
        assert value(metrics, "events_total") == len(self.house.subscriber.arrivals)
        assert not self.house.subscriber.copies
        await self.house.subscriber.assert_all_stored()

    async def nothing(self, case: str) -> None:
        """No event may come of this case, which Postfix must be through with."""
        await self._fence()
        assert not self.house.subscriber.wanted(lambda event: case in (event.raw or ""))

    async def logged(self, *words: str) -> str:
        """The first line of Postfix's log that holds all of these words."""
        return await self.postfix.child.until(
            lambda line: line if all(word in line for word in words) else None
        )

    async def _fence(self) -> None:
        """A refusal that is logged after all that was logged before: when its event is here, so
        are theirs."""
        recipient = f"fence{next(_FENCES)}@elsewhere.example"
        async with connected(self.postfix.ports["smtpd"]) as client:
            await client.expect("250", "MAIL FROM:<>")
            await client.expect("554", f"RCPT TO:<{recipient}>")
        await self.house.subscriber.until(lambda event: event.recipient == recipient)


async def start(cleanup: AsyncExitStack, nats_url: str) -> MailSite:
    require_postfix()  # before anything is started for nothing
    house = await build(cleanup, nats_url)
    await house.start_receiver()
    rsyslogd = await house.rsyslogd(_FORM, house.receiver.ports["tcp"])
    next_hop = await NextHop.start(cleanup)
    refusing = await NextHop.start(cleanup, greeting="554 5.7.1 we do not talk to you")
    neighbours = {
        "next_hop": next_hop.port,
        "refusing": refusing.port,
        "closed": free_port(),
        "policy": await policy_server.start(cleanup),
        "filter": await milter.start(cleanup),
    }
    ports = {name: free_port() for name in _SERVICES}
    directory = house.directory / "postfix"
    files = _config(directory, {**ports, **neighbours})
    postfix = await Postfix.start(directory, rsyslogd, files, ports)
    cleanup.push_async_callback(postfix.stop)
    return MailSite(house, postfix)


def _config(directory: Path, ports: Mapping[str, int]) -> dict[str, str]:
    words = {
        "config": str(config_directory(directory)),
        "data": f"{directory}/data",
        **{name: str(port) for name, port in ports.items()},
    }
    files = {}
    for source in _CONFIG.iterdir():
        text = source.read_text(encoding="utf-8")
        for name, word in words.items():
            text = text.replace(f"@{name}@", word)
        assert not (left := re.findall(r"@[a-z_]+@", text)), left
        files[source.name] = text
    files["main.cf"] += own_places(directory)
    return files
