"""`deploy/grafana/mailfault.json`: a dashboard as Grafana reads it, and its queries all have data
when a real Prometheus scrapes the real receiver."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests import sample_lines as lines
from tests.deploy.manifests import DEPLOY
from tests.deploy.prometheus_server import WINDOW, Prometheus, prometheus
from tests.e2e.receiver import Receiver
from tests.listeners.certificates import make
from tests.metric_values import value
from tests.nats_server import real_nats

BOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "mailfault.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = BOARD["panels"]
CHARTS = [panel for panel in PANELS if panel["type"] != "row"]
WIDTH = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
OF_GRAFANA = {"__rate_interval", "__range"}

LISTED = lines.DEFERRED.replace(b"4ABCDE12F", b"4ABCDE13G").replace(
    b"relay=none, delay=30, delays=0.1/0/30/0, dsn=4.4.1, status=deferred (connect to "
    b"mx.example.net[192.0.2.1]:25: Connection timed out)",
    b"relay=mx.google.com[192.0.2.1]:25, delay=30, delays=0.1/0/30/0, dsn=4.7.0, status=deferred "
    b"(host mx.google.com[192.0.2.1] said: 421 4.7.0 192.0.2.9 is listed at zen.spamhaus.org)",
)
DELIVERED = lines.SENT.replace(b"ok@example.net", b"later@example.net")
OVER_TCP = (
    lines.REJECT,
    lines.DEFERRED,
    lines.BOUNCED,
    lines.UNCLASSIFIED,
    LISTED,
    DELIVERED,
    lines.UNKNOWN_SHAPE,
    lines.HARMLESS,
)


@dataclass(frozen=True)
class Target:
    panel: str
    expression: str
    legend: str

    @property
    def query(self) -> str:
        """As Grafana would send it, with all receivers chosen."""
        text = self.expression
        for name in OF_GRAFANA:
            text = text.replace(f"${name}", WINDOW)
        return text.replace("$job", ".*").replace("$instance", ".*")


def targets() -> Iterator[Target]:
    for panel in CHARTS:
        for target in panel["targets"]:
            yield Target(panel["title"], target["expr"], target["legendFormat"])


def test_it_is_a_dashboard() -> None:
    assert BOARD["uid"] == BOARD["title"] == "mailfault"
    assert BOARD["schemaVersion"] >= 36, "panels name their datasource as an object"
    assert "id" not in BOARD, "Grafana gives it"
    assert {panel["type"] for panel in PANELS} == {"row", "stat", "table", "timeseries"}
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    assert all(isinstance(one, int) and one > 0 for one in ids)
    assert len(CHARTS) >= 30


def lost(written: Any, read: Any, path: str = "") -> Iterator[str]:
    """Where `read` has not what was `written`."""
    if isinstance(written, dict):
        for key, what in written.items():
            yield from lost(
                what, read.get(key) if isinstance(read, dict) else None, f"{path}/{key}"
            )
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for number, what in enumerate(written):
            yield from lost(what, read[number], f"{path}/{number}")
    elif written != read:
        yield f"{path}: {written!r}"


def as_grafana_reads(board: dict[str, Any]) -> Any:
    """Through the types of Grafana's own makers, which know each panel and query, and back."""
    register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(deepcopy(board))))


def test_grafana_reads_all_that_is_written() -> None:
    assert list(lost(BOARD, as_grafana_reads(BOARD))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("expr", "expression"), ("gridPos", "gridpos"), ("decimals", "digits"), ("graphMode", "mode")],
)
def test_it_would_miss_this(old: str, new: str) -> None:
    broken = json.loads(json.dumps(BOARD).replace(f'"{old}": ', f'"{new}": '))
    assert any(f"/{new}" in one for one in lost(broken, as_grafana_reads(broken)))


def test_panels_do_not_overlap() -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in PANELS]
    for title, at in places:
        assert at.keys() == {"x", "y", "w", "h"}, title
        assert all(isinstance(number, int) for number in at.values()), title
        assert at["x"] >= 0, title
        assert at["y"] >= 0, title
        assert at["w"] > 0, title
        assert at["h"] > 0, title
        assert at["x"] + at["w"] <= WIDTH, title
    for (one, a), (other, b) in combinations(places, 2):
        is_beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        is_above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert is_beside or is_above, (one, other)


def test_the_order_on_the_page_is_that_of_the_file() -> None:
    """Grafana gives each row what follows it."""
    places = [(panel["gridPos"]["y"], panel["gridPos"]["x"]) for panel in PANELS]
    assert places == sorted(places)
    assert PANELS[0]["type"] == "row"
    assert all(panel["panels"] == [] for panel in PANELS if panel["type"] == "row")


def test_every_panel_says_what_it_shows_and_asks_the_chosen_prometheus() -> None:
    for panel in CHARTS:
        title = panel["title"]
        assert panel["description"].endswith("."), title
        assert panel["fieldConfig"]["defaults"]["unit"], title
        assert panel["datasource"] == DATASOURCE, title
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0, title
        for target in panel["targets"]:
            assert target["datasource"] == DATASOURCE, title
            assert target.get("range", False) is not target.get("instant", False), title


def test_variables_are_those_that_queries_use() -> None:
    variables = {one["name"]: one for one in BOARD["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == (
        "datasource",
        "prometheus",
    )
    used = {name for target in targets() for name in re.findall(r"\$(\w+)", target.expression)}
    assert used - OF_GRAFANA == variables.keys() - {"datasource"} == {"job", "instance"}
    for name in ("job", "instance"):
        assert variables[name]["datasource"] == DATASOURCE
        assert variables[name]["query"]["query"].endswith(f", {name})")
    for target in targets():
        found = re.findall(r"\bmailfault_\w+(\{[^}]*\})?", target.expression)
        chosen = [one.startswith('{job=~"$job",instance=~"$instance"') for one in found]
        assert all(chosen), target


def test_alerts_that_it_names_are_alerts() -> None:
    rules = (DEPLOY / "prometheus" / "mailfault.rules.yml").read_text("utf-8")
    text = json.dumps(BOARD)
    named = set(re.findall(r"\bMailfault\w+", text))
    assert named == set(re.findall(r"- alert: (\w+)", rules)) - {"MailfaultDeferralSurge"}


@asynccontextmanager
async def receiver(home: Path, nats_url: str) -> AsyncIterator[Receiver]:
    ours = make(home, "receiver.example.net")
    env = {
        "MAILFAULT_TLS__LISTEN": "127.0.0.1:0",
        "MAILFAULT_TLS__AUTH_MODE": "anon",
        "MAILFAULT_TLS__CERT_FILE": str(ours.cert_file),
        "MAILFAULT_TLS__KEY_FILE": str(ours.key_file),
    }
    made = await Receiver.start(home / "data", nats_url, env=env)
    try:
        yield made
    finally:
        status = await made.child.stop()
    assert status == 0


def send(port: int, data: bytes) -> None:
    """And wait for the other side to close, where it does."""
    with socket.create_connection(("127.0.0.1", port)) as sender:
        sender.sendall(data)
        sender.shutdown(socket.SHUT_WR)
        while sender.recv(4096):
            pass


async def cause_something_everywhere(made: Receiver) -> None:
    """One of each thing that a panel tells of."""
    ports = made.ports
    await asyncio.to_thread(send, ports["tcp"], b"".join(line + b"\n" for line in OVER_TCP))
    await asyncio.to_thread(send, ports["tcp"], b"100 <22>cut short")
    await asyncio.to_thread(send, ports["relp"], b"no RELP at all\n")
    await asyncio.to_thread(send, await made.port("tls"), b"no TLS at all\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(lines.REJECT, ("127.0.0.1", ports["udp"]))
    await made.until(
        lambda text: (
            value(text, "frames_received_total", transport="udp") >= 1
            and value(text, "published_total", result="ok") >= 7
            and value(text, "frames_dropped_total") >= 1
            and value(text, "relp_sessions_refused_total") >= 1
            and value(text, "connections_refused_total") >= 1
        )
    )


async def until_data(server: Prometheus, wanted: list[Target]) -> dict[Target, Any]:
    """What each query gives, as soon as all give something."""
    found: dict[Target, Any] = {}
    try:
        async with asyncio.timeout(40):
            while missing := [target for target in wanted if not found.get(target)]:
                for target in missing:
                    found[target] = await server.query(target.query)
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"without data: {[t for t in wanted if not found.get(t)]}") from None
    return found


@pytest.mark.e2e
@pytest.mark.timeout(180)
async def test_every_query_gives_data_and_every_rule_is_evaluated(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path) as nats,
        receiver(tmp_path, nats.url) as made,
        prometheus(tmp_path, made.ports["http"]) as server,
    ):
        before = [Target("", "mailfault_build_info", "")]
        await until_data(server, before)
        await cause_something_everywhere(made)
        found = await until_data(server, list(targets()))
        for target, samples in found.items():
            for label in re.findall(r"\{\{(\w+)\}\}", target.legend):
                assert all(label in labels for labels, _ in samples), target
        events = next(t for t in found if t.panel == "Events a minute, by type")
        assert {labels["type"] for labels, _ in found[events]} == {
            "reject",
            "deferred",
            "bounced",
            "resolved",
            "invalid",
        }
        silent = next(t for t in found if t.panel.startswith("Senders, the most silent"))
        assert [labels["source"] for labels, _ in found[silent]] == ["127.0.0.1"]
        await until_data(
            server, [Target("", 'ALERTS{alertname="MailfaultUnparsedLines"} == 1', "")]
        )
        rules = await server.rules()
        assert len(rules) >= 14
        broken = [rule for rule in rules if rule["health"] != "ok" or rule.get("lastError")]
        assert not broken
        firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
        # The two for what was sent; its certificate is one of a day.
        assert firing == {
            "MailfaultUnparsedLines",
            "MailfaultFramesDropped",
            "MailfaultCertificateExpires",
        }
