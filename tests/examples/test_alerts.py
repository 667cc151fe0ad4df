"""The alerts subscriber as a process, between a real receiver, a webhook and Alertmanager."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.examples.alertmanager import alertmanager
from tests.examples.house import delivery, house
from tests.examples.subscriber import running
from tests.examples.webhook import Webhook, webhook

RULES = """
[[rule]]
alert = "ProviderRefusesForReputation"
where = { event_type = ["deferred", "bounced"], scope = ["reputation"] }
by = ["provider", "mta"]
events = 5
seconds = %d
severity = "critical"
summary = "{provider} refuses mail of {mta} for its reputation"

[[rule]]
alert = "LinesNobodyUnderstands"
where = { event_type = ["invalid"] }
by = ["mta"]
events = 1
seconds = 3600
severity = "warning"
summary = "{mta} writes failure lines that mailfault cannot read"
"""
GMAIL = (
    "host gmail-smtp-in.l.google.com[192.0.2.1] said: 421-4.7.28 Gmail saw an unusual rate of "
    "unsolicited mail originating 421-4.7.28 from your IP address [192.0.2.10]. Sending is slowed. "
    "421 4.7.28 98e67ed59e1d1-2a5c3 - gsmtp (in reply to end of DATA command)"
)
GOOGLE, LINES = "ProviderRefusesForReputation", "LinesNobodyUnderstands"
UNREADABLE = "smtpd[7]: NOQUEUE: reject: a shape that no Postfix writes"

pytestmark = pytest.mark.timeout(120)


def deferrals(*numbers: int) -> list[str]:
    return [delivery(f"4ABCDE{n:03}", f"u{n}@gmail.com", "deferred", 5, GMAIL) for n in numbers]


def alerts_in(hook: Webhook) -> list[dict[str, Any]]:
    return [alert for post in hook.accepted for alert in post.body["alerts"]]


def told(hook: Webhook) -> list[tuple[str, str]]:
    return [(alert["status"], alert["labels"]["alertname"]) for alert in alerts_in(hook)]


async def test_counts_and_what_was_told_survive(tmp_path: Path) -> None:
    """Killed while it counts, all events once more, the webhook away, killed while it fires."""
    (tmp_path / "alerts.toml").write_text(RULES % 3600)
    async with house(tmp_path) as mail, webhook() as hook:
        arguments = ("--nats", mail.nats.url, "--webhook", hook.url, "--interval", "0.2")
        await mail.log(*deferrals(1, 2, 3, 4), UNREADABLE, events=5)
        async with running("alerts.py", *arguments, home=tmp_path) as alerts:
            await hook.until(lambda: len(hook.accepted) == 1)
            await alerts.kill()
        await mail.replay_to("alerts")
        await hook.down()
        async with running("alerts.py", *arguments, home=tmp_path) as alerts:
            await mail.log(UNREADABLE, host="mx2", events=1)
            await alerts.said("firing=2")
            fifth = datetime.now(UTC)
            await mail.log(*deferrals(5), events=1)
            await alerts.said("firing=3")
            assert await alerts.stop() == 0
        hook.up()
        async with running("alerts.py", *arguments, home=tmp_path) as alerts:
            await hook.until(lambda: ("firing", GOOGLE) in told(hook))
            await alerts.kill()
        with closing(sqlite3.connect(tmp_path / "alerts.db")) as db, db:
            db.execute("UPDATE counted SET leaves = leaves - 3600 WHERE alert LIKE '%google%'")
        async with running("alerts.py", *arguments, home=tmp_path) as alerts:
            await hook.until(lambda: ("resolved", GOOGLE) in told(hook))
            assert await alerts.stop() == 0
            assert "mx1" not in alerts.log
    # What it was killed over is told again; but nothing is left out, and it ends once, at the end.
    assert {*told(hook)} == {("firing", GOOGLE), ("firing", LINES), ("resolved", GOOGLE)}
    assert told(hook).index(("resolved", GOOGLE)) == len(told(hook)) - 1
    [began, *_] = (alert for alert in alerts_in(hook) if alert["labels"]["alertname"] == GOOGLE)
    assert datetime.fromisoformat(began["startsAt"]) > fifth, "four, twice, are four"
    assert began["annotations"] == {"summary": "google refuses mail of mx1 for its reputation"}


async def test_alertmanager_is_told_again_and_again_until_it_is_over(tmp_path: Path) -> None:
    (tmp_path / "alerts.toml").write_text(RULES % 15)
    async with (
        house(tmp_path) as mail,
        webhook() as own,
        webhook() as theirs,
        alertmanager(tmp_path / "alertmanager", theirs.url) as manager,
    ):
        arguments = ("--nats", mail.nats.url, "--alertmanager", manager.url, "--webhook", own.url)
        async with running("alerts.py", *arguments, "--interval", "2", home=tmp_path) as alerts:
            await mail.log(*deferrals(1, 2, 3, 4, 5), events=5)
            await theirs.until(lambda: len(theirs.accepted) == 1)
            [shown] = await manager.alerts()
            assert shown["labels"] == {
                "alertname": "ProviderRefusesForReputation",
                "severity": "critical",
                "provider": "google",
                "mta": "mx1",
            }
            assert shown["annotations"] == {
                "summary": "google refuses mail of mx1 for its reputation"
            }
            await theirs.until(lambda: len(theirs.accepted) == 2)
            await own.until(lambda: len(own.accepted) == 2)
            assert await manager.alerts() == []
            assert await alerts.stop() == 0
    assert (
        told(own)
        == told(theirs)
        == [
            ("firing", "ProviderRefusesForReputation"),
            ("resolved", "ProviderRefusesForReputation"),
        ]
    )
    _, end = (post.body["alerts"][0] for post in theirs.accepted)
    held = datetime.fromisoformat(end["endsAt"]) - datetime.fromisoformat(end["startsAt"])
    assert held.total_seconds() > 8, "so long it was to hold each time it was told"
