"""A snapshot is never ahead of the events: what it says has ended, was told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from structlog.testing import capture_logs

import schemas
from schemas import Event, ResolvedEvent
from service.core.classify import builtin_classifier
from service.core.framing.base import Frame
from service.correlation import Correlation
from service.correlation_config import CorrelationConfig
from service.intake import PipelineIntake
from service.metrics import Metrics
from service.nats.config import NatsConfig
from service.pipeline import Pipeline
from service.pipeline_config import PipelineConfig
from service.received import Origin
from service.snapshot import FILE, SnapshotKeeper, read
from service.sources import Sources
from service.spool.config import SpoolConfig
from service.spool.memory_config import MemoryQueueConfig
from tests.nats.waiting import until
from tests.nats_server import real_nats
from tests.outlet_way import Way
from tests.sample_lines import TEMPLATE
from tests.test_restart import _ACTIVE, _BEGUN, _BOUNCED, _NOTICE, _TO, deferred, stamped

_ZONE = ZoneInfo("UTC")
_ORIGIN = Origin("relp", "192.0.2.1", 1)
_NOW = datetime(2026, 8, 22, 10, 30, tzinfo=UTC)
_SENT = _TO.format(600, "2.0.0", "sent", 2)


class Kept:
    """A receiver without its sockets: pipeline, outlet, and snapshots."""

    def __init__(self, home: Path, url: str, patience: float = 30) -> None:
        # `after`: the disk is no way out.
        nats, spool = NatsConfig(servers=[url]), SpoolConfig(after=600)
        self.way = Way(nats, MemoryQueueConfig(), home / "data", spool)
        config = CorrelationConfig(notice_wait=60, notice_rate=1_000_000)
        correlation = Correlation(config, _ZONE)
        pipeline = Pipeline(
            PipelineConfig(), TEMPLATE, Metrics(), builtin_classifier(), correlation
        )
        self.intake = PipelineIntake(pipeline, self.way.outlet, Sources(10))
        self.correlator = correlation.correlator
        self.file = home / FILE
        self.snapshots = SnapshotKeeper(home, self.correlator, 0, self.intake.durable, patience)

    @asynccontextmanager
    async def deferred_once(self) -> AsyncIterator[None]:
        """Running, with one recipient that waits; the snapshot says so."""
        async with self.way.running():
            await self.way.flowing()
            self.take(*stamped(0, *_BEGUN, _ACTIVE, deferred(1)))
            assert await self.snapshots.save_once_durable()
            assert self.waiting_on_disk == 1
            yield

    def take(self, *lines: bytes) -> None:
        self.intake.take([Frame(line) for line in lines], _ORIGIN, _NOW)

    @property
    def waiting_on_disk(self) -> int:
        return len(read(self.file)[2])

    def in_another_life(self, *lines: bytes) -> list[Event]:
        """What is made of them after `kill -9` now."""
        correlation = Correlation(CorrelationConfig(notice_wait=0), _ZONE)
        correlation.correlator.restore(read(self.file))
        pipeline = Pipeline(
            PipelineConfig(), TEMPLATE, Metrics(), builtin_classifier(), correlation
        )
        envelopes = pipeline.process([Frame(line) for line in lines], _ORIGIN, _NOW)
        return [schemas.decode(envelope.body) for envelope in envelopes]


async def test_a_resolved_event_that_a_kill_takes_is_made_again(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        made = Kept(tmp_path, server.url)
        async with made.deferred_once():
            server.freeze()
            made.take(*stamped(10, _ACTIVE, _SENT))
            saving = asyncio.create_task(made.snapshots.save_once_durable())
            await until(made.way.publisher.all_unsaved)
            [resolved] = made.way.publisher.all_unsaved()
            await until(lambda: resolved.on_durable is not None)  # that is waited for
            assert (len(made.correlator.kept()[2]), made.waiting_on_disk) == (0, 1)
            [event] = made.in_another_life(*stamped(10, _ACTIVE, _SENT))
            assert isinstance(event, ResolvedEvent)
            assert event.event_id == resolved.message_id
            assert (event.outcome, event.attempts) == ("delivered", 2)
            server.thaw()
            assert await saving
            assert made.waiting_on_disk == 0


async def test_a_bounce_that_waits_for_its_notice_has_not_ended_on_disk(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        made = Kept(tmp_path, server.url)
        async with made.deferred_once():
            made.take(*stamped(10, _ACTIVE, _BOUNCED))
            saving = asyncio.create_task(made.snapshots.save_once_durable())
            await made.way.outlet.settled(made.way.publisher)
            assert (len(made.correlator.kept()[2]), made.waiting_on_disk) == (0, 1)
            assert not saving.done()
            again = made.in_another_life(*stamped(10, _ACTIVE, _BOUNCED))
            assert [event.event_type for event in again] == ["bounced", "resolved"]
            made.take(*stamped(11, _NOTICE))
            assert await saving
            assert made.waiting_on_disk == 0


async def test_a_copy_is_not_kept_for_as_long_as_nats_is_away(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        made = Kept(tmp_path, server.url, patience=0.01)
        async with made.deferred_once():
            server.freeze()
            made.take(*stamped(10, _ACTIVE, _SENT))
            with capture_logs() as logs:
                saving = asyncio.create_task(made.snapshots.save_once_durable())
                await until(lambda: "snapshot_put_off" in [entry["event"] for entry in logs])
                server.thaw()
                assert not await saving, "of what is known by now another one is taken"
            assert made.waiting_on_disk == 1
            assert await made.snapshots.save_once_durable()
            assert made.waiting_on_disk == 0
