"""Opens a ticket for mail that failed, and closes it when the mail arrived after all.

    python tickets.py --webhook https://tickets.example.net/hook --after 3600

In: `bounced`, `deferred` and `resolved` events. Out: JSON posted to a webhook, one ticket for each
recipient of a message. *open*: it bounced, or is still deferred `--after` seconds after it came;
*update*: what was delayed has bounced; *close*: it was delivered, or taken out of the queue.

Events may come twice or late, the webhook may be away, this program may be killed at any line: a
ticket and what the webhook is to hear of it are one transaction in SQLite, and only then the event
is acknowledged. A post whose answer got lost is sent again, with the same `Idempotency-Key`.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sqlite3
import time
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from mailfault_schemas import BouncedEvent, DeferredEvent, Event, Outcome, ResolvedEvent
from mailfault_schemas.nats import Consumer

TYPES = ("bounced", "deferred", "resolved")
ACTIONS = {  # (the ticket is, the event says): what the webhook hears; anything else is no news
    ("absent", "delayed"): "open",
    ("absent", "bounced"): "open",
    ("absent", "closed"): None,  # but a deferral that comes late must not open a ticket
    ("delayed", "bounced"): "update",
    ("delayed", "closed"): "close",
    ("bounced", "closed"): "close",
}
TABLES = """
CREATE TABLE IF NOT EXISTS ticket (
    mail TEXT PRIMARY KEY,  -- host, instance, queue id, recipient
    id TEXT, state TEXT,    -- id: of the event that opened it; state: delayed, bounced, closed
    as_of REAL, written REAL
);
CREATE INDEX IF NOT EXISTS ticket_written ON ticket (written);
CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, key TEXT, body TEXT, refused INTEGER);
"""
FORGET_AFTER = 60 * 86_400.0  # longer than mail stays in a queue, and events in the stream
HEADERS = {"Content-Type": "application/json"}
REFUSALS = {400, 413, 422}  # the same post would be refused again; any other failure may pass
SETTLED = {*range(200, 300)} | REFUSALS


class Tickets:
    """What is open, and what the webhook has yet to hear."""

    def __init__(self, db: sqlite3.Connection, after: float) -> None:
        self._db = db
        self._after = after
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(TABLES)

    def take(self, event: Event, now: float) -> None:
        """When it returns, the event may be acknowledged."""
        says = self._called_for(event)
        mail = json.dumps([event.mta.host, event.mta.instance, event.queue_id, event.recipient])
        at = event.event_time.timestamp()
        with self._db:
            found = self._db.execute("SELECT id, state, as_of FROM ticket WHERE mail = ?", [mail])
            ticket, state, as_of = found.fetchone() or (event.event_id, "absent", at)
            if state == "closed" and at > as_of:  # another mail: Postfix reuses its queue ids
                ticket, state = event.event_id, "absent"
            if at < as_of or (state, says) not in ACTIONS:
                return
            row = [mail, ticket, says, at, now]
            self._db.execute("REPLACE INTO ticket VALUES (?, ?, ?, ?, ?)", row)
            self._db.execute("DELETE FROM ticket WHERE written < ?", [now - FORGET_AFTER])
            if action := ACTIONS[state, says]:
                told = event.model_dump(mode="json", exclude={"raw"})
                body = {"ticket": ticket, "action": action, "state": says, "event": told}
                post = [f"{ticket}-{action}", json.dumps(body)]
                self._db.execute("INSERT INTO outbox (key, body) VALUES (?, ?)", post)

    def _called_for(self, event: Event) -> str:
        match event:
            case DeferredEvent(delay=float(age)) if age >= self._after:
                return "delayed"
            case BouncedEvent() | ResolvedEvent(outcome=Outcome.BOUNCED | Outcome.EXPIRED):
                return "bounced"  # the mail is lost: somebody has to look
            case ResolvedEvent():
                return "closed"
        return "nothing"

    def waiting(self) -> list[tuple[int, str, str]]:
        """The oldest first, so that nothing is closed before it was opened."""
        query = "SELECT id, key, body FROM outbox WHERE refused IS NULL ORDER BY id"
        return self._db.execute(query).fetchall()

    def settle(self, post: int, status: int) -> None:
        """Gone; or set aside for somebody to look at, so that it does not hold up all others."""
        done = "UPDATE outbox SET refused = :status" if status in REFUSALS else "DELETE FROM outbox"
        with self._db:
            self._db.execute(f"{done} WHERE id = :post", {"post": post, "status": status})


def post(url: str, key: str, body: str) -> int:
    """The status of the answer, 0 without one. Follows no redirect: that would drop the body."""
    to = urlsplit(url)
    connect = HTTPSConnection if to.scheme == "https" else HTTPConnection
    with closing(connect(to.netloc, timeout=10)) as connection, suppress(OSError, HTTPException):
        path = to._replace(scheme="", netloc="").geturl() or "/"
        connection.request("POST", path, body, HEADERS | {"Idempotency-Key": key})
        return connection.getresponse().status
    return 0


async def deliver(tickets: Tickets, url: str) -> None:
    """Posts what waits. While the webhook is away no event is taken: the stream is the queue."""
    for number, key, body in tickets.waiting():
        while (status := await asyncio.to_thread(post, url, key, body)) not in SETTLED:
            logging.warning("post=%s status=%d, again in 5 s", key, status)
            await asyncio.sleep(5)
        logging.info("post=%s status=%d", key, status)
        tickets.settle(number, status)


async def main(nats: str, db: str, webhook: str, after: float) -> None:
    with closing(sqlite3.connect(db)) as connection:
        tickets = Tickets(connection, after)
        await deliver(tickets, webhook)
        async with Consumer(nats, durable="tickets", types=TYPES, ack_wait=10) as consumer:
            async for message in consumer:
                tickets.take(message.event, time.time())
                await message.ack()
                await deliver(tickets, webhook)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nats", default="nats://127.0.0.1:4222", metavar="URL")
    parser.add_argument("--db", default="tickets.db", metavar="FILE")
    parser.add_argument("--webhook", required=True, metavar="URL")
    parser.add_argument("--after", default=3600.0, type=float, metavar="SECONDS")
    if token := os.environ.get("WEBHOOK_AUTHORIZATION"):
        HEADERS["Authorization"] = token
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for their jobs
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with suppress(KeyboardInterrupt):
        asyncio.run(main(**vars(parser.parse_args())))
