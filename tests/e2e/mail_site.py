"""A whole mail site: instances of Postfix with their neighbours, their log through rsyslog into the
receiver, and a subscriber. One for all Postfix tests, because Postfix takes seconds to start.

Tests share it without meeting: each uses addresses with a word of its own in them, `case`, and
looks at the events whose line has that word, or at those of its own queue ids.
"""

import itertools
import re
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from schemas import Event
from tests.e2e import auth_server, milter, policy_server
from tests.e2e.house import House, build
from tests.e2e.next_hop import NextHop
from tests.e2e.postfix import (
    Postfix,
    config_directory,
    own_places,
    require_postfix,
)
from tests.e2e.rsyslog import LOCAL_HOST, Form, Rsyslogd
from tests.e2e.smtp_client import connected
from tests.e2e.whole_run import check_ends, check_parse, check_stories
from tests.metric_values import assert_balanced, value
from tests.ports import free_port

_CONFIG = Path(__file__).parent / "postfix_config"
_OUT_CONFIG = Path(__file__).parent / "postfix_out_config"
_SERVICES = (
    *("smtpd", "early", "open", "milter", "strict", "postscreen"),
    *("warned", "probing", "filtered", "proxied", "back", "submission", "fence"),
)
"""Ways into a Postfix, each an smtpd (or postscreen) on a port of its own; not all have all."""

_SETTINGS = {
    # However slow the machine is, a bounce is told of its notice.
    "MAILFAULT_CORRELATION__NOTICE_WAIT": "30",
    "MAILFAULT_CORRELATION__NOTICE_RATE": "1000000",
}
_FORM = Form("tcp", "50-mailfault-tcp.conf")
_FENCES = itertools.count()


@dataclass
class MailSite:
    house: House
    rsyslogd: Rsyslogd
    postfix: Postfix
    out: Postfix
    """A second instance."""
    once: Postfix
    """A third one, which tries mail once."""

    async def events(self, case: str, count: int) -> list[Event]:
        """The events of this case, once there are `count` of them; more of them is a failure."""
        return await self._events(lambda event: case in (event.raw or ""), count)

    async def story(self, count: int, *queue_ids: str) -> list[Event]:
        """The same by their queue ids."""
        return await self._events(lambda event: event.queue_id in queue_ids, count)

    async def _events(self, is_wanted: Callable[[Event], bool], count: int) -> list[Event]:
        await self.house.subscriber.until(is_wanted, count)
        await self._fence()
        events = self.house.subscriber.wanted(is_wanted)
        assert len(events) == count, [(event.event_type, event.raw) for event in events]
        for event in events:
            mta = event.mta
            assert (mta.host, mta.source_ip, mta.transport) == (LOCAL_HOST, "127.0.0.1", "tcp")
            assert mta.instance in ("postfix", "postfix-out", "postfix-once")
            assert mta.service == f"{mta.instance}/{mta.daemon}"
            assert mta.pid
            assert event.time_quality == "exact"
        return events

    async def check_run(self) -> None:
        """At the end of all tests: what is told of all their events together."""
        for postfix in (self.postfix, self.out, self.once):
            # Not `-d ALL`: of that Postfix logs only how many messages there were.
            ids = "".join(f"{queue_id}\n" for _, queue_id in await postfix.queue())
            await postfix.run("postsuper", "-d", "-", stdin=ids.encode())
        last = await self._fence()
        await self.rsyslogd.until_queued(f"to=<{last}>")
        await self.check_balance()
        lines = [line for line in self.rsyslogd.child.lines if line.startswith("<22>")]
        events = [arrival.event for arrival in self.house.subscriber.arrivals]
        check_stories(lines, events)
        check_ends(lines, events)
        await check_parse(lines, events, self.house.directory)

    async def check_balance(self) -> None:
        """Every line that rsyslog sent has its outcome, none is a dead letter, and what the
        receiver made of them is what JetStream has."""
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
        """The first line of the log, as the receiver gets it, that holds all of these words."""
        return await self.rsyslogd.child.until(
            lambda line: line if all(word in line for word in words) else None
        )

    async def _fence(self) -> str:
        """A refusal that is logged after all that was logged before: when its event is here, so
        are theirs. Returns the last recipient refused."""
        for postfix in (self.out, self.once, self.postfix):
            recipient = f"fence{next(_FENCES)}@elsewhere.example"
            async with connected(postfix.ports["fence"]) as client:
                await client.expect("250", "MAIL FROM:<>")
                await client.expect("554", f"RCPT TO:<{recipient}>")
            await self.house.subscriber.until(partial(_is_to, recipient))
        return recipient


def _is_to(recipient: str, event: Event) -> bool:
    return event.recipient == recipient


async def start(cleanup: AsyncExitStack, nats_url: str) -> MailSite:
    require_postfix()  # before anything is started for nothing
    house = await build(cleanup, nats_url)
    await house.start_receiver(_SETTINGS)
    rsyslogd = await house.rsyslogd(_FORM, house.receiver.ports["tcp"])
    next_hop = await NextHop.start(cleanup)
    refusing = await NextHop.start(cleanup, greeting="554 5.7.1 we do not talk to you")
    neighbours = {
        "next_hop": next_hop.port,
        "refusing": refusing.port,
        "closed": free_port(),
        "policy": await policy_server.start(cleanup),
        "filter": await milter.start(cleanup),
        "auth": await auth_server.start(cleanup),
    }

    async def instance(name: str, source: Path, lifetime: str) -> Postfix:
        directory = house.directory / name
        ports = {**neighbours, **{service: free_port() for service in _SERVICES}}
        words = {"instance": name, "lifetime": lifetime}
        files = _config(source, directory, {**words, **_words(ports)})
        postfix = await Postfix.start(directory, rsyslogd, files, ports)
        cleanup.push_async_callback(postfix.stop)
        return postfix

    return MailSite(
        house,
        rsyslogd,
        await instance("postfix", _CONFIG, "5d"),
        await instance("postfix-out", _OUT_CONFIG, "5d"),
        await instance("postfix-once", _OUT_CONFIG, "0"),
    )


def _words(ports: Mapping[str, int]) -> dict[str, str]:
    return {name: str(port) for name, port in ports.items()}


def _config(source: Path, directory: Path, words: Mapping[str, str]) -> dict[str, str]:
    words = {
        "config": str(config_directory(directory)),
        "data": f"{directory}/data",
        **words,
    }
    files = {}
    for path in source.iterdir():
        text = path.read_text(encoding="utf-8")
        for name, word in words.items():
            text = text.replace(f"@{name}@", word)
        assert not (left := re.findall(r"@[a-z_]+@", text)), left
        files[path.name] = text
    files["main.cf"] += own_places(directory)
    return files
