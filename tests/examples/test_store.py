"""The store as a process, between a real receiver and somebody who asks for a report."""

import asyncio
import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.examples.house import delivery, house
from tests.examples.subscriber import ROOT, running

HOSTILE = "x\u202e\"'; DROP TABLE event; --@evil.example"
REFUSED = (
    "smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.66]: 554 5.7.1 <v@x.example>: "
    "Relay access denied; from=<s@bad.example> to=<v@x.example> proto=ESMTP helo=<bad.example>"
)

pytestmark = pytest.mark.timeout(120)


async def report(home: Path, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "examples" / "store.py"), "report", *arguments),
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def answers(home: Path, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await report(home, "--json", *arguments))
    return found


def stored(home: Path) -> int:
    with closing(sqlite3.connect(home / "mail.db")) as db:
        [(number,)] = db.execute("SELECT count(*) FROM event").fetchall()
    return int(number)


async def test_events_are_kept_once_and_counted(tmp_path: Path) -> None:
    async with house(tmp_path) as mail:
        arguments = ("follow", "--nats", mail.nats.url)
        await mail.receiver.said("stream_checked")
        await mail.roll_up()  # which is no mail
        async with running("store.py", *arguments, home=tmp_path) as store:
            await mail.log(
                REFUSED,
                delivery("4ABCDE12F", "later@example.net", "deferred", 30),
                delivery("4ABCDE12F", "gone@Example.NET", "bounced", 1),
                delivery("4ABCDE130", HOSTILE, "bounced", 1),
                events=4,
            )
            await store.said("stored=")
            await store.kill()
        await mail.log(delivery("4ABCDE131", "gone@example.net", "bounced", 1), events=1)
        async with running("store.py", *arguments, home=tmp_path) as store:
            await mail.log(delivery("4ABCDE12F", "later@example.net", "sent", 9), events=1)
            await store.said("stored=")
            async with asyncio.timeout(40):
                while stored(tmp_path) < 6:  # noqa: ASYNC110  # a file tells nobody
                    await asyncio.sleep(0.1)
            assert await store.stop() == 0
            assert "example" not in store.log
        await mail.replay_to("store")
        async with running("store.py", *arguments, home=tmp_path) as store:
            await store.said("stored=6")
            assert stored(tmp_path) == 6, "all came again"
            found = await answers(tmp_path)  # while events may come in

    assert found["type"] == [["bounced", 3], ["deferred", 1], ["reject", 1], ["resolved", 1]]
    assert found["domain"] == [["example.net", 4], ["evil.example", 1], ["x.example", 1]]
    assert ["later@example.net", 2] in found["recipient"]
    assert [HOSTILE, 1] in found["recipient"]
    assert found["dsn"] == [["5.1.1", 3], ["2.0.0", 1], ["4.4.1", 1], ["5.7.1", 1]]
    assert sum(number for _, number in found["hour"]) == 6
    assert found["mta"] == [["mx1", 6]]
    narrow = await answers(tmp_path, "--type", "bounced", "--by", "domain", "--limit", "1")
    assert narrow == {"domain": [["example.net", 2]]}
    assert await answers(tmp_path, "--hours", "-1", "--by", "type") == {"type": []}

    shown = await report(tmp_path, "--by", "recipient", "type")
    assert "by type\n        3  bounced\n" in shown
    assert "\u202e" not in shown
    assert "x\\u202e\"'; DROP TABLE event; --@evil.example" in shown


async def test_a_report_before_the_first_event(tmp_path: Path) -> None:
    assert await answers(tmp_path, "--by", "type", "hour") == {"type": [], "hour": []}
