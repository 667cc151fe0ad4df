"""A pipeline that remembers, and lines of one message, for tests of what earlier lines told."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import schemas
from service.core.classify import builtin_classifier
from service.core.envelope import Envelope
from service.core.framing.base import Frame
from service.core.privacy import Privacy
from service.correlation import Correlation
from service.correlation_config import CorrelationConfig
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.pipeline_config import PipelineConfig
from tests.metric_values import assert_balanced
from tests.sample_lines import NOW, ORIGIN, TEMPLATE

BEGUN = [
    "postfix/smtpd[1]: 4ABCDE12F: client=q-name.c.example[192.0.2.77], sasl_username=qlogin",
    "postfix/cleanup[2]: 4ABCDE12F: message-id=<qid@m.example>",
    "postfix/qmgr[3]: 4ABCDE12F: from=<qsender@s.example>, size=9, nrcpt=2 (queue active)",
]
ACTIVE = BEGUN[2]
REMOVED = "postfix/qmgr[3]: 4ABCDE12F: removed"
EXPIRED = "postfix/qmgr[3]: 4ABCDE12F: from=<qsender@s.example>, status=expired, returned to sender"
NOTICE = "postfix/bounce[5]: 4ABCDE12F: sender non-delivery notification: 5F00112233"
FORWARDED = [line.replace("12F", "13A") for line in BEGUN[1:]]
"""What is told of a message that local(8) makes of another, before local(8) says so."""
LINK = (
    "postfix/local[5]: 4ABCDE12F: to=<list@r.example>, relay=local, delay=0, delays=0/0/0/0, "
    "dsn=2.0.0, status=sent (forwarded as 4ABCDE13A)"
)


def to(name: str, status: str, said: str = "x") -> str:
    dsn = {"deferred": "4.4.1", "bounced": "5.1.1", "sent": "2.0.0"}[status]
    return (
        f"postfix/smtp[4]: 4ABCDE12F: to=<{name}@r.example>, relay=none, delay=9, dsn={dsn}, "
        f"status={status} ({said})"
    )


class House:
    def __init__(self, privacy: Privacy | None = None, **config: Any) -> None:
        self.metrics = Metrics()
        zone = ZoneInfo("UTC")
        self.correlation = Correlation(CorrelationConfig(**config), zone)
        self.pipeline = Pipeline(
            PipelineConfig(),
            TEMPLATE,
            self.metrics,
            builtin_classifier(),
            self.correlation,
            privacy,
        )
        self._second = 0

    def take(self, *lines: str | bytes) -> list[Envelope]:
        made: list[Envelope] = []
        for line in lines:
            made += self._one(line)
            assert_balanced(self.metrics)
        return made

    def take_many(self, lines: Iterable[str]) -> None:
        """The metrics are looked at once: thousands of looks are a minute on a slow machine."""
        for line in lines:
            self._one(line)
        assert_balanced(self.metrics)

    def _one(self, line: str | bytes) -> list[Envelope]:
        self._second += 1
        stamp = f"<22>2026-08-22T09:{self._second // 60:02}:{self._second % 60:02}.5Z mx1 "
        raw = line if isinstance(line, bytes) else (stamp + line).encode()
        return self.pipeline.process([Frame(raw)], ORIGIN, NOW)

    def later(self, seconds: float) -> list[Envelope]:
        """What has waited long enough by then."""
        self.pipeline.overdue(NOW + timedelta(seconds=seconds))
        return self.pipeline.released()

    def end(self) -> list[Envelope]:
        made = self.pipeline.release_all(NOW)
        assert_balanced(self.metrics)
        return made


class Expecting:
    """Receipts that keep what they are told, by piece."""

    is_pressed = False

    def __init__(self) -> None:
        self.expected: list[int] = []
        self.made_durable: list[int] = []

    def expect(self, piece: int) -> None:
        self.expected.append(piece)

    def durable(self, piece: int) -> None:
        self.made_durable.append(piece)


def decoded(envelopes: list[Envelope]) -> list[Any]:
    return [schemas.decode(envelope.body) for envelope in envelopes]


def local(status: str, name: str, alias: str | None = None, daemon: str = "local") -> str:
    """Of one target of an alias: a program that has its name, or another recipient."""
    line = to(name, status).replace("postfix/smtp", f"postfix/{daemon}")
    return (
        line if alias is None else line.replace(", relay", f", orig_to=<{alias}@r.example>, relay")
    )
