"""The steps of `floor`, in a process of their own: `python -m benchmarks.floor_steps URL EVENTS`.

Prints one JSON object: µs of CPU an event of each step with those before it, events a second of the
last one until all are acknowledged, and how many events a line gave.
"""

import asyncio
import gc
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from typing import Any

import uvloop
from pydantic import TypeAdapter

from benchmarks.generate import Options, corpus
from schemas.base import Client, EventBase, Message, Model, Mta
from schemas.delivery import Notice, Relay
from service.core.classify import builtin_classifier
from service.core.envelope import Envelope, SubjectTemplate, seal
from service.core.framing.base import Block
from service.metrics import Metrics
from service.nats.answer import Published, Result
from service.nats.client import connect, let_go
from service.nats.config import NatsConfig
from service.nats.publisher import Publisher
from service.nats.stream import ensure_stream
from service.pipeline import Pipeline
from service.pipeline_config import PipelineConfig
from service.received import Origin

_LINES = 20_000
_AT_ONCE = 250
"""As many as one read of a busy connection gives."""
_REMEMBERED = (Mta, Relay, Message, Client, Notice)
"""Objects that the service validates once for many events."""
_TEMPLATE = SubjectTemplate("{prefix}.{type}.{mta}", "postfix")

Recipe = tuple[Callable[[Any], EventBase], dict[str, Any]]
"""The validator of an event's model, and what it is given."""


def recipes() -> tuple[list[Recipe], float]:
    """Of the events of a log, as the service makes them; and how many of them a line gave."""
    made: list[EventBase] = []
    pipeline = Pipeline(PipelineConfig(), _TEMPLATE, Metrics(), builtin_classifier())
    pipeline.on_event = made.append
    now = datetime.now(UTC)
    for block in corpus(Options(_LINES)).blocks:
        pipeline.block(Block(block, block.count(b"\n")), Origin("tcp", "192.0.2.1"), now)
    pipeline.release_all(now)
    validators = {
        kind: TypeAdapter(kind).validator.validate_python for kind in set(map(type, made))
    }
    return [(validators[type(event)], _given(event)) for event in made], len(made) / _LINES


def _given(event: EventBase) -> dict[str, Any]:
    fields = event.__dict__
    return {name: _plain(fields[name]) for name in event.model_fields_set}


def _plain(value: Any) -> Any:
    if isinstance(value, Model) and not isinstance(value, _REMEMBERED):
        return {name: _plain(part) for name, part in value.__dict__.items()}
    return value


def batches(made: list[Recipe], events: int) -> Iterator[list[Recipe]]:
    """Each event with an id of its own: JetStream stores one only once."""
    source = cycle(made)
    for start in range(0, events, _AT_ONCE):
        count = min(_AT_ONCE, events - start)
        yield [
            (validate, values | {"event_id": f"{start + number:032x}"})
            for number, (validate, values) in enumerate(islice(source, count))
        ]


def validated(batch: list[Recipe]) -> list[EventBase]:
    return [validate(values) for validate, values in batch]


def sealed(batch: list[Recipe]) -> list[Envelope]:
    return [seal(validate(values), _TEMPLATE, 0.0) for validate, values in batch]


def cpu_of(step: Callable[[list[Recipe]], object], made: list[Recipe], events: int) -> float:
    """Seconds."""
    spent = 0.0
    for batch in batches(made, events):
        began = time.process_time()
        step(batch)
        spent += time.process_time() - began
    return spent


async def publish(url: str, made: list[Recipe], events: int) -> tuple[float, float]:
    """Seconds of CPU, and from the first event to the last acknowledgement, both without what
    making the recipes took."""
    config = NatsConfig(servers=[url])
    client = await connect(config, [url], _raise, _nothing)
    await ensure_stream(client, config)
    stored = 0

    def count(results: Sequence[tuple[Envelope, Result]]) -> None:
        nonlocal stored
        stored += sum(isinstance(result, Published) for _, result in results)

    publisher = Publisher(
        config.window,
        config.window_bytes,
        config.ack_timeout,
        config.stream.name,
        on_results=count,
        on_resend=lambda number: None,
        on_no_stream=lambda: None,
        on_trouble=lambda why: None,
    )
    await publisher.attach(client)
    waiting: deque[Envelope] = deque()

    def take(most: int, most_bytes: int) -> list[Envelope]:
        return [waiting.popleft() for _ in range(min(most, len(waiting)))]

    cpu, wall = time.process_time(), time.perf_counter()
    source = batches(made, events)
    while True:
        # By both clocks: on a busy machine it takes longer than it calculates.
        began, began_cpu = time.perf_counter(), time.process_time()
        batch = next(source, None)
        wall += time.perf_counter() - began
        cpu += time.process_time() - began_cpu
        if batch is None:
            break
        waiting.extend(sealed(batch))
        while waiting:
            await publisher.publish_from(take)
    await publisher.idle()
    spent = time.process_time() - cpu, time.perf_counter() - wall
    await let_go(client)
    if stored != events:
        raise RuntimeError(f"{stored} of {events} events were stored")
    return spent


async def _raise(error: Exception) -> None:
    raise error


async def _nothing() -> None:
    pass


def main() -> None:
    url, events = sys.argv[1], int(sys.argv[2])
    made, events_per_line = recipes()
    # As the service does.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    cpu_of(sealed, made, min(events, len(made)))  # what is remembered of them is, from here on
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        cpu, seconds = runner.run(publish(url, made, events))
    each = 1e6 / events
    told = {
        "validated": cpu_of(validated, made, events) * each,
        "validated, sealed": cpu_of(sealed, made, events) * each,
        "published": cpu * each,
        "events_per_second": events / seconds,
        "events_per_line": events_per_line,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
