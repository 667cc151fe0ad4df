"""Keeps events in SQLite, and answers what failed: when, where, for whom and why.

    python store.py follow --db mail.db --keep 90
    python store.py report --db mail.db --hours 24 --type bounced --by domain dsn

In: events of mail. Out: the table `event`, one row each, whatever comes twice. `report` counts
rows by type, category, domain, recipient, DSN, hour, provider and MTA, for people or as JSON; any
other question is a line of SQL. Recipients are personal data: rows go after `--keep` days.
"""

import argparse
import asyncio
import json
import logging
import signal
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

from mailfault_schemas import MAIL_EVENTS, Event
from mailfault_schemas.nats import Consumer, Message

COLUMNS = """event_id, event_type, event_time, mta, queue_id, sender, recipient, recipient_domain,
    smtp_code, enhanced_code, severity, category, scope, provider, provider_code, outcome,
    response"""
NAMES = COLUMNS.replace(",", "").split()
TABLES = f"""
CREATE TABLE IF NOT EXISTS event ({COLUMNS}, PRIMARY KEY (event_id));
CREATE INDEX IF NOT EXISTS event_by_time ON event (event_time);
"""
QUESTIONS = {
    "type": "event_type",
    "category": "category",
    "domain": "recipient_domain",
    "recipient": "recipient",
    "dsn": "enhanced_code",
    "hour": "substr(event_time, 1, 13) || ':00'",
    "provider": "provider",
    "mta": "mta",
}


def row(event: Event) -> dict[str, str | int | None]:
    told = event.model_dump(mode="json", include={*NAMES})
    return {**dict.fromkeys(NAMES), **told, "mta": event.mta.host}


class Store:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.execute("PRAGMA journal_mode = WAL")  # a report may read while events come in
        db.executescript(TABLES)

    def add(self, events: list[Event]) -> None:
        """When it returns, the events may be acknowledged."""
        places = ", ".join(f":{name}" for name in NAMES)
        with self._db:
            self._db.executemany(f"INSERT OR IGNORE INTO event VALUES ({places})", map(row, events))

    def forget(self, before: datetime) -> None:
        with self._db:
            self._db.execute("DELETE FROM event WHERE event_time < ?", [before.isoformat()])

    def count(
        self, question: str, since: datetime, kind: str | None = None, limit: int = 10
    ) -> list[tuple[str | None, int]]:
        """The most frequent answers and their numbers; of hours the latest."""
        order = "answer DESC" if question == "hour" else "number DESC, answer"
        counted = f"""
            SELECT {QUESTIONS[question]} AS answer, count(*) AS number FROM event
            WHERE event_time >= ? AND event_type = coalesce(?, event_type)
            GROUP BY answer ORDER BY {order} LIMIT ?"""
        return self._db.execute(counted, [since.isoformat(), kind, limit]).fetchall()


def printable(answer: str | None) -> str:
    """Addresses are what strangers wrote: nothing in them is to move the cursor."""
    shown = (c if c.isprintable() else f"\\u{ord(c):04x}" for c in answer or "-")
    return "".join(shown)[:200]


def report(store: Store, options: argparse.Namespace) -> None:
    since = datetime.now(UTC) - timedelta(hours=options.hours)
    answers = {q: store.count(q, since, options.type, options.limit) for q in options.by}
    if options.json:
        print(json.dumps(answers))
        return
    for question, counted in answers.items():
        print(f"by {question}")
        for answer, number in counted:
            print(f"{number:9}  {printable(answer)}")


async def follow(store: Store, options: argparse.Namespace) -> None:
    types = MAIL_EVENTS  # roll-ups are sums of these
    consumer = Consumer(options.nats, durable="store", types=types, ack_wait=10, prefetch=500)
    taken: asyncio.Queue[Message] = asyncio.Queue(5000)
    async with consumer, asyncio.TaskGroup() as tasks:
        tasks.create_task(keep(store, taken, timedelta(days=options.keep)))
        async for message in consumer:
            await taken.put(message)


async def keep(store: Store, taken: asyncio.Queue[Message], time: timedelta) -> None:
    """Once a second: many events for the price of one write that is safe on disk."""
    while True:
        await asyncio.sleep(1)
        batch = [taken.get_nowait() for _ in range(taken.qsize())]
        store.add([message.event for message in batch])
        store.forget(datetime.now(UTC) - time)
        for message in batch:
            await message.ack()
        if batch:
            logging.info("stored=%d", len(batch))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    following = commands.add_parser("follow", help="keep what comes")
    following.add_argument("--nats", default="nats://127.0.0.1:4222", metavar="URL")
    following.add_argument("--keep", default=90.0, type=float, metavar="DAYS")
    reporting = commands.add_parser("report", help="count what was kept")
    reporting.add_argument("--by", nargs="+", choices=QUESTIONS, default=[*QUESTIONS])
    reporting.add_argument("--hours", default=24.0, type=float, help="how far back")
    reporting.add_argument("--type", choices=MAIL_EVENTS)
    reporting.add_argument("--limit", default=10, type=int)
    reporting.add_argument("--json", action="store_true")
    for command in (following, reporting):
        command.add_argument("--db", default="mail.db", metavar="FILE")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for their jobs
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with closing(sqlite3.connect(options.db)) as db, suppress(KeyboardInterrupt):
        if options.command == "report":
            report(Store(db), options)
        else:
            asyncio.run(follow(Store(db), options))
