"""Checks over all events of a run, whatever test made them: that each tells what the log had told
by then and nothing else, that every deferred recipient has one end, and that `mailfault parse`
makes the same of the same lines."""

import asyncio
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas import Event
from schemas.base import Message
from schemas.delivery import BouncedEvent, DeferredEvent
from schemas.resolved import ResolvedEvent
from tests.e2e.told import Log, Told, notices

Key = tuple[str, str, str | None]
"""Host; queue id, the last one of its message; recipient."""


def check_stories(lines: Sequence[str], events: Sequence[Event]) -> None:
    by_line: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        assert event.raw is not None
        by_line[event.raw].append(event)
    noticed = notices(list(lines))
    log = Log()
    checked = 0
    for number, line in enumerate(lines):
        for event in by_line.get(line, ()):
            checked += 1
            assert event.queue_id is not None or event.message is None
            if event.queue_id is not None:
                told = log.told(event.queue_id)
                if told.is_own and told.sender and told.origin_queue_id is None:
                    log.adopt(event.queue_id, lines[number:])
                _check_message(event, told)
                _check_attempts(event, told)
            if isinstance(event, BouncedEvent):
                notice = event.notice and (event.notice.queue_id, event.notice.kind)
                assert notice == noticed.get(line), (line, notice)
        log.learn(line)
    assert checked == len(events), "some event has no line of the log"


def _check_message(event: Event, told: Told) -> None:
    assert event.message is not None
    is_whole = told.message_id is not None and told.sender is not None
    message_id = told.message_id
    if message_id is not None and message_id.startswith("<") and message_id.endswith(">"):
        message_id = message_id[1:-1] or None  # `<>`: it has none
    wanted = Message.model_validate(
        {
            "message_id": message_id,
            "sender": told.sender,
            "size": told.size,
            "recipients": told.recipients,
            "client": told.client,
            "sasl_username": told.sasl_username,
            "queued_at": told.queued_at,
            "origin_queue_id": told.origin_queue_id,
            "context": "complete" if is_whole else "none" if told == Told() else "partial",
        }
    )
    assert event.message == wanted, (event.raw, event.message, wanted)
    if event.event_type != "reject":
        assert is_whole or not told.is_begun, event.raw
        assert event.sender == told.sender, event.raw


def _check_attempts(event: Event, told: Told) -> None:
    if not isinstance(event, DeferredEvent | BouncedEvent | ResolvedEvent):
        return
    recipient = event.recipient
    assert recipient is not None
    number = told.attempt(recipient)
    if event.status in ("expired", "force-expired", None):  # it ended between two attempts
        number = len(told.attempts[recipient])
    attempt = number if told.is_begun else None
    assert event.attempt == attempt, (event.raw, event.attempt, attempt)
    first = told.first_deferred.get(recipient)
    if first is None and isinstance(event, DeferredEvent):
        first = event.event_time
    first = first if told.is_begun else None
    assert event.first_deferred_at == first, (event.raw, event.first_deferred_at, first)
    if isinstance(event, ResolvedEvent):
        assert event.attempts == number, (event.raw, event.attempts, number)


def check_ends(lines: Sequence[str], events: Sequence[Event]) -> None:
    """When no message is left, each recipient that was deferred has ended exactly once."""
    log = Log()
    for line in lines:
        log.learn(line)

    def key(event: Event) -> Key:
        return event.mta.host, log.chain(event.queue_id or ""), event.recipient

    deferred = {key(event) for event in events if event.event_type == "deferred"}
    ends = Counter(key(event) for event in events if event.event_type == "resolved")
    without_end, without_start = deferred - ends.keys(), ends.keys() - deferred
    assert not without_end, without_end
    assert not without_start, without_start
    twice = {found for found, count in ends.items() if count > 1}
    assert not twice, twice
    for event in events:
        if isinstance(event, ResolvedEvent):
            assert event.raw is not None
            status = {
                "delivered": " status=sent (",
                "bounced": " status=bounced (",
                "expired": "expired, returned to sender",
                "removed": ": removed",
            }[event.outcome]
            assert status in event.raw


async def check_parse(lines: Sequence[str], events: Sequence[Event], directory: Path) -> None:
    """`mailfault parse` makes the same events of a file of these lines, but for how they came."""
    path = directory / "mail.log"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", "parse", "--every-line", path,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    said = [json.loads(line) for line in output.splitlines()]
    numbers = [item["line"] for item in said]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, len(lines) + 1))
    parsed = [item for item in said if item["event_type"] is not None]
    assert [item["raw"] for item in parsed] == [lines[item.pop("line") - 1] for item in parsed]
    assert len({item["event_id"] for item in parsed}) == len(parsed)
    live = [json.loads(event.model_dump_json()) for event in events]
    assert _by_id(parsed) == _by_id(live)


def _by_id(items: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    for item in items:
        del item["received_at"], item["mta"]["transport"], item["mta"]["source_ip"]
    return {item["event_id"]: item for item in items}
