"""Every case of the corpus through the pipeline, alone and between other lines."""

import json
from collections import Counter
from dataclasses import astuple
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from schemas.subjects import mta_token
from service.core.classify import builtin_classifier
from service.core.envelope import SubjectTemplate
from service.core.framing.base import Block, Frame
from service.core.outcomes import Skip
from service.correlation import Correlation
from service.correlation_config import CorrelationConfig
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.pipeline_config import PipelineConfig
from service.received import Origin
from tests.corpus.cases import FAMILIES, MODELS, Case, corpus

ORIGIN = Origin(transport="tcp", source_ip="192.0.2.250")

ABSENT = "(no such field)"

HARMLESS = b"<22>Aug  1 10:20:29 neighbour postfix/smtpd[1]: connect from unknown[192.0.2.66]"
FAILING = (
    b"<22>Aug  1 10:20:31 neighbour postfix/smtpd[1]: NOQUEUE: reject: RCPT from"
    b" unknown[192.0.2.66]: 554 5.7.1 <n@other.example>: Relay access denied;"
    b" from=<n@example.net> to=<n@other.example> proto=ESMTP helo=<n>"
)

EVERY_CASE = pytest.mark.parametrize("case", corpus(), ids=lambda case: case.id)


def count(metrics: Metrics, name: str, **labels: str) -> int:
    value = metrics.registry.get_sample_value(f"mailfault_{name}_total", labels)
    assert value is not None, f"no metric {name} {labels}"
    return int(value)


def skips(metrics: Metrics) -> Counter[Skip]:
    """`+` drops the zeros."""
    return +Counter({reason: count(metrics, "lines_skipped", reason=reason) for reason in Skip})


def build(case: Case) -> tuple[Pipeline, Metrics]:
    metrics = Metrics()
    config = PipelineConfig(default_timezone=case.timezone)
    template = SubjectTemplate("{prefix}.{type}.{mta}", "postfix")
    # Each line alone: none waits for what others would tell.
    correlation = Correlation(CorrelationConfig(notice_wait=0), ZoneInfo(config.default_timezone))
    return Pipeline(config, template, metrics, builtin_classifier(), correlation), metrics


def differences(expected: Any, found: Any, path: str = "") -> list[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line
            for key, value in expected.items()
            for line in differences(value, found.get(key, ABSENT), f"{path}.{key}" if path else key)
        ]
    return [] if expected == found else [f"{path}: expected {expected!r}, found {found!r}"]


@EVERY_CASE
def test_single_frame(case: Case) -> None:
    pipeline, metrics = build(case)

    envelopes = pipeline.frame(Frame(case.line), ORIGIN, case.now)

    events = [json.loads(envelope.body) for envelope in envelopes]
    outcome = [event["event_type"] for event in events] or [
        f"skip: {reason}" for reason in skips(metrics)
    ]
    if case.expect == "skip":
        reasons = [case.reason] if case.reason else list(Skip)
        assert outcome in [[f"skip: {reason}"] for reason in reasons]
    else:
        assert outcome == [case.expect] * case.events
    for event in events:
        assert differences(case.event, event) == []
        MODELS[case.expect].model_validate(event)
        assert event["raw"] == case.line.decode("utf-8", "replace")
    for envelope, event in zip(envelopes, events, strict=True):
        assert envelope.subject == f"postfix.{case.expect}.{mta_token(event['mta']['host'])}"
        assert envelope.message_id == event["event_id"]
        model = MODELS[case.expect].model_validate_json(envelope.body)
        assert model.model_dump_json().encode() == envelope.body, "as the model itself writes it"
    assert len({event["event_id"] for event in events}) == case.events
    assert count(metrics, "frames_received", transport="tcp") == 1
    assert count(metrics, "frames_with_events") + skips(metrics).total() == 1


@EVERY_CASE
def test_inside_a_block(case: Case) -> None:
    """Blocks are searched, single frames are not: both must see the same."""
    alone, alone_metrics = build(case)
    expected = alone.frame(Frame(case.line), ORIGIN, case.now)
    pipeline, metrics = build(case)
    lines = [FAILING, case.line, HARMLESS, case.line, FAILING]
    block = Block(b"".join(line + b"\n" for line in lines), len(lines))

    envelopes = pipeline.block(block, ORIGIN, case.now)

    first, *between, last = envelopes
    assert b'"neighbour"' in first.body
    assert first.message_id == last.message_id
    assert list(map(astuple, between)) == list(map(astuple, expected * 2))
    twice = skips(alone_metrics) + skips(alone_metrics)
    assert skips(metrics) == twice + Counter({Skip.NOT_A_FAILURE: 1})
    assert count(metrics, "frames_received", transport="tcp") == len(lines)
    assert count(metrics, "frames_with_events") + skips(metrics).total() == len(lines)


def test_corpus_covers_what_it_promises() -> None:
    cases = corpus()
    assert len(cases) >= 600
    assert {case.family for case in cases} == FAMILIES
    by_outcome = Counter(case.expect for case in cases)
    assert by_outcome.keys() == {*MODELS, "skip"}
    assert min(by_outcome["reject"], by_outcome["deferred"], by_outcome["bounced"]) >= 60
    assert {case.reason for case in cases} >= set(Skip)


def test_names_are_unique() -> None:
    assert [name for name, times in Counter(c.name for c in corpus()).items() if times > 1] == []


def test_lines_are_unique() -> None:
    """A copy of a line proves nothing new."""
    seen = Counter((case.line, case.timezone, case.now) for case in corpus())
    assert [line for (line, _, _), times in seen.items() if times > 1] == []


def test_differences_are_found() -> None:
    """The comparison itself can fail: nested, missing, null against a value."""
    assert differences({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}) == []
    assert differences({"a": {"b": 1}}, {"a": {"b": 2}}) == ["a.b: expected 1, found 2"]
    assert differences({"a": {"b": 1}}, {"a": None}) != []
    assert differences({"a": None}, {"a": "x"}) != []
    assert differences({"a": "x"}, {}) != []
    assert differences({"a": None}, {}) != []
