"""`deploy/prometheus`: the rules fire when they should and not otherwise, as promtool has it,
and ask for metrics that the receiver really has."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.receiver import Receiver
from service.settings import fixed
from tests.deploy.manifests import DEPLOY, TOP, read_all_yaml, read_yaml
from tests.e2e.packages import require_program
from tests.listeners.certificates import make
from tests.metric_values import samples

RULES = DEPLOY / "prometheus" / "mailfault.rules.yml"
CASES = Path(__file__).with_name("alerts.yml")

_METRIC = re.compile(r"\bmailfault_[a-z_]+\b")
_MATCHER = re.compile(r"(mailfault_[a-z_]+)\{([^}]*)\}")
_LABEL = re.compile(r'([a-z_]+)(=~|!~|!=|=)"([^"]*)"')
_OF_PROMETHEUS = {"job", "instance"}


def rules() -> list[dict[str, Any]]:
    (group,) = read_yaml(RULES)["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def promtool(*arguments: str | Path) -> str:
    program = require_program("promtool", "prometheus")
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.e2e
def test_prometheus_takes_the_rules_and_the_configuration() -> None:
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert f"{len(rules())} rules found" in said
    said = promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")
    assert "1 rule files found" in said


@pytest.mark.e2e
def test_each_alert_fires_when_it_should_and_not_otherwise() -> None:
    assert "SUCCESS" in promtool("test", "rules", CASES)


def test_each_alert_has_cases_of_both_kinds() -> None:
    fires: set[str] = set()
    is_silent: set[str] = set()
    for case in read_yaml(CASES)["tests"]:
        for test in case["alert_rule_test"]:
            (fires if test.get("exp_alerts") else is_silent).add(test["alertname"])
    names = {rule["alert"] for rule in rules()}
    assert names == fires == is_silent


def test_each_alert_says_what_it_means_and_where_to_read_on() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert re.fullmatch(r"Mailfault[A-Z][A-Za-z]+", rule["alert"])
        assert rule["labels"]["severity"] in ("critical", "warning")
        notes = rule["annotations"]
        assert notes.keys() == {"summary", "description", "runbook_url"}
        assert notes["runbook_url"] == f"docs/operating.md#{rule['alert'].lower()}"


def test_the_readme_lists_each_alert_with_its_severity() -> None:
    text = (DEPLOY / "prometheus" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.MULTILINE)
    assert listed == [(rule["alert"], rule["labels"]["severity"]) for rule in rules()]


def test_they_are_a_rule_of_the_operator_as_the_readme_says() -> None:
    text = (DEPLOY / "prometheus" / "README.md").read_text(encoding="utf-8")
    (command,) = (
        block
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        if "PrometheusRule" in block
    )
    made, mark, _ = command.partition("| kubectl")
    assert mark
    done = subprocess.run(
        ["sh", "-ec", made], cwd=TOP, capture_output=True, text=True, check=True, timeout=20
    )
    (rule,) = read_all_yaml(done.stdout)
    assert rule["kind"] == "PrometheusRule"
    assert rule["spec"] == read_yaml(RULES)


def test_each_alert_has_its_section_in_the_manual() -> None:
    operating = TOP / "docs" / "operating.md"
    if operating.exists():  # it is written beside this
        text = operating.read_text(encoding="utf-8")
        sections = re.findall(r"^#+ (Mailfault\w+)$", text, re.MULTILINE)
        assert sections == [rule["alert"] for rule in rules()]


def metrics_asked_for() -> Iterator[tuple[str, str]]:
    for rule in rules():
        for name in _METRIC.findall(rule["expr"]):
            yield rule["alert"], name


async def test_the_receiver_has_each_metric_and_label_that_is_asked_for(tmp_path: Path) -> None:
    """A metric that is renamed would make its alert silent for ever."""
    ours = make(tmp_path, "receiver.example.net")
    tls = {"listen": ["127.0.0.1:0"], "auth_mode": "anon"}
    tls |= {"cert_file": str(ours.cert_file), "key_file": str(ours.key_file)}
    receiver = Receiver(fixed({"nats": {"servers": ["nats://127.0.0.1:4222"]}, "tls": tls}))
    found: dict[str, set[tuple[str, str]]] = {}
    for name, labels in samples(receiver.metrics.render().decode()):
        found.setdefault(name, set()).update(labels)
    # It has no sample before somebody sent something.
    found["mailfault_source_last_received_timestamp_seconds"] = {("source", "other")}
    missing = [(alert, name) for alert, name in metrics_asked_for() if name not in found]
    assert not missing
    for rule in rules():
        for name, matchers in _MATCHER.findall(rule["expr"]):
            for label, how, wanted in _LABEL.findall(matchers):
                if label in _OF_PROMETHEUS:
                    continue
                values = {its for key, its in found[name] if key == label}
                named = set(wanted.split("|")) if how in ("=~", "!~") else {wanted}
                assert named <= values, (rule["alert"], name, label)
