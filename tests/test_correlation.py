"""Events with what earlier lines told: ends, notices, privacy, hostile text, defects of ours.

Orders, cuts, resends and bounds: `tests/test_correlation_model.py`.
"""

import itertools
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import schemas
from service.core.classify import builtin_classifier
from service.core.correlate.memory import stamp_of
from service.core.envelope import Envelope
from service.core.framing.base import Frame
from service.core.privacy import Policy, Privacy, Treatment
from service.correlation import Correlation
from service.correlation_config import CorrelationConfig
from service.metrics import Metrics
from service.pipeline import AT_ONCE, Pipeline
from service.pipeline_config import PipelineConfig
from tests.metric_values import assert_balanced, value
from tests.sample_lines import NOW, ORIGIN, TEMPLATE

BEGUN = [
    "postfix/smtpd[1]: 4ABCDE12F: client=q-name.c.example[192.0.2.77], sasl_username=qlogin",
    "postfix/cleanup[2]: 4ABCDE12F: message-id=<qid@m.example>",
    "postfix/qmgr[3]: 4ABCDE12F: from=<qsender@s.example>, size=9, nrcpt=2 (queue active)",
]
ACTIVE = BEGUN[2]
REMOVED = "postfix/qmgr[3]: 4ABCDE12F: removed"
EXPIRED = "postfix/qmgr[3]: 4ABCDE12F: from=<qsender@s.example>, status=expired, returned to sender"


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


def test_a_notice_that_could_not_be_queued_is_nobodys_deferral() -> None:
    house = House(notice_wait=0)
    house.take(*BEGUN, to("a", "deferred", "first"), to("b", "bounced"))
    [event] = decoded(house.take("postfix/qmgr[3]: 4ABCDE12F: status=deferred (bounce failed)"))
    assert (event.event_type, event.recipient, event.attempt) == ("deferred", None, None)
    assert (event.sender, event.category) == ("qsender@s.example", "local_error")
    house.take("postfix/qmgr[3]: 4ABCDE12F: removed")
    [resolved] = decoded(house.end())
    assert (resolved.recipient, resolved.outcome, resolved.attempts) == (
        "a@r.example",
        "removed",
        1,
    )


def test_an_expiry_ends_all_that_wait_and_is_one_frame() -> None:
    house = House()
    house.take(*BEGUN, to("a", "deferred", "first"), to("b", "deferred"), to("c", "sent"))
    made = decoded(house.take(ACTIVE, to("b", "sent"), EXPIRED) + house.end())
    resolved_b, bounced, resolved = made
    assert (resolved_b.recipient, resolved_b.outcome, resolved_b.attempts) == (
        "b@r.example",
        "delivered",
        2,
    )
    assert (bounced.event_type, bounced.recipient, bounced.status) == (
        "bounced",
        "a@r.example",
        "expired",
    )
    assert (resolved.outcome, resolved.recipient, resolved.attempts) == (
        "expired",
        "a@r.example",
        1,
    )
    assert (resolved.response, resolved.severity) == ("first", "permanent")
    assert resolved.age is not None
    assert resolved.message == bounced.message
    assert value(house.metrics, "frames_with_events_total") == 4
    assert value(house.metrics, "events_total") == 5


@pytest.mark.parametrize("status", ["expired", "force-expired"])
def test_an_expiry_of_which_nobody_is_known_to_wait(status: str) -> None:
    house = House()
    [event] = decoded(house.take(EXPIRED.replace("expired", status, 1)) + house.end())
    assert (event.event_type, event.recipient, event.status) == ("bounced", None, status)
    assert event.attempt is None


def test_postsuper_removes_at_once_and_qmgr_is_given_a_moment() -> None:
    house = House(removal_wait=60)
    house.take(*BEGUN, to("a", "deferred"))
    [event] = decoded(house.take("postfix/postsuper[9]: 4ABCDE12F: removed"))
    assert (event.outcome, event.status, event.severity) == ("removed", None, None)
    house.take(*BEGUN, to("a", "deferred"), to("b", "deferred"))
    assert house.take("postfix/qmgr[3]: 4ABCDE12F: removed") == []
    assert house.correlation.held == 1
    [sent] = decoded(house.take(to("a", "sent", "250 late")))
    [removed] = decoded(house.end())
    assert (sent.recipient, sent.outcome) == ("a@r.example", "delivered")
    assert (removed.recipient, removed.outcome) == ("b@r.example", "removed")


@pytest.mark.parametrize(
    "refused",
    [
        "reject: header Subject: x from q[192.0.2.77]; {}: 5.7.1 no",
        "milter-reject: END-OF-MESSAGE from q[192.0.2.77]: 4.7.1 later; {}",
    ],
)
def test_what_cleanup_refused_is_not_remembered_for_days(refused: str) -> None:
    """qmgr never had it, so it is never `removed`: a server that refused much mail for its content
    remembered all of it until the bounds were reached."""
    house = House()
    cleanup = "postfix/cleanup[2]: 4ABCDE12F: "
    context = "from=<qsender@s.example> to=<a@r.example> proto=ESMTP helo=<q>"
    [event] = decoded(house.take(BEGUN[0], cleanup + refused.format(context)))
    assert event.message.client.name == "q-name.c.example"
    # Of mail from this host, cleanup then makes the message-id, and says that it bounced.
    bounce = (
        f"{cleanup}to=<a@r.example>, relay=none, delay=0.1, delays=0.1/0/0/0, dsn=5.7.1, "
        "status=bounced (no)"
    )
    [event] = decoded(house.take(BEGUN[1], bounce) + house.end())
    assert (event.message.message_id, event.message.client.name) == (
        "qid@m.example",
        "q-name.c.example",
    )
    correlator = house.correlation.correlator
    seconds = int(NOW.timestamp())
    correlator.trim(seconds + 4)
    assert len(correlator.memory) == 1
    correlator.trim(seconds + 5)
    assert len(correlator.memory) == 0


@pytest.mark.parametrize(
    ("stage", "is_forgotten"),
    [("RCPT", False), ("DATA", True), ("BDAT content", True), ("END-OF-MESSAGE", True)],
)
def test_what_smtpd_refused_as_a_whole_is_not_remembered_for_days(
    stage: str, is_forgotten: bool
) -> None:
    """A recipient that it refuses leaves the message to the others."""
    house = House()
    refused = (
        f"postfix/smtpd[1]: 4ABCDE12F: reject: {stage} from q[192.0.2.77]: 554 5.7.1 "
        f"<{stage}>: Rejected; from=<qsender@s.example> to=<a@r.example> proto=ESMTP helo=<q>"
    )
    [event] = decoded(house.take(BEGUN[0], refused))
    assert (event.stage, event.message.client.name) == (stage, "q-name.c.example")
    correlator = house.correlation.correlator
    correlator.trim(int(NOW.timestamp()) + 5)
    assert len(correlator.memory) == (0 if is_forgotten else 1)


def test_what_cleanup_refused_is_not_forgotten_for_another_of_its_id() -> None:
    """Short ids come again within a second."""
    house = House()
    refused = "postfix/cleanup[2]: 4ABCDE12F: reject: header x: y from q[192.0.2.77]; : 5.7.1 no"
    house.take(*BEGUN[:2], refused)
    correlator = house.correlation.correlator
    key = next(iter(correlator.memory.entries))
    correlator.memory.renew(key, stamp_of(int(NOW.timestamp()) + 1) + b"\nbanother")
    correlator.trim(int(NOW.timestamp()) + 60)
    assert len(correlator.memory) == 1


def test_a_flood_of_refusals_is_remembered_within_a_bound() -> None:
    house = House(max_messages=64)
    for number in range(100):
        queue_id = f"5ABCDE{number:03}"
        refused = (
            f"postfix/cleanup[2]: {queue_id}: reject: header x: y from q[192.0.2.77]; : 5.7.1 no"
        )
        house.take(f"postfix/smtpd[1]: {queue_id}: client=q[192.0.2.77]", refused)
    assert len(house.correlation.correlator.memory) == 8


def test_a_recipient_that_smtpd_refused_leaves_the_message_as_it_was() -> None:
    house = House()
    refusal = (
        "postfix/smtpd[1]: 4ABCDE12F: reject: RCPT from q-name.c.example[192.0.2.77]: 550 5.1.1 "
        "<b@r.example>: no; from=<qsender@s.example> to=<b@r.example> proto=ESMTP helo=<q>"
    )
    house.take(BEGUN[0], refusal, *BEGUN[1:])
    [event] = decoded(house.take(to("a", "deferred")))
    assert event.message.client.name == "q-name.c.example"
    assert event.message.context == "complete"


def test_a_notice_and_who_would_get_it() -> None:
    house = House(notice_wait=60)
    house.take("postfix/smtpd[1]: 4ABCDE12F: client=q-name.c.example[192.0.2.77]", *BEGUN[1:])
    assert house.take(to("a", "bounced")) == []
    assert house.take("postfix/bounce[5]: 4ABCDE12F: sender delay notification: 5F00112234") == []
    notice = "postfix/bounce[5]: 4ABCDE12F: sender non-delivery notification: 5F00112233"
    [event] = decoded(house.take(notice))
    assert event.notice.model_dump() == {"queue_id": "5F00112233", "kind": "sender"}
    assert event.backscatter_risk is True
    of_null = [line.replace("<qsender@s.example>", "<>").replace("12F", "13A") for line in BEGUN]
    house.take(*of_null)
    # It waits, too: the postmaster may be told of it (`notify_classes = 2bounce`).
    assert house.take(to("a", "bounced").replace("12F", "13A")) == []
    [event] = decoded(house.end())
    assert (event.notice, event.backscatter_risk) == (None, False)


def local(status: str, name: str, alias: str | None = None, daemon: str = "local") -> str:
    """Of one target of an alias: a program that has its name, or another recipient."""
    line = to(name, status).replace("postfix/smtp", f"postfix/{daemon}")
    return (
        line if alias is None else line.replace(", relay", f", orig_to=<{alias}@r.example>, relay")
    )


NOTICE = "postfix/bounce[5]: 4ABCDE12F: sender non-delivery notification: 5F00112233"


@pytest.mark.parametrize("is_refused_first", [True, False])
@pytest.mark.parametrize(
    "refused",
    [
        local("bounced", "all"),
        local("bounced", "anna", "all"),
        local("bounced", "anna", "all", daemon="lmtp"),
    ],
)
def test_an_alias_waits_on_when_one_of_its_targets_bounces(
    refused: str, is_refused_first: bool
) -> None:
    """Postfix tries all of them again each time."""
    house = House(notice_wait=60, removal_wait=60)
    house.take(*BEGUN)
    events = []
    for attempt in (1, 2):
        lines = [local("deferred", "all"), refused]
        events += house.take(*(reversed(lines) if is_refused_first else lines), NOTICE, ACTIVE)
        told = [(event.event_type, event.attempt) for event in decoded(events)[-2:]]
        assert sorted(told) == [("bounced", attempt), ("deferred", attempt)]
    events = house.take(
        local("sent", "all"), refused, NOTICE, "postfix/qmgr[3]: 4ABCDE12F: removed"
    )
    resolved, bounced = decoded(events)
    assert (resolved.event_type, resolved.recipient) == ("resolved", "all@r.example")
    assert (resolved.outcome, resolved.attempts) == ("delivered", 3)
    assert (bounced.event_type, bounced.attempt) == ("bounced", 3)
    assert bounced.notice.queue_id == "5F00112233"
    assert house.end() == []


def test_two_aliases_of_one_message_do_not_end_each_other() -> None:
    house = House(removal_wait=60)
    house.take(*BEGUN, local("deferred", "one"), local("deferred", "two"), ACTIVE)
    assert house.take(local("sent", "one")) == []
    events = house.take(local("deferred", "two"), local("deferred", "one"))
    assert [(event.event_type, event.attempt) for event in decoded(events)] == [("deferred", 2)] * 2
    assert house.end() == []


def test_an_alias_ends_with_the_target_that_bounces_last() -> None:
    house = House(notice_wait=60, removal_wait=60)
    house.take(*BEGUN, local("deferred", "all"), ACTIVE)
    assert house.take(local("bounced", "anna", "all")) == []
    bounced, resolved = decoded(house.end())
    assert (bounced.event_type, bounced.recipient, bounced.attempt) == (
        "bounced",
        "anna@r.example",
        2,
    )
    assert (resolved.recipient, resolved.outcome) == ("all@r.example", "bounced")


def test_a_bounce_of_an_alias_is_told_before_it_is_known_whether_it_was_the_last() -> None:
    house = House(notice_wait=0, removal_wait=60)
    house.take(*BEGUN, local("deferred", "all"), ACTIVE)
    [bounced] = decoded(house.take(local("bounced", "anna", "all")))
    assert (bounced.event_type, bounced.attempt) == ("bounced", 2)
    assert house.correlation.held == 1
    [resolved] = decoded(house.end())
    assert (resolved.recipient, resolved.outcome, resolved.attempts) == (
        "all@r.example",
        "bounced",
        2,
    )
    assert value(house.metrics, "frames_received_total", transport="tcp") == 6


def test_a_bounce_of_an_alias_is_told_its_sender_only_with_what_comes_of_it_later() -> None:
    house, receipts = House(notice_wait=0, removal_wait=60), Expecting()
    house.take(*BEGUN, local("deferred", "all"), ACTIVE)
    stamp = "<22>2026-08-22T09:30:00.5Z mx1 "
    line = Frame((stamp + local("bounced", "anna", "all")).encode())
    [bounced] = house.pipeline.process([line], ORIGIN, NOW, receipts)
    assert receipts.expected == [0, 0]
    [resolved] = house.end()
    for envelope in (bounced, resolved):
        assert envelope.on_durable is not None
        envelope.on_durable()
    assert receipts.made_durable == [0, 0]


def test_a_bounce_of_an_alias_that_waits_on_leaves_its_sender_nothing_to_wait_for() -> None:
    house, receipts = House(notice_wait=0, removal_wait=60), Expecting()
    house.take(*BEGUN, local("deferred", "all"), ACTIVE)
    stamp = "<22>2026-08-22T09:30:00.5Z mx1 "
    bounced, deferred = (
        Frame((stamp + line).encode())
        for line in (local("bounced", "anna", "all"), local("deferred", "all"))
    )
    made = house.pipeline.process([bounced, deferred], ORIGIN, NOW, receipts)
    assert [event.event_type for event in decoded(made)] == ["bounced", "deferred"]
    assert (receipts.expected, receipts.made_durable) == ([0, 0, 1], [0])
    assert house.end() == []


def test_two_aliases_of_one_recipient() -> None:
    """Postfix delivers to him twice. What waits has not ended when the other copy is there."""
    house = House()
    first, second = (local("deferred", "anna", alias, daemon="smtp") for alias in ("info", "sales"))
    house.take(*BEGUN, first)
    assert house.take(second.replace("4.4.1", "2.0.0").replace("deferred", "sent")) == []
    [resolved] = decoded(house.take(ACTIVE, local("sent", "anna", "info", daemon="smtp")))
    assert (resolved.outcome, resolved.attempts) == ("delivered", 2)


@pytest.mark.parametrize("is_served_first", [True, False])
def test_two_aliases_of_one_recipient_that_both_wait_end_with_the_last(
    is_served_first: bool,
) -> None:
    """He was told as delivered with the first copy, and the end of the second one not at all, or
    as another end."""
    house = House()
    kinds = [("deferred", "info"), ("deferred", "sales"), ("sent", "info"), ("deferred", "sales")]
    lines = [local(status, "anna", alias, daemon="smtp") for status, alias in kinds]
    house.take(*BEGUN, *lines[:2], ACTIVE)
    events = house.take(*(lines[2:] if is_served_first else reversed(lines[2:])))
    assert [(event.event_type, event.attempt) for event in decoded(events)] == [("deferred", 2)]
    events = house.take(ACTIVE, local("sent", "anna", "sales", daemon="smtp"), REMOVED)
    [resolved] = decoded(events)
    assert (resolved.recipient, resolved.outcome) == ("anna@r.example", "delivered")
    assert (resolved.attempt, resolved.attempts) == (3, 3)
    assert house.end() == []


@pytest.mark.parametrize(
    ("ends", "outcome"), [(("sent", "bounced"), "delivered"), (("bounced", "sent"), "bounced")]
)
def test_two_aliases_that_end_differently_in_one_attempt_end_as_the_first(
    ends: tuple[str, str], outcome: str
) -> None:
    house = House()
    aliases = ("info", "sales")
    house.take(*BEGUN, *(local("deferred", "anna", alias, "smtp") for alias in aliases), ACTIVE)
    lines = [local(end, "anna", alias, "smtp") for end, alias in zip(ends, aliases, strict=True)]
    events = decoded([*house.take(*lines, REMOVED), *house.end()])
    told = {event.event_type: event for event in events}
    assert len(events) == len(told) == 2
    assert told["bounced"].original_recipient == f"{aliases[ends.index('bounced')]}@r.example"
    assert told["resolved"].outcome == outcome
    assert {event.attempt for event in events} == {2}


def test_which_of_two_aliases_expired_no_line_tells() -> None:
    house = House()
    house.take(*BEGUN, *(local("deferred", "anna", alias) for alias in ("info", "sales")))
    bounced, resolved = decoded([*house.take(EXPIRED), *house.end()])
    assert (bounced.event_type, bounced.recipient) == ("bounced", "anna@r.example")
    assert bounced.original_recipient is None
    assert (resolved.recipient, resolved.outcome) == ("anna@r.example", "expired")


def test_a_program_of_an_alias_takes_some_seconds_to_fail_once_more() -> None:
    """The alias was told as delivered a second after its other target was served."""
    house = House()
    house.take(*BEGUN, local("sent", "all"), local("deferred", "all"), ACTIVE)
    assert house.take(local("sent", "all")) == []
    assert house.later(5) == []
    [again] = decoded(house.take(local("deferred", "all")))
    assert (again.event_type, again.attempt) == ("deferred", 2)
    [resolved] = decoded(house.take(ACTIVE, *[local("sent", "all")] * 2, REMOVED))
    assert (resolved.outcome, resolved.attempts) == ("delivered", 3)
    assert house.end() == []


def test_an_alias_has_ended_when_its_message_is_taken_up_for_others() -> None:
    house = House(alias_wait=60)
    house.take(*BEGUN, local("deferred", "all"), to("b", "deferred"), ACTIVE)
    assert house.take(local("sent", "all")) == []
    house.take(to("b", "deferred"))
    [resolved] = decoded(house.take(ACTIVE))
    assert (resolved.recipient, resolved.outcome, resolved.attempts) == (
        "all@r.example",
        "delivered",
        2,
    )
    [event] = decoded(house.take(to("b", "deferred")))
    assert (event.event_type, event.attempt) == ("deferred", 3)


FORWARDED = [line.replace("12F", "13A") for line in BEGUN[1:]]
"""What is told of a message that local(8) makes of another, before local(8) says so."""
LINK = (
    "postfix/local[5]: 4ABCDE12F: to=<list@r.example>, relay=local, delay=0, delays=0/0/0/0, "
    "dsn=2.0.0, status=sent (forwarded as 4ABCDE13A)"
)


@pytest.mark.parametrize(
    ("status", "is_gone"), [("deferred", False), ("bounced", False), ("bounced", True)]
)
def test_a_forwarded_message_that_fails_before_it_is_told_what_it_came_from(
    status: str, is_gone: bool
) -> None:
    """local(8) says so when the message is queued, and error(8) may be the quicker one then: no
    client was known, nor whether the notice goes to a stranger."""
    house = House(notice_wait=60, removal_wait=60)
    house.take(*BEGUN, *FORWARDED)
    assert house.take(to("a", status).replace("12F", "13A")) == []
    of_it = [line.replace("12F", "13A") for line in (NOTICE, REMOVED)]
    events = [*house.take(*(of_it if is_gone else [])), *house.take(LINK)]
    if status == "bounced" and not is_gone:
        assert events == [], "it waits on for its notice"
        events = house.take(*of_it)
    [event] = decoded(events)
    assert (event.event_type, event.recipient, event.attempt) == (status, "a@r.example", 1)
    assert event.message.client.name == "q-name.c.example"
    assert (event.message.sasl_username, event.message.origin_queue_id) == ("qlogin", "4ABCDE12F")
    assert (event.message.context, event.message.message_id) == ("complete", "qid@m.example")
    if status == "bounced":
        assert event.backscatter_risk is False
        assert event.notice.queue_id == "5F00112233"
    assert house.end() == []


def test_a_notice_is_of_the_bounce_and_not_of_the_deferral_that_waits_beside_it() -> None:
    house = House(notice_wait=60)
    house.take(*BEGUN, *FORWARDED)
    failures = [to("a", "deferred"), to("b", "bounced"), NOTICE]
    assert house.take(*(line.replace("12F", "13A") for line in failures)) == []
    deferred, bounced = decoded(house.take(LINK))
    assert (deferred.event_type, bounced.event_type) == ("deferred", "bounced")
    assert bounced.notice.queue_id == "5F00112233"


def test_a_failure_is_not_told_of_the_next_message_with_its_queue_id() -> None:
    house = House(notice_wait=60)
    house.take(*FORWARDED)
    assert house.take(to("a", "bounced").replace("12F", "13A")) == []
    house.take(*(line.replace("12F", "13A") for line in (REMOVED, *BEGUN)))
    [event] = decoded(house.end())
    assert (event.recipient, event.message.client, event.message.context) == (
        "a@r.example",
        None,
        "partial",
    )


def test_a_message_of_which_nothing_tells_what_it_came_from_is_not_waited_for_long() -> None:
    house = House()
    house.take(*FORWARDED)
    assert house.take(to("a", "deferred").replace("12F", "13A")) == []
    [event] = decoded(house.later(0.3))
    assert (event.attempt, event.message.client, event.message.context) == (1, None, "partial")


DELETED = "postfix/postsuper[6]: 4ABCDE12F: removed"


def test_who_is_deferred_when_his_message_was_deleted_meanwhile_waits_no_more() -> None:
    """He had ended with it, and was then waited for, as long as anything is remembered."""
    house = House()
    house.take(*BEGUN, to("a", "deferred"), ACTIVE)
    [resolved] = decoded(house.take(DELETED))
    assert (resolved.outcome, resolved.attempts) == ("removed", 1)
    [deferred] = decoded(house.take(to("a", "deferred")))
    assert deferred.event_type == "deferred"
    assert not house.correlation.correlator.attempts.recipients.entries
    assert house.take(BEGUN[0].replace("q-name", "next-name")) == []


@pytest.mark.parametrize("status", ["deferred", "bounced"])
def test_what_comes_of_a_retry_of_a_message_deleted_meanwhile_is_no_first_attempt(
    status: str,
) -> None:
    """It was told as attempt 1, first deferred with its own line."""
    house = House()
    [first] = decoded(house.take(*BEGUN, to("a", "deferred"), ACTIVE))
    assert (first.attempt, first.first_deferred_at) == (1, first.event_time)
    house.take(DELETED)
    [event] = decoded([*house.take(to("a", status)), *house.end()])
    assert event.event_type == status
    assert (event.attempt, event.first_deferred_at) == (None, None)


def test_who_is_first_deferred_when_his_message_was_deleted_meanwhile_has_ended() -> None:
    house = House()
    house.take(*BEGUN, DELETED)
    deferred, resolved = decoded(house.take(to("a", "deferred")))
    assert (deferred.event_type, deferred.attempt) == ("deferred", 1)
    assert deferred.first_deferred_at == deferred.event_time
    assert (resolved.event_type, resolved.outcome, resolved.attempts) == ("resolved", "removed", 1)
    assert not house.correlation.correlator.attempts.recipients.entries


def test_a_long_message_id_and_a_long_sender_are_told() -> None:
    house = House()
    message_id, sender = f"{'x' * 970}@m.example", f"{'y' * 900}@s.example"
    active = ACTIVE.replace("qsender@s.example", sender)
    house.take(BEGUN[0], BEGUN[1].replace("qid@m.example", message_id), active)
    [event] = decoded(house.take(to("a", "deferred")))
    assert (event.message.message_id, event.message.context) == (message_id, "complete")
    assert (event.sender, event.message.size) == (sender, 9)


def test_an_empty_message_id_header_is_all_there_is_to_know() -> None:
    house = House()
    house.take(BEGUN[0], BEGUN[1].replace("<qid@m.example>", ""), ACTIVE)
    [event] = decoded(house.take(to("a", "deferred")))
    assert (event.message.message_id, event.message.context) == (None, "complete")


HIDDEN = ("qsender", "q-name", "192.0.2.77", "qlogin", "qid", "alice", "bob", "carol")


def test_privacy_holds_for_what_earlier_lines_told() -> None:
    policy = Policy(
        sender=Treatment.DROP,
        recipient=Treatment.DROP,
        client=Treatment.DROP,
        sasl_username=Treatment.DROP,
        message_id=Treatment.DROP,
        keeps_raw=False,
        key=b"k" * 32,
    )
    texts = {
        name: f"host mx said: 450 <{name}@r.example> wait, qsender@s.example" for name in HIDDEN
    }
    lines = [
        *BEGUN,
        *(to(name, "deferred", texts[name]) for name in ("alice", "bob", "carol")),
        ACTIVE,
        to("alice", "sent", "250 ok <alice@r.example>"),
        to("bob", "bounced", texts["bob"]),
        EXPIRED,
    ]
    hidden, plain = House(Privacy(policy)), House()
    envelopes = hidden.take(*lines) + hidden.end()
    before = plain.take(*lines) + plain.end()
    assert [e.event_type for e in envelopes] == [e.event_type for e in before]
    assert [e.event_type for e in envelopes].count("resolved") == 3
    for envelope, shown in zip(envelopes, before, strict=True):
        text = f"{envelope.body.decode()} {envelope.header_lines} {envelope.subject}".lower()
        assert [word for word in HIDDEN if word in text] == []
        assert [word for word in HIDDEN if word in shown.body.decode()]
        assert envelope.message_id != shown.message_id, "keyed"
    assert len({envelope.message_id for envelope in envelopes}) == len(envelopes)


_FAKE = "4FFFFF11F: client=evil.example[192.0.2.66]"
_CONTENT = f"header Subject: x?{_FAKE} from local; from=<a> to=<b>"
_HELO = f"NOQUEUE: reject: HELO from x[192.0.2.1]: 501 5.5.2 <{_FAKE}>: no; helo=<{_FAKE}>"
_LOGIN = f"client=x[192.0.2.1], sasl_username=\n<22>Aug 22 10:00:00 mx1 postfix/smtpd[1]: {_FAKE}"


@pytest.mark.parametrize(
    "line",
    [
        f"postfix/cleanup[2]: 4ABCDE12F: reject: {_CONTENT}: 5.7.1 no",
        f"postfix/cleanup[2]: 4ABCDE12F: warning: {_CONTENT}",
        f"postfix/cleanup[2]: 4ABCDE12F: message-id=<x> {_FAKE}",
        f"postfix/smtpd[1]: {_HELO}",
        f"postfix/smtpd[1]: warning: {_FAKE}",
        f"postfix/smtpd[1]: connect from x[192.0.2.1] {_FAKE}",
        f"postfix/smtpd[1]: 4ABCDE12F: {_LOGIN}",
        f"dovecot: {_FAKE}",
    ],
)
def test_what_a_line_quotes_tells_of_no_other_message(line: str) -> None:
    house = House()
    house.take(line)
    [event] = decoded(house.take(to("a", "deferred").replace("4ABCDE12F", "4FFFFF11F")))
    assert event.message.context == "none"


def test_switched_off_it_says_nothing_and_costs_no_event() -> None:
    house = House(enabled=False)
    made = decoded(house.take(*BEGUN, to("a", "deferred"), to("a", "sent"), to("b", "bounced")))
    assert [event.event_type for event in made] == ["deferred", "bounced"]
    assert all(event.message.context == "none" and event.attempt is None for event in made)
    assert house.correlation.held == 0


class _Defective(bytes):
    """A line on which our own code goes wrong, the first time."""

    calls = 0

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        if encoding == "latin-1":  # the search for markers; any bytes give a text then
            return super().decode(encoding, errors)
        self.calls += 1
        if self.calls == 1:
            raise RuntimeError("a defect of ours")
        return super().decode(encoding, errors)


def test_a_defect_in_a_line_that_tells_costs_a_dead_letter_and_no_other_line() -> None:
    house = House()
    house.take(*BEGUN, to("a", "deferred"))
    sent = _Defective(b"<22>2026-08-22T09:30:00.5Z mx1 " + to("a", "sent").encode())
    [letter] = decoded(house.take(sent))
    assert (letter.event_type, letter.reason, letter.raw_bytes) == (
        "invalid",
        "parser_failed",
        sent,
    )
    [event] = decoded(house.take("postfix/postsuper[9]: 4ABCDE12F: removed"))
    assert (event.outcome, event.recipient) == ("removed", "a@r.example")


def test_a_defect_in_a_line_that_waited_takes_no_other_with_it() -> None:
    house = House(removal_wait=60, notice_wait=60)
    removed = "postfix/qmgr[3]: 4ABCDE12F: removed"
    for queue_id in ("12F", "13A"):
        lines = [*BEGUN, to("a", "deferred"), removed]
        assert len(house.take(*(line.replace("12F", queue_id) for line in lines))) == 1
    queued = house.correlation.correlator.attempts.queued
    queued.put(next(iter(queued.entries)), b"no stamp")  # as our own code never writes
    letter, event = decoded(house.end())
    assert (letter.event_type, letter.reason) == ("invalid", "parser_failed")
    assert (event.outcome, event.queue_id) == ("removed", "4ABCDE13A")
    assert house.correlation.held == 0


def test_a_notice_that_cannot_be_right_takes_no_bounce_with_it() -> None:
    """All that waited for it were gone, and nothing told of them."""
    house = House(notice_wait=60)
    assert house.take(*BEGUN, to("a", "bounced"), to("b", "bounced")) == []
    notified = "postfix/bounce[5]: 4ABCDE12F: sender non-delivery notification: "
    [letter] = decoded(house.take(notified + "5F" * 17))
    assert (letter.event_type, letter.reason) == ("invalid", "parser_failed")
    assert house.correlation.held == 2
    notices = decoded(house.take(notified + "5F00112233"))
    assert [event.notice.queue_id for event in notices] == ["5F00112233"] * 2


@pytest.mark.parametrize(
    ("stamp", "waits"),
    [
        ("2026-08-22T09:00:03.5Z", True),
        ("2026-08-22T11:00:04.499999+02:00", True),
        ("2026-08-22T09:00:04.5Z", False),
        ("2026-08-22T09:00:05.5Z", False),
        # It may be of another hour.
        ("2026-08-22T09:00:03.5", False),
        ("Aug 22 09:00:03", False),
    ],
)
def test_a_bounce_waits_on_when_an_older_line_comes_again(stamp: str, waits: bool) -> None:
    house = House(notice_wait=60)
    assert house.take(*BEGUN, to("a", "bounced")) == []  # at 09:00:04.5Z
    made = house.take(f"<22>{stamp} mx1 postfix/qmgr[3]: 4ABCDE12F: removed".encode())
    assert (len(made), len(house.end())) == ((0, 1) if waits else (1, 0))


def test_what_waits_is_bounded_in_bytes_too() -> None:
    """Ten thousand lines of 64 KB would be more than half a gigabyte."""
    house = House(notice_wait=60, max_held_bytes=20_000)
    long = "x" * 9_000
    assert house.take(*BEGUN, to("a", "bounced", long), to("b", "bounced", long)) == []
    assert 18_000 < house.correlation.held_bytes < 20_000
    # Of one message they go together, as its notice is for all of them.
    assert house.take(to("c", "bounced", long)) == []
    made = decoded(house.take(to("d", "bounced", long)))
    assert [event.recipient for event in made] == [f"{name}@r.example" for name in "abc"]
    assert len(house.end()) == 1
    assert house.correlation.held_bytes == 0


def test_a_folded_line_that_waits_counts_as_often_as_it_happened() -> None:
    house = House(notice_wait=60, max_held_bytes=20_000)
    tag, text = to("a", "bounced").split(": ", 1)
    house.take(*BEGUN, f"{tag}: message repeated 500 times: [ {text}]")
    assert house.correlation.held_bytes > 50_000
    assert len(house.take(to("b", "bounced"))) == 500


def test_in_a_flood_of_bounces_none_waits_for_its_notice() -> None:
    """The first twenty of each second used to wait: at full speed nearly every hundredth event."""
    house = House(notice_wait=60, notice_rate=2)
    for number in range(6):
        house.take(*(line.replace("12F", f"13{number}") for line in BEGUN))

    def bounce(number: int, seconds: int) -> int:
        """Of both recipients of that message; how many go out at once."""
        lines = [to(name, "bounced").replace("12F", f"13{number}") for name in "ab"]
        frames = [Frame(f"<22>2026-08-22T10:00:00.5Z mx1 {line}".encode()) for line in lines]
        at = NOW + timedelta(seconds=seconds)
        return len(house.pipeline.process(list(frames), ORIGIN, at))

    # Messages count, not recipients: one notice tells of both.
    assert [bounce(0, 0), bounce(1, 0), bounce(2, 0)] == [0, 0, 2]
    assert bounce(3, 1) == 2  # the second before was too many
    assert bounce(4, 2) == 0  # this one was not
    assert bounce(5, 7) == 0
    assert len(house.end()) == 8


class _Pressed:
    """Receipts of a sender that may send little more before it is answered."""

    is_pressed = False

    def expect(self, piece: int) -> None:
        pass

    def durable(self, piece: int) -> None:
        pass


def test_a_sender_that_waits_is_answered_while_an_alias_may_not_have_ended() -> None:
    """A program of it may be slow, and was told as delivered whenever its sender was quick."""
    house, receipts = House(notice_wait=0), Expecting()
    receipts.is_pressed = True

    seconds = itertools.count(10)

    def take(*lines: str) -> list[Envelope]:
        stamps = [f"<22>2026-08-22T09:00:{next(seconds)}.5Z mx1 " for _ in lines]
        frames = [Frame((stamp + line).encode()) for stamp, line in zip(stamps, lines, strict=True)]
        made = house.pipeline.process(list(frames), ORIGIN, NOW, receipts)
        assert_balanced(house.metrics)
        return made

    take(*BEGUN, local("deferred", "all"), to("b", "deferred"), ACTIVE)
    del receipts.expected[:], receipts.made_durable[:]
    assert take(local("sent", "all")) == []
    assert (receipts.expected, receipts.made_durable) == ([0], [0])
    [bounced] = take(local("bounced", "anna", "all"))
    assert bounced.on_durable is not None
    assert (receipts.expected, receipts.made_durable) == ([0, 0, 0], [0, 0])
    [again] = decoded(take(local("deferred", "all")))
    assert (again.event_type, again.attempt) == ("deferred", 2)
    assert take(ACTIVE, local("sent", "all")) == []
    [envelope] = house.later(7)
    [resolved] = decoded([envelope])
    assert (resolved.outcome, resolved.attempts, envelope.on_durable) == ("delivered", 3, None)
    assert house.correlation.held == 0
    assert_balanced(house.metrics)


def test_nothing_waits_on_while_its_sender_waits() -> None:
    """omrelp stood still for a second with every window that held such a line."""
    house, receipts = House(notice_wait=60, removal_wait=60), _Pressed()

    def take(*lines: str) -> list[Any]:
        frames = [Frame(f"<22>2026-08-22T09:00:00.5Z mx1 {line}".encode()) for line in lines]
        return decoded(house.pipeline.process(list(frames), ORIGIN, NOW, receipts))

    take(*BEGUN, to("a", "deferred"))
    assert take(to("b", "bounced")) == []
    assert take("postfix/qmgr[3]: 4ABCDE12F: removed")[0].event_type == "bounced"
    assert house.correlation.held == 1
    receipts.is_pressed = True
    [removed] = take("postfix/smtpd[1]: disconnect from x")
    assert (removed.event_type, removed.outcome) == ("resolved", "removed")
    assert house.correlation.held == 0
    [bounced] = take(*BEGUN, to("a", "bounced"), NOTICE)
    assert bounced.notice is not None, "it was read with the bounce"
    [bounced] = take(to("b", "bounced"))
    assert bounced.notice is None
    assert house.correlation.held == 0


def test_an_expiry_of_thousands_is_told_some_at_a_time() -> None:
    """Of 80,000 recipients it was two seconds in which nobody was served, and 900 MiB."""
    house = House(notice_wait=0)
    house.take(*BEGUN)
    names = [f"r{number:04}" for number in range(3000)]
    house.take_many(to(name, "deferred") for name in names)
    receipts = Expecting()
    stamp = "<22>2026-08-22T10:50:00.5Z mx1 "
    envelopes = house.pipeline.process([Frame((stamp + EXPIRED).encode())], ORIGIN, NOW, receipts)
    assert len(envelopes) <= 1.1 * AT_ONCE
    while house.pipeline.ready:
        assert len(house.pipeline.unmade()) == house.pipeline.ready, "a snapshot waits for them"
        some = house.pipeline.released()
        assert len(some) <= 1.1 * AT_ONCE
        envelopes += some
        assert_balanced(house.metrics)
    events = [schemas.decode(envelope.body) for envelope in envelopes]
    for kind in ("bounced", "resolved"):
        told = [e.recipient for e in events if e.event_type == kind]
        assert told == [f"{name}@r.example" for name in names]
    assert len({event.event_id for event in events}) == 6000
    assert not receipts.made_durable
    for envelope in envelopes:
        assert envelope.on_durable is not None
        envelope.on_durable()
    assert len(receipts.made_durable) == len(receipts.expected) == 6000
    assert value(house.metrics, "frames_with_events_total") == 3001


def served_by_local(number: int) -> str:
    return to(f"r{number}", "sent").replace("postfix/smtp", "postfix/local")


def test_of_one_message_only_so_many_ends_wait_for_other_targets() -> None:
    """Each deferral of it goes through them: beside 8,500 one read was twelve seconds."""
    house = House()
    house.take(*BEGUN, *(to(f"r{number}", "deferred") for number in range(200)))
    house.take(ACTIVE)
    events = decoded(house.take(*(served_by_local(number) for number in range(200))))
    assert house.correlation.held <= 64
    assert house.correlation.hurried == 3
    events += decoded(house.end())
    assert [event.recipient for event in events] == [f"r{n}@r.example" for n in range(200)]
    assert {event.outcome for event in events} == {"delivered"}


def notice_at(second: int) -> bytes:
    return (
        f"<22>2026-08-22T09:00:{second:02}.6Z mx1 postfix/bounce[5]: 4ABCDE12F: "
        "sender non-delivery notification: 5ABCDE12F"
    ).encode()


def test_a_notice_of_the_time_before_leaves_many_bounces_waiting() -> None:
    house = House()
    house.take(*BEGUN, *(to(f"r{number}", "bounced") for number in range(100)))
    assert house.take(notice_at(2)) == []
    assert house.correlation.held == 100
    assert {event.notice for event in decoded(house.end())} == {None}


def test_a_notice_that_only_the_first_of_many_bounces_can_have_lets_all_of_them_go() -> None:
    """They were gone through at each such line: of 2,200 lines beside 9,000 bounces that was two
    minutes."""
    house = House()
    house.take(*BEGUN, *(to(f"r{number}", "bounced") for number in range(100)))
    first, *others = decoded(house.take(notice_at(4)))
    assert house.correlation.held == 0
    assert first.notice.queue_id == "5ABCDE12F"
    assert [event.notice for event in others] == [None] * 99


def test_bounces_that_wait_on_for_a_later_notice_still_count_with_their_bytes() -> None:
    """They were counted as nothing, and the bound of bytes did not hold for them."""
    house = House()
    house.take(*BEGUN, *(to(f"r{number}", "bounced") for number in range(10)))
    ten = house.correlation.held_bytes
    [first] = decoded(house.take(notice_at(4)))
    assert first.notice.queue_id == "5ABCDE12F"
    assert house.correlation.held == 9
    assert house.correlation.held_bytes == ten - ten // 10
    house.end()
    assert house.correlation.held_bytes == 0
