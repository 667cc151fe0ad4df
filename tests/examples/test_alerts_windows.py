"""Sliding windows of alerts, against a count of all events from the beginning."""

import json
import sqlite3
import tomllib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import alerts as module
from examples.alerts import Rule, Surges
from mailfault_schemas import BouncedEvent, DeferredEvent, Event, RejectEvent
from mailfault_schemas.samples import example

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
RULE = Rule(
    alert="ProviderRefuses",
    summary="{provider} refuses mail of {mta}",
    severity="critical",
    where={"event_type": ["deferred", "bounced"], "scope": ["reputation"]},
    by=["provider", "mta"],
    events=4,
    seconds=60,
)
TEMPLATE = example(
    DeferredEvent, scope="reputation", category="rate_limited", provider="google"
).model_dump()


def deferral(number: int, seconds: float, late: float = 0, **changes: Any) -> DeferredEvent:
    at = START + timedelta(seconds=seconds)
    told = {"event_id": f"{number:032x}", "event_time": at}
    return DeferredEvent.model_validate(
        {**TEMPLATE, **told, "received_at": at + timedelta(seconds=late), **changes}
    )


def at(seconds: float) -> float:
    return START.timestamp() + seconds


class Windows:
    """Surges, and what one receiver was told of them."""

    def __init__(self, *events: Event, rule: Rule = RULE) -> None:
        self._db = sqlite3.connect(":memory:")
        self._surges = Surges(self._db, [rule])
        for event in events:
            self._surges.add(event)

    def __del__(self) -> None:
        self._db.close()

    def add(self, event: Event) -> None:
        self._surges.add(event)

    def firing(self, now: float, told: set[str]) -> set[str]:
        known = dict.fromkeys(told, ("2026-11-23T09:00:00+00:00", True))
        self._surges.tell("http://x", known)
        found, known_then = self._surges.stand("http://x", now)
        assert known_then == known
        assert self._surges.stand("http://y", now)[1] == {}
        return found


def fields(event: Event) -> dict[str, str | None]:
    return {**event.model_dump(mode="json", include=module.FIELDS), "mta": event.mta.host}


def test_it_fires_from_its_count_on_and_ends_under_half_of_it() -> None:
    made = Windows(*(deferral(n, seconds=10 * n) for n in range(3)))
    assert made.firing(at(20), set()) == set()
    made.add(deferral(3, 30))
    [alert] = made.firing(at(30), set())
    about = json.loads(alert)
    assert about["annotations"]["summary"] == f"google refuses mail of {TEMPLATE['mta']['host']}"
    assert about["labels"] == {
        "alertname": "ProviderRefuses",
        "severity": "critical",
        "provider": "google",
        "mta": TEMPLATE["mta"]["host"],
    }
    assert made.firing(at(60), set()) == {alert}, "all four, the oldest just so"
    assert made.firing(at(61), set()) == set(), "three, and it was not told"
    assert Windows(deferral(1, 0), deferral(2, 0)).firing(at(60), {alert}) == {alert}, "half"
    assert Windows(deferral(1, 0)).firing(at(60), {alert}) == set()
    assert Windows().firing(at(60), {alert}) == set()


def test_an_event_that_comes_again_counts_once() -> None:
    same = [deferral(1, 0)] * 10
    assert Windows(*same).firing(at(0), set()) == set()


def test_a_clock_that_runs_ahead_does_not_keep_an_alert() -> None:
    ahead = [deferral(n, seconds=86_400, late=-86_400) for n in range(4)]
    made = Windows(*ahead)
    assert len(made.firing(at(60), set())) == 1
    assert made.firing(at(61), set()) == set()


def test_what_was_logged_long_ago_does_not_count() -> None:
    late = [deferral(n, seconds=-3600, late=3600) for n in range(4)]
    assert Windows(*late).firing(at(0), set()) == set()


@pytest.mark.parametrize(
    ("event", "counts"),
    [
        (deferral(1, 0), True),
        (deferral(1, 0, scope="policy"), False),
        (deferral(1, 0, scope=None), False),
        (deferral(1, 0, provider=None), False),
        (example(BouncedEvent, scope="reputation", provider="yahoo"), True),
        (example(RejectEvent, scope="reputation", provider="yahoo"), False),
    ],
)
def test_whom_a_rule_concerns(event: Event, counts: bool) -> None:
    assert (RULE.alert_for(fields(event)) is not None) == counts


def test_each_provider_and_mta_is_counted_apart() -> None:
    other = {**TEMPLATE["mta"], "host": "mx2"}
    made = Windows(
        *(deferral(n, 0) for n in range(3)),
        *(deferral(n, 0, provider="yahoo") for n in range(10, 14)),
        *(deferral(n, 0, mta=other) for n in range(20, 23)),
    )
    [alert] = made.firing(at(0), set())
    assert json.loads(alert)["labels"]["provider"] == "yahoo"


def test_what_each_receiver_was_told_is_its_own_affair() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        surges = Surges(db, [RULE])
        surges.tell("http://x", {"a": ("then", True), "b": ("now", False)})
        surges.tell("http://y", {"a": ("later", False)})
        surges.tell("http://x", {"b": ("now", True)})
        assert surges.stand("http://x", at(0)) == (set(), {"b": ("now", True)})
        assert surges.stand("http://y", at(0)) == (set(), {"a": ("later", False)})
        assert surges.stand("http://z", at(0)) == (set(), {})


def test_hostile_values_stay_values() -> None:
    hostile = '{mta}"\n\x1b]0;x\x07<b>\u202e'
    rule = Rule(
        "Any", "{recipient_domain} fails", "info", {}, ["recipient_domain"], events=1, seconds=60
    )
    [alert] = Windows(deferral(1, 0, recipient_domain=hostile), rule=rule).firing(at(0), set())
    assert alert.isascii()
    assert alert.isprintable()
    assert json.loads(alert)["labels"]["recipient_domain"] == hostile
    assert json.loads(alert)["annotations"]["summary"] == f"{hostile} fails"


def test_no_more_is_kept_than_the_bound_and_the_latest_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FORGET", module.FORGET.replace("200000", "3"))
    rule = Rule("Any", "", "info", {}, ["recipient_domain"], events=1, seconds=60)
    made = Windows(rule=rule)
    for number in range(10):
        made.add(deferral(number, number, recipient_domain=f"d{number}.example"))
    found = {json.loads(a)["labels"]["recipient_domain"] for a in made.firing(at(10), set())}
    assert found == {f"d{number}.example" for number in (6, 7, 8, 9)}, "or one more"


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 100)), max_size=40),
    st.lists(st.integers(0, 200), max_size=8).map(sorted),
    st.integers(1, 6),
    st.integers(1, 40),
    st.booleans(),
)
def test_windows_are_what_counting_everything_gives(
    arrivals: list[tuple[int, int]], looks: list[int], count: int, seconds: int, is_told: bool
) -> None:
    """Events in any order, some more than once, with looks at any time between and after them."""
    rule = Rule("Any", "", "info", {}, ["mta"], count, seconds)
    alert = rule.alert_for(fields(deferral(0, 0)))
    assert alert is not None
    told = {alert} if is_told else set()
    times: dict[int, int] = {}
    made = Windows(rule=rule)
    share = max(1, len(arrivals) // (len(looks) or 1))
    for start, look in enumerate(looks):
        for number, time in arrivals[start * share : (start + 1) * share]:
            made.add(deferral(number, times.setdefault(number, time)))
        inside = sum(time >= look - seconds for time in times.values())
        wanted = inside >= count or (is_told and inside > 0 and 2 * inside >= count)
        assert made.firing(at(look), told) == ({alert} if wanted else set())


def test_the_rules_that_come_with_it_are_sound() -> None:
    text = Path(module.__file__).with_name("alerts.toml").read_text()
    known = fields(deferral(0, 0)).keys()
    rules = [Rule(**table) for table in tomllib.loads(text)["rule"]]
    assert len({rule.alert for rule in rules}) == len(rules)
    for rule in rules:
        assert {*rule.by, *rule.where} <= known
        rule.summary.format(**dict.fromkeys(rule.by))
        assert rule.events >= 1
    by_reputation, *_ = rules
    assert by_reputation.alert_for(fields(deferral(0, 0))) is not None
