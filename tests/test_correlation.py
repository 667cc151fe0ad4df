"""Events with what earlier lines told: ends, notices, attempts, and what of refused mail is kept.

Orders, cuts, resends: `tests/test_correlation_model.py`.
"""

import pytest

from service.core.correlate.memory import stamp_of
from tests.correlation_house import (
    ACTIVE,
    BEGUN,
    EXPIRED,
    FORWARDED,
    LINK,
    NOTICE,
    REMOVED,
    House,
    decoded,
    to,
)
from tests.metric_values import value
from tests.sample_lines import NOW


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


def test_switched_off_it_says_nothing_and_costs_no_event() -> None:
    house = House(enabled=False)
    made = decoded(house.take(*BEGUN, to("a", "deferred"), to("a", "sent"), to("b", "bounced")))
    assert [event.event_type for event in made] == ["deferred", "bounced"]
    assert all(event.message.context == "none" and event.attempt is None for event in made)
    assert house.correlation.held == 0
