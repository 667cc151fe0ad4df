"""Opens a ticket for mail that failed, and closes it when the mail arrived after all.

    python tickets.py --webhook https://tickets.example.net/hook --after 3600

In: `bounced`, `deferred` and `resolved` events. Out: posts to a webhook, one ticket for each
recipient of a message. Events may come twice or late, the webhook be away, this program be killed
at any line: a ticket and what the webhook is to hear of it are one transaction in SQLite, and only
then the event is acknowledged. What may have been posted is posted again, under the same key.
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

from mailfault_schemas import BouncedEvent, DeferredEvent, Event, Message, Outcome, ResolvedEvent
from mailfault_schemas.nats import Consumer

TYPES = ("bounced", "deferred", "resolved")
ACTIONS = {  # (the ticket is, the event says): what the webhook hears; anything else is no news
    ("absent", "delayed"): "open",
    ("absent", "bounced"): "open",
    ("absent", "closed"): None,  # but a deferral that comes late must not open a ticket
    ("delayed", "delayed"): None,  # though perhaps under another queue id
    ("delayed", "bounced"): "update",
    ("delayed", "closed"): "close",
    ("bounced", "closed"): "close",
}
TABLES = """
CREATE TABLE IF NOT EXISTS ticket (
    mail TEXT PRIMARY KEY,  -- host, instance, queue id, recipient
    id TEXT, state TEXT, as_of REAL, written REAL  -- id: of the event that opened it
);
CREATE INDEX IF NOT EXISTS ticket_written ON ticket (written);
CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, key TEXT, body TEXT, refused INTEGER);
"""
FIND = """SELECT id, state, as_of FROM ticket WHERE mail = ? OR mail = ? AND state != 'closed'
    ORDER BY mail = ? DESC"""  # under its id, or the one that it had before
FORGET_AFTER = 60 * 86_400.0  # longer than mail stays in a queue, and events in the stream
HEADERS = {"Content-Type": "application/json"}
SETTLED = {*range(200, 300), 400, 413, 422}  # any other failure may pass, these would come again


class Tickets:
    """What is open, and what the webhook has yet to hear."""

    def __init__(self, db: sqlite3.Connection, after: float) -> None:
        self._db = db
        self._after = after
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(TABLES)

    def take(self, event: Event, now: float) -> None:
        """When it returns, the event may be acknowledged."""
        says, message = self._called_for(event), event.message or Message()
        at = event.event_time.timestamp()
        since = (says == "delayed" and message.queued_at) or event.event_time
        mta, ids = event.mta, (event.queue_id, message.origin_queue_id)
        mail, before = (json.dumps([mta.host, mta.instance, q, event.recipient]) for q in ids)
        with self._db:
            found = self._db.execute(FIND, [mail, before, mail]).fetchone()
            ticket, state, as_of = found or (event.event_id, "absent", at)
            if state == "closed" and since.timestamp() > as_of:
                ticket, state = event.event_id, "absent"  # another mail, or this one bounced, too
            if at < as_of or (state, says) not in ACTIONS:
                return
            moved = [[before, ticket, "closed", at, now]] if message.origin_queue_id else []
            rows = [[mail, ticket, says, at, now], *moved]
            self._db.executemany("REPLACE INTO ticket VALUES (?, ?, ?, ?, ?)", rows)
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
        return "closed" if isinstance(event, ResolvedEvent) else "nothing"

    def waiting(self) -> list[tuple[int, str, str]]:
        """The oldest first, so that nothing is closed before it was opened."""
        query = "SELECT id, key, body FROM outbox WHERE refused IS NULL ORDER BY id"
        return self._db.execute(query).fetchall()

    def settle(self, post: int, status: int) -> None:
        """Gone; or set aside for somebody to look at, so that it does not hold up all others."""
        done = "UPDATE outbox SET refused = :status" if status >= 400 else "DELETE FROM outbox"
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
