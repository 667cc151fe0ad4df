"""Values that others keep, exported as they are at each scrape: what waits where, and the bounds.

In: the parts of a receiver. Out: nothing; the metrics know them afterwards.
"""

from collections.abc import Mapping, Sequence
from time import time

from service.correlation import Correlation
from service.correlation_config import CorrelationConfig
from service.listeners.relp import RelpListener
from service.listeners.stream import StreamServer
from service.listeners.tls_context import ServerTls
from service.listeners.udp import UdpListener
from service.metrics import Metrics
from service.nats.publisher import Publisher
from service.nats.sharing import BucketSharing
from service.nats.sharing_config import SharingConfig
from service.outlet import Outlet
from service.pipeline import Pipeline
from service.rollup import RollupKeeper
from service.settings import Settings
from service.sources import MetricsConfig, Sources
from service.spool.store import SpoolStore


def export_flow(
    metrics: Metrics,
    settings: Settings,
    pipeline: Pipeline,
    outlet: Outlet,
    store: SpoolStore,
    publisher: Publisher,
) -> None:
    watch = metrics.watch
    queue, incoming, lines = outlet.queue, outlet.spooler.incoming, pipeline.occurrences
    spool, bounds = settings.spool, settings.queue
    watch("spool_events", "Events on disk, waiting for NATS", lambda: store.events)
    watch("spool_bytes", "Bytes of events on disk", lambda: store.bytes)
    watch("spool_capacity_events", "Bound of events on disk", lambda: spool.max_events)
    watch("spool_capacity_bytes", "Bound of bytes on disk", lambda: spool.max_bytes)
    watch("spool_dead_letters", "Dead letters for operators", lambda: store.dead_letters)
    watch("spool_set_aside_files", "Damaged spool files", lambda: store.set_aside.files)
    watch("spool_set_aside_bytes", "Bytes they take", lambda: store.set_aside.bytes)
    watch("spool_failing", "1 while the disk takes nothing", lambda: store.is_failing)
    watch("ready_lines", "Lines whose events are yet to be made", lambda: pipeline.ready)
    watch("queue_events", "Events in memory, waiting for NATS", lambda: len(queue))
    watch("queue_bytes", "Bytes of events in memory, waiting for NATS", lambda: queue.bytes)
    watch("unsaved_events", "Events in memory, waiting for the disk", lambda: len(incoming))
    watch("unsaved_bytes", "Bytes in memory, waiting for the disk", lambda: incoming.bytes)
    watch("queue_capacity_events", "Bound of either wait in memory", lambda: bounds.max_events)
    watch("queue_capacity_bytes", "Bound of either wait in memory", lambda: bounds.max_bytes)
    watch("in_flight", "Messages sent, not yet acknowledged", lambda: publisher.in_flight)
    watch("in_flight_capacity", "Bound of messages in flight", lambda: publisher.window)
    watch("in_flight_bytes", "Bytes of these messages", lambda: publisher.in_flight_bytes)
    watch("in_flight_capacity_bytes", "Bound of these bytes", lambda: publisher.window_bytes)
    watch(
        "oldest_unacknowledged_seconds",
        "Age of the oldest message without acknowledgement",
        lambda: publisher.oldest_seconds,
    )
    watch("remembered_lines", "Lines remembered to tell equal ones apart", lambda: len(lines))
    watch("remembered_lines_capacity", "Bound of them", lambda: 2 * lines.bound)
    metrics.watch_total(
        "remembered_lines_forgotten", "Lines forgotten within that bound", lambda: lines.forgotten
    )


def export_correlation(
    metrics: Metrics, bounds: CorrelationConfig, correlation: Correlation
) -> None:
    watch, known = metrics.watch, correlation.correlator
    watch("correlation_entries", "Messages remembered", lambda: len(known.memory))
    watch("correlation_entries_capacity", "Bound of them", lambda: bounds.max_messages)
    watch("correlation_bytes", "Bytes they take, about", lambda: known.memory.size)
    watch("correlation_bytes_capacity", "Bound of these bytes", lambda: bounds.max_bytes)
    watch(
        "correlation_recipients",
        "Deferred recipients that wait for their end",
        lambda: len(known.attempts.recipients),
    )
    watch(
        "correlation_recipient_bytes",
        "Bytes they take, about",
        lambda: known.attempts.recipients.size + known.attempts.queued.size,
    )
    watch(
        "correlation_ended_entries",
        "Messages and recipients that have ended, remembered for a moment",
        lambda: sum(part.closed for part in known.parts),
    )
    watch(
        "correlation_ended_entries_capacity",
        "Bound of them",
        lambda: sum(part.max_closed for part in known.parts),
    )
    watch(
        "correlation_ended_bytes",
        "Bytes they take, about",
        lambda: sum(part.closed_size for part in known.parts),
    )
    watch(
        "correlation_ended_bytes_capacity",
        "Bound of these bytes",
        lambda: sum(part.max_closed_size for part in known.parts),
    )
    metrics.watch_totals(
        "correlation_evictions",
        "Messages and recipients forgotten before their end",
        "reason",
        lambda: known.evicted,
    )
    watch("held_lines", "Lines that wait for a word about them", lambda: correlation.held)
    watch("held_lines_capacity", "Bound of them", lambda: bounds.max_held)
    watch("held_bytes", "Bytes of these lines", lambda: correlation.held_bytes)
    watch("held_bytes_capacity", "Bound of these bytes", lambda: bounds.max_held_bytes)
    metrics.watch_total(
        "held_lines_hurried", "Lines let go for want of room", lambda: correlation.hurried
    )


def export_sharing(metrics: Metrics, bounds: SharingConfig, sharing: BucketSharing) -> None:
    watch = metrics.watch
    watch("sharing_asked", "Messages asked for, not yet answered", lambda: sharing.asked_now)
    watch("sharing_asked_capacity", "Bound of them", lambda: bounds.max_asked)
    watch("sharing_unwritten", "Messages whose news wait to be told", lambda: sharing.unwritten)
    watch("sharing_unwritten_capacity", "Bound of them", lambda: bounds.max_unwritten)
    watch("sharing_readable", "1 while the bucket answers", lambda: sharing.is_readable)
    metrics.watch_totals(
        "sharing_answers", "Questions answered", "result", lambda: sharing.answered
    )
    metrics.watch_totals("sharing_writes", "News of messages", "result", lambda: sharing.written)
    metrics.watch_totals("sharing_heard", "What others wrote", "result", lambda: sharing.heard)


def export_rollups(metrics: Metrics, keeper: RollupKeeper) -> None:
    counted = keeper.rollups
    metrics.watch("rollup_mtas", "Hosts in the roll-ups of this minute", lambda: len(counted))
    metrics.watch("rollup_mtas_capacity", "Bound of them", lambda: counted.max_hosts)
    metrics.watch_totals(
        "rollup_overflow",
        "Events that are in no roll-up, or only in a total, for what is beyond a bound",
        "reason",
        lambda: counted.overflow,
    )


def export_sources(metrics: Metrics, bounds: MetricsConfig, sources: Sources) -> None:
    metrics.watch_each(
        "source_last_received_timestamp_seconds",
        "When a sender was last heard, by its address",
        "source",
        lambda: sources.last_received(time()),
    )
    metrics.watch("sources", "Senders that are told apart", lambda: len(sources))
    metrics.watch("sources_capacity", "Bound of them", lambda: bounds.max_sources)
    metrics.watch_total(
        "sources_unnamed",
        "Times something was read from a sender beyond that bound",
        lambda: sources.unnamed,
    )


def export_listeners(
    metrics: Metrics,
    udp: Sequence[UdpListener],
    streams: Sequence[StreamServer],
    server_tls: Mapping[str, ServerTls],
) -> None:
    watch = metrics.watch
    watch(
        "frame_buffer_bytes",
        "Bytes of unfinished frames held for connections",
        lambda: sum(listener.buffered_bytes for listener in streams),
    )
    watch(
        "rate_limit_sources",
        "Addresses whose rate is remembered",
        lambda: (
            sum(listener.rated_sources for listener in udp)
            + sum(listener.rated_sources for listener in streams)
        ),
    )
    if server_tls:
        watch(
            "tls_certificate_expiry_timestamp_seconds",
            "When the first certificate of a TLS listener expires",
            lambda: min(tls.expires.timestamp() for tls in server_tls.values()),
        )


def export_relp(metrics: Metrics, listeners: Sequence[RelpListener]) -> None:
    metrics.watch(
        "relp_unanswered_frames",
        "RELP frames received, not yet acknowledged",
        lambda: sum(listener.unanswered for listener in listeners),
    )
    metrics.watch(
        "relp_answer_buffer_bytes",
        "Bytes of RELP answers that peers have not read",
        lambda: sum(listener.answer_bytes for listener in listeners),
    )
