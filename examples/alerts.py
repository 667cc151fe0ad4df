"""Tells Alertmanager, or any webhook, when mail fails more often than it should, and when no more.

    python alerts.py --alertmanager http://127.0.0.1:9093 --rules alerts.toml

In: events of mail. Out: alerts such as "google refuses mail of mx1 for its reputation", where
more events come within some time than `alerts.toml` allows. The counts, and who was told what, are
in SQLite: neither a restart nor an event that comes twice changes them. Every `--interval` seconds
Alertmanager is told all that fires, for it ends what is not repeated, and a webhook what is new.
"""

import argparse
import asyncio
import json
import logging
import signal
import sqlite3
import tomllib
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from mailfault_schemas import MAIL_EVENTS, Event
from mailfault_schemas.nats import Consumer

FIELDS = {"event_type", "category", "scope", "provider", "provider_code", "recipient_domain"}
TABLES = """
CREATE TABLE IF NOT EXISTS counted (alert TEXT, event TEXT, enough INTEGER, leaves REAL,
    PRIMARY KEY (alert, event)) WITHOUT ROWID;  -- `leaves`: the window
CREATE INDEX IF NOT EXISTS counted_leaves ON counted (leaves);
CREATE TABLE IF NOT EXISTS told (url TEXT, alert TEXT, since TEXT, heard INTEGER);
"""
FORGET = """DELETE FROM counted WHERE leaves < ?
    OR leaves < (SELECT leaves FROM counted ORDER BY leaves DESC LIMIT 1 OFFSET 200000)"""


class Rule(NamedTuple):  # a table of alerts.toml
    alert: str
    summary: str
    severity: str
    where: dict[str, list[str]]
    by: list[str]
    events: int
    seconds: float

    def alert_for(self, fields: dict[str, str | None]) -> str | None:
        named = {name: fields[name] for name in self.by}
        if None in named.values() or any(fields[k] not in v for k, v in self.where.items()):
            return None
        labels = {"alertname": self.alert, "severity": self.severity, **named}
        about = {"summary": self.summary.format(**named)}
        return json.dumps({"labels": labels, "annotations": about})


class Surges:
    def __init__(self, db: sqlite3.Connection, rules: list[Rule]) -> None:
        self._db, self._rules = db, rules
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # a power cut may take some counts, a crash none
        db.executescript(TABLES)

    def add(self, event: Event) -> None:
        fields = {**event.model_dump(mode="json", include=FIELDS), "mta": event.mta.host}
        at = min(event.event_time, event.received_at).timestamp()  # a clock may run ahead
        with self._db:
            for rule in self._rules:
                if alert := rule.alert_for(fields):
                    row = [alert, event.event_id, rule.events, at + rule.seconds]
                    self._db.execute("INSERT OR IGNORE INTO counted VALUES (?, ?, ?, ?)", row)

    def stand(self, url: str, now: float) -> tuple[set[str], dict[str, tuple[str, bool]]]:
        """What fires, and what was told. An alert fires from as many events on as its rule says,
        and once told as long as half of them are left, so that it does not flutter."""
        with self._db:
            self._db.execute(FORGET, [now])
        rows = self._db.execute("SELECT alert, since, heard FROM told WHERE url = ?", [url])
        told = {alert: (since, heard) for alert, since, heard in rows}
        found = self._db.execute("SELECT alert, count(*), max(enough) FROM counted GROUP BY alert")
        return {a for a, n, enough in found if n >= enough or (a in told and 2 * n >= enough)}, told

    def tell(self, url: str, told: dict[str, tuple[str, bool]]) -> None:
        with self._db:
            self._db.execute("DELETE FROM told WHERE url = ?", [url])
            rows = ((url, alert, *how) for alert, how in told.items())
            self._db.executemany("INSERT INTO told VALUES (?, ?, ?, ?)", rows)


def post(url: str, body: object) -> int:
    to = urlsplit(url)
    connect = HTTPSConnection if to.scheme == "https" else HTTPConnection
    with closing(connect(to.netloc, timeout=10)) as connection, suppress(OSError, HTTPException):
        path = to._replace(scheme="", netloc="").geturl() or "/"
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return connection.getresponse().status
    return 0


async def report(surges: Surges, url: str, interval: float, repeats: bool) -> None:
    while True:
        await asyncio.sleep(interval)
        now, until = datetime.now(UTC), datetime.now(UTC) + timedelta(seconds=4 * interval)
        firing, told = surges.stand(url, now.timestamp())
        told = dict.fromkeys(firing, (now.isoformat(), False)) | told
        news = []
        for alert, (since, heard) in told.items():
            if repeats or not (heard and alert in firing):
                word, ends = ("firing", until) if alert in firing else ("resolved", now)
                stamps = {"startsAt": since, "endsAt": ends.isoformat()}
                news.append({"status": word, **stamps, **json.loads(alert)})
        if news:
            surges.tell(url, told)  # if it hears, and we are killed, it must yet hear of the end
            status = await asyncio.to_thread(post, url, news if repeats else {"alerts": news})
            logging.info("firing=%d told=%d status=%d", len(firing), len(news), status)
            if 200 <= status < 300:
                surges.tell(url, {alert: (told[alert][0], True) for alert in firing})


async def main(options: argparse.Namespace, rules: list[Rule]) -> None:
    start = datetime.now(UTC) - timedelta(seconds=max(rule.seconds for rule in rules))
    consumer = Consumer(options.nats, durable="alerts", types=MAIL_EVENTS, start=start, ack_wait=10)
    with closing(sqlite3.connect(options.db)) as db:
        surges = Surges(db, rules)
        async with consumer, asyncio.TaskGroup() as tasks:
            for url in options.alertmanager:
                tasks.create_task(report(surges, f"{url}/api/v2/alerts", options.interval, True))
            for url in options.webhook:
                tasks.create_task(report(surges, url, options.interval, False))
            async for message in consumer:
                surges.add(message.event)
                await message.ack()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nats", default="nats://127.0.0.1:4222", metavar="URL")
    parser.add_argument("--db", default="alerts.db", metavar="FILE")
    parser.add_argument("--rules", default="alerts.toml", metavar="FILE")
    parser.add_argument("--interval", default=15.0, type=float, metavar="SECONDS")
    parser.add_argument("--alertmanager", action="append", default=[], metavar="URL")
    parser.add_argument("--webhook", action="append", default=[], metavar="URL")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    options = parser.parse_args()
    rules = tomllib.loads(Path(options.rules).read_text("utf-8"))["rule"]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for their jobs
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with suppress(KeyboardInterrupt):
        asyncio.run(main(options, [Rule(**rule) for rule in rules]))
