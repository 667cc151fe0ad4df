"""Each step is the pipeline's own, and says what the pipeline does."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.classify import builtin_classifier
from service.core.explain.trace import Trace, trace
from service.core.outcomes import Malformed, Skip
from service.core.postfix.result import Failure, Unparsed
from tests import sample_lines as lines
from tests.sample_lines import HEADER, NOW, pipeline, read_line
from tests.strategies_postfix import hostile


def traced(line: bytes) -> Trace:
    return trace(line, False, NOW, UTC, builtin_classifier())


def test_a_failure() -> None:
    found = traced(lines.REJECT)
    assert found.header == "rfc3164"
    assert found.message is not None
    assert found.message.host == "mx1"
    assert found.identity == ("postfix", "smtpd")
    assert found.shape == "smtpd reject: (NOQUEUE)"
    assert isinstance(found.parsed, Failure)
    assert found.rule == (
        "postfix.relay-access-denied", "postfix.toml", "postfix smtpd/smtpd_check.c",
    )  # fmt: skip
    assert found.skip is None


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (b"smtp[9]: 4ABCDE12F: to=<a@b>, relay=none, delay=1, dsn=4.4.1, status=deferred (x)",
         "delivery to= (queue id 4ABCDE12F)"),
        (b"cleanup[9]: 4ABCDE12F: reject: header Subject: x from local; from=<a@b>: 5.7.1 no",
         "cleanup reject: (queue id 4ABCDE12F)"),
        (b"postscreen[9]: NOQUEUE: reject: CONNECT from [192.0.2.1]:4: all server ports busy",
         "postscreen reject: (NOQUEUE)"),
        (b"smtpd[9]: warning: reject: ETRN foo... from x[192.0.2.1]",
         "smtpd warning: reject: (a refused ETRN)"),
        (b"smtpd[9]: warning: reject: status=bounced (",
         "'warning:', with which Postfix reports no failure of mail"),
        (b"smtp[9]: message repeated 2 times: [ 4ABCDE12F: to=<a>, relay=x, delay=1, status=x]",
         "delivery to= (queue id 4ABCDE12F), folded 2 times"),
        (b"smtpd[9]: 4ABCDE12F: client=x[192.0.2.1] status=bounced",
         "opening 'client=', known to be no failure (queue id 4ABCDE12F)"),
        (b"smtpd[9]: 4ABCDE12F: quux status=bounced (x)",
         "opening 'quux', which no row reads (queue id 4ABCDE12F)"),
        (b"smtpd[9]: ... status=bounced (x)", "no opening word, which no row reads (no id)"),
        (b"smtp[9]: 4ABCDE12F: to=<" + b"a" * 2000 + b"> status=bounced",
         "delivery to= (queue id 4ABCDE12F, cut)"),
    ],
)  # fmt: skip
def test_shapes(text: bytes, shape: str) -> None:
    assert traced(HEADER + text).shape == shape


def test_a_failure_that_no_rule_knows() -> None:
    line = lines.DEFERRED.replace(b"4.4.1", b"4.0.0").replace(b"Connection timed out", b"qux")
    line = line.replace(b"connect to mx.example.net[192.0.2.1]:25: ", b"")
    assert traced(line).rule == ("none", "", "no rule knows these words and codes")


@pytest.mark.parametrize(
    ("line", "skip"),
    [
        (lines.HARMLESS, Skip.NOT_A_FAILURE),
        (b"", Skip.NOT_A_FAILURE),
        (HEADER + b"smtpd[7]: warning: status=bounced", Skip.NOT_A_FAILURE),
        (lines.PROBE, Skip.PROBE),
        (lines.NOT_POSTFIX, Skip.NOT_POSTFIX),
        (lines.NOT_SYSLOG, Skip.NOT_SYSLOG),
        (b"<22>Aug 22 10:00:00 mx1 " + b"x" * 300 + b": status=bounced", Skip.NOT_POSTFIX),
    ],
)
def test_skips(line: bytes, skip: Skip) -> None:
    found = traced(line)
    assert found.skip is skip
    assert found.rule is None
    assert (found.identity is None) is (skip in (Skip.NOT_POSTFIX, Skip.NOT_SYSLOG) or line == b"")


def test_a_dead_letter() -> None:
    found = traced(lines.UNKNOWN_SHAPE)
    assert isinstance(found.parsed, Unparsed)
    assert found.parsed.reason is Malformed.UNKNOWN_SHAPE
    assert found.skip is None


def test_every_rule_can_be_named() -> None:
    """With its file and the file's own `source` or its default's."""
    rules = builtin_classifier().rules
    assert len(rules) > 100
    assert all(rule.file.endswith(".toml") and rule.source for rule in rules)


@given(st.sampled_from(["smtpd[7]: NOQUEUE: reject: ", "smtp[7]: 4ABCDE12F: to=<", ""]), hostile())
def test_it_ends_as_in_the_pipeline(opening: str, text: str) -> None:
    line = HEADER + f"{opening}{text} reject: ".encode()
    found = traced(line)
    outcome = read_line(pipeline()[0], line)
    assert found.skip == (outcome if isinstance(outcome, Skip) else None)
