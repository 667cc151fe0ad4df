"""Every metric, and one method for each thing that can happen.

Call sites say what happened, as `metrics.dropped(transport, reason)`; names and labels live here.
Counts balance: frames received = frames with events + lines skipped + frames dropped.
Label values are enum members, transports, names of our rules, and addresses of senders in bounded
number: never text from a line.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from schemas.vocabulary import Transport
from service import __version__
from service.collectors import Counts, Distribution, Each, Total, Totals
from service.core.outcomes import Drop, Refusal, RelpRefusal, Skip
from service.event_counts import Cause, EventCounts

_PUBLISH_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LAG_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0,
)  # fmt: skip


@dataclass(slots=True)
class Tally:
    """Counts of one piece of input, added to the metrics in one go: a lock per line costs."""

    frames: int = 0
    skipped: dict[Skip, int] = field(default_factory=dict)
    events: dict[Cause, int] = field(default_factory=dict)
    frames_with_events: int = 0

    def skip(self, reason: Skip, count: int = 1) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + count


class Metrics:
    """One registry; labelled children are made at start, so that every series exists from zero."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry

        def counter(name: str, help_text: str, *labels: str) -> Counter:
            return Counter(f"mailfault_{name}", help_text, labels, registry=registry)

        def gauge(name: str, help_text: str, *labels: str) -> Gauge:
            return Gauge(f"mailfault_{name}", help_text, labels, registry=registry)

        self._received = Counts(
            "mailfault_frames_received",
            "Syslog frames received",
            "transport",
            tuple(Transport),
            registry,
        )
        self._bytes = Counts(
            "mailfault_bytes_received", "Bytes received", "transport", tuple(Transport), registry
        )
        self._events = EventCounts(registry)
        self._with_events = 0
        self.watch_total(
            "frames_with_events",
            "Frames that gave at least one event",
            lambda: self._with_events,
        )
        self._skipped = Counts(
            "mailfault_lines_skipped",
            "Lines that are no failure of mail",
            "reason",
            tuple(Skip),
            registry,
        )
        dropped = counter("frames_dropped", "Frames lost, by cause", "transport", "reason")
        self._dropped = {
            (t.value, reason): dropped.labels(t.value, reason.value)
            for t in Transport
            for reason in Drop
        }
        truncated = counter("frames_truncated", "Frames cut at the size bound", "transport")
        self._truncated = {t.value: truncated.labels(t.value) for t in Transport}

        self._published = Counts(
            "mailfault_published",
            "Events acknowledged, or given up as dead",
            "result",
            ("ok", "duplicate", "dead"),
            registry,
        )
        letters = counter("dead_letters", "Dead letters for refused events", "result")
        self._letters = {r: letters.labels(r) for r in ("stored", "buried")}
        rollups = counter("rollups", "Roll-ups made; they are no events of frames", "result")
        self._rollups = {result: rollups.labels(result) for result in ("put", "unwanted")}
        self._resends = counter("publish_resends", "Messages sent again for want of an answer")
        self._publish_seconds = Distribution(
            "mailfault_publish_seconds",
            "Seconds from sending to acknowledgement",
            _PUBLISH_BUCKETS,
            registry,
        )
        self._lag = Distribution(
            "mailfault_event_lag_seconds",
            "Seconds from receiving a line to the acknowledgement of its event",
            _LAG_BUCKETS,
            registry,
        )

        connections = gauge("connections", "Open connections", "transport")
        self._connections = {t.value: connections.labels(t.value) for t in Transport}
        opened = counter("connections_opened", "Connections accepted", "transport")
        self._opened = {t.value: opened.labels(t.value) for t in Transport}
        refused = counter("connections_refused", "Connections refused", "transport", "reason")
        self._refused = {
            (t.value, reason): refused.labels(t.value, reason.value)
            for t in Transport
            for reason in Refusal
        }
        broken = counter(
            "relp_sessions_refused", "RELP sessions ended by the receiver", "transport", "reason"
        )
        self._relp_refused = {
            (t.value, reason): broken.labels(t.value, reason.value)
            for t in (Transport.RELP, Transport.RELP_TLS)
            for reason in RelpRefusal
        }
        pauses = counter("reads_paused", "Times a connection was held back", "transport")
        self._pauses = {t.value: pauses.labels(t.value) for t in Transport}
        limited = counter("rate_limited", "Times a source was over its rate", "transport")
        self._limited = {t.value: limited.labels(t.value) for t in Transport}
        forgotten = counter(
            "rate_sources_forgotten", "Sources let off for want of room", "transport"
        )
        self._forgotten = {t.value: forgotten.labels(t.value) for t in Transport}
        self._kernel_drops = counter("udp_kernel_drops", "Datagrams the kernel dropped")
        self._nats_connected = gauge("nats_connected", "1 while connected to NATS")
        self._connects = counter("nats_connects", "Connections to NATS made")
        gauge("build_info", "Version of the receiver", "version").labels(__version__).set(1)

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Export a value that somebody else keeps, read at each scrape."""
        Gauge(f"mailfault_{name}", help_text, registry=self.registry).set_function(read)

    def watch_total(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """The same for a counter."""
        self.registry.register(Total(f"mailfault_{name}", help_text, read))

    def watch_totals(
        self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """A counter by one label, whose values are enum members."""
        self.registry.register(Totals(f"mailfault_{name}", help_text, label, read))

    def watch_each(
        self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """A gauge by one label, of whose values there is a bounded number."""
        self.registry.register(Each(f"mailfault_{name}", help_text, label, read))

    def render(self) -> bytes:
        return generate_latest(self.registry)

    def balance(self) -> dict[str, int]:
        """The counts that must balance, for people."""
        totals: dict[str, float] = {}
        for family in self.registry.collect():
            for sample in family.samples:
                totals[sample.name] = totals.get(sample.name, 0) + sample.value
        return {
            "frames received": int(totals["mailfault_frames_received_total"]),
            "frames with events": int(totals["mailfault_frames_with_events_total"]),
            "lines skipped": int(totals["mailfault_lines_skipped_total"]),
            "frames dropped": int(totals["mailfault_frames_dropped_total"]),
            "events": int(totals["mailfault_events_total"]),
        }

    # What happens to frames

    def read(self, transport: str, size: int) -> None:
        self._bytes.count(transport, size)

    def processed(self, transport: str, tally: Tally) -> None:
        self._received.count(transport, tally.frames)
        for reason, count in tally.skipped.items():
            self._skipped.count(reason, count)
        self._with_events += tally.frames_with_events
        self._events.count(tally.events)

    def providers_known(self, names: Iterable[str]) -> None:
        """Those that the rules in use name: nothing else becomes a label."""
        self._events.know_providers(names)

    def dropped(self, transport: str, reason: Drop) -> None:
        """A frame that was received and lost."""
        self._received.count(transport)
        self._dropped[transport, reason].inc()

    def truncated(self, transport: str) -> None:
        self._truncated[transport].inc()

    # What happens to events

    def published(self, *, duplicate: bool, seconds: float, lag: float, count: int = 1) -> None:
        """`count`: so many of which all this is the same."""
        self._published.count("duplicate" if duplicate else "ok", count)
        self._publish_seconds.observe(seconds, count)
        self._lag.observe(max(lag, 0.0), count)  # the clock may have been set back

    def event_dead(self) -> None:
        self._published.count("dead")

    def dead_letter(self, *, stored: bool) -> None:
        self._letters["stored" if stored else "buried"].inc()

    def rolled_up(self, count: int, *, wanted: bool) -> None:
        """Handed on, or let go of because the stream takes none."""
        self._rollups["put" if wanted else "unwanted"].inc(count)

    def resent(self, count: int) -> None:
        self._resends.inc(count)

    # What happens to connections

    def connection_opened(self, transport: str) -> None:
        self._opened[transport].inc()
        self._connections[transport].inc()

    def connection_closed(self, transport: str) -> None:
        self._connections[transport].dec()

    def connection_refused(self, transport: str, reason: Refusal) -> None:
        self._refused[transport, reason].inc()

    def relp_session_refused(self, transport: str, reason: RelpRefusal) -> None:
        """After it was let in: what it said, or that it did not read, ended it."""
        self._relp_refused[transport, reason].inc()

    def reading_paused(self, transport: str) -> None:
        self._pauses[transport].inc()

    def rate_limited(self, transport: str) -> None:
        """A datagram was dropped, or a connection held back, for the rate of its source."""
        self._limited[transport].inc()

    def rate_source_forgotten(self, transport: str) -> None:
        """A source over its rate was forgotten: more sources than are kept."""
        self._forgotten[transport].inc()

    def kernel_dropped(self, count: int) -> None:
        self._kernel_drops.inc(count)

    def nats_connected(self) -> None:
        self._nats_connected.set(1)
        self._connects.inc()

    def nats_disconnected(self) -> None:
        self._nats_connected.set(0)
