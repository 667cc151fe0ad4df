"""Whether a run was right: every line accounted for, every failure stored once, nothing else.

In: the truth about the lines, what the receiver counted, what the stream holds. Out: what is
wrong, in words; nothing if nothing is.
"""

from collections.abc import Mapping

from benchmarks.counts import Counts
from benchmarks.lines import Truth
from benchmarks.stream import StreamState


def problems(
    lines: int, truth: Truth, counts: Counts, stream: StreamState, *, is_lossless: bool = True
) -> list[str]:
    wrong = []
    if not counts.is_balanced:
        wrong.append(
            f"the counts do not balance: {counts.received:,} received, but {counts.with_events:,} "
            f"with events + {counts.skipped:,} skipped + {counts.dropped:,} dropped"
        )
    kernel_drops = 0 if is_lossless else counts.kernel_drops
    if counts.received + kernel_drops != lines:
        wrong.append(
            f"{lines:,} lines sent, but {counts.received:,} received and {kernel_drops:,} dropped "
            "by the kernel"
        )
    events = sum(counts.events.values())
    if stream.messages != events:
        wrong.append(f"{events:,} events made, but {stream.messages:,} in the stream")
    if stream.by_type is not None and dict(stream.by_type) != _present(counts.events):
        wrong.append(f"events made {_present(counts.events)}, in the stream {dict(stream.by_type)}")
    if is_lossless or not (counts.dropped or kernel_drops):
        for event_type, expected in truth.by_type.items():
            found = counts.events.get(event_type, 0)
            if found != expected:
                wrong.append(f"{expected:,} lines are {event_type}, but {found:,} events")
        if invalid := counts.events.get("invalid", 0):
            wrong.append(f"{invalid:,} lines were taken for broken failures")
    duplicates = counts.published.get("duplicate", 0) - counts.resends
    if duplicates > 0:
        wrong.append(f"{duplicates:,} events were duplicates, though every line is unique")
    if dead := counts.published.get("dead", 0):
        wrong.append(f"{dead:,} events given up as dead")
    return wrong


def _present(events: Mapping[str, int]) -> dict[str, int]:
    return {event_type: count for event_type, count in events.items() if count}
