"""Deferred recipients: their attempts are counted, and each ends once."""

from typing import Any

from service.core.correlate.memory import Bounds, Evicted
from service.core.postfix.facts import Delivery
from tests.core.correlate.heard import ACTIVE, CLIENT, MESSAGE_ID, NOW, REMOVED, Log


def test_attempts_are_counted_by_activation() -> None:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    assert log.deferred("r@x", "1") == 1
    assert log.deferred("r@x", "2") == 1, "local(8) may write several lines"
    log.tell(ACTIVE, after=300)
    assert log.deferred("r@x", "3") == 2
    assert log.deferred("r@x", "3") == 2, "the same line"
    assert log.deferred("r@x", "1", at=NOW) is None, "an older one"
    log.tell(ACTIVE, after=300)
    assert log.deferred("r@x", "4") == 3


def test_without_its_beginning_nothing_is_counted() -> None:
    log = Log()
    log.tell(ACTIVE)
    assert log.deferred("r@x", "1") is None
    assert Log().deferred("r@x", "1") is None


def test_an_alias_that_waited_ends_with_its_target() -> None:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    log.deferred("info@x", "1")
    log.tell(ACTIVE, after=300)
    facts = Delivery("sent", "sent", "ok", "anna@x", "info@x")
    for line, expected in (("2", "info@x"), ("2", "info@x"), ("3", None)):
        ended = log.known.attempts.ended(log.key(), facts, log.now, line, log.now)
        assert (ended and ended.recipient) == expected, line
        assert ended is None or ended.attempts == 2


def test_all_that_wait_end_once_and_in_order() -> None:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    for number in range(5):
        log.deferred(f"r{number}@x", str(number))
    names = [f"r{number}@x" for number in range(5)]
    for line, expected in (("e", names), ("e", names), ("f", [])):
        ended = log.known.attempts.all_ended(log.key(), log.now, line, log.now)
        assert [waiting.recipient for waiting in ended] == expected, line
    assert not log.known.attempts.is_awaited(log.key())


def test_nothing_ends_what_was_deferred_later() -> None:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    log.deferred("r@x", "1")
    facts = Delivery("sent", "sent", "ok", "r@x")
    assert log.known.attempts.ended(log.key(), facts, log.now - 1, "2", log.now) is None
    assert log.known.attempts.all_ended(log.key(), log.now - 1, "3", log.now) == []
    assert log.known.attempts.is_awaited(log.key())
    assert not log.known.attempts.is_awaited_since(log.key(), log.now - 1)


def test_who_ended_under_an_id_that_is_used_again_does_not_wait_anew() -> None:
    """Lines of the message before, sent again a second time: its deferral was taken for one of the
    message that had the id meanwhile, and he was told as removed."""
    log = Log()
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    first = float(log.now)
    log.deferred("r@x", "1")
    attempts, key = log.known.attempts, log.key()
    facts = Delivery("sent", "sent", "ok", "r@x")
    assert attempts.ended(key, facts, log.now, "2", log.now)
    log.tell(REMOVED, CLIENT.replace("mail", "other"), MESSAGE_ID.replace("1@", "2@"), ACTIVE)
    assert log.deferred("r@x", "3") == 1
    log.known.forget(key)  # by a line of the one before, which comes again
    facts = Delivery("deferred", "deferred", "later", "r@x")
    attempt = attempts.deferred(key, log.story(), facts, first, "1")
    assert attempt is not None
    assert not attempt.is_news


def test_names_of_recipients_may_be_hostile() -> None:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    names = ["a\0b@x", "a\nb@x", "\ud800@x", "j\u00f6@x", "", "x" * 5000]
    for number, name in enumerate(names):
        log.deferred(name.encode("utf-8", "replace").decode(), str(number))
    assert len(log.known.attempts.all_ended(log.key(), log.now, "e", log.now)) == len(names)


def test_a_message_with_very_many_recipients_is_bounded_and_says_so() -> None:
    log = Log(Bounds(100_000, 1 << 30, 86_400))
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    for number in range(3000):
        log.deferred(f"{number}{'x' * 300}@example.org", str(number))
    assert max(map(len, log.known.attempts.queued.entries.values())) < 1 << 20, (
        "a snapshot takes it"
    )
    assert log.known.evicted[Evicted.BYTES] == 3000 - len(log.known.attempts.recipients)
    assert len(log.known.attempts.recipients) > 1000
    assert log.deferred("late@x", "late") is None, "how often it was tried is not known any more"


def test_what_was_forgotten_is_not_counted_from_one() -> None:
    log = Log(Bounds(8, 1 << 24, 86_400))
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    for number in range(10):
        assert log.deferred(f"r{number}@x", str(number)) == 1
    log.known.trim(log.now)
    assert log.known.evicted[Evicted.COUNT] > 0
    log.tell(ACTIVE, after=300)
    assert log.deferred("r0@x", "again") is None


class Counting(dict[bytes, bytes]):
    """Counts how often it is asked for a key."""

    def __init__(self, entries: dict[bytes, bytes]) -> None:
        super().__init__(entries)
        self.asked = 0

    def __contains__(self, key: object) -> bool:
        self.asked += 1
        return super().__contains__(key)

    def get(self, *args: Any) -> Any:
        self.asked += 1
        return super().get(*args)


def with_recipients(number: int) -> tuple[Log, Counting]:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    for one in range(number):
        log.deferred(f"r{one}@x", str(one))
    recipients = log.known.attempts.recipients
    recipients.entries = entries = Counting(recipients.entries)
    return log, entries


def test_whether_anybody_waits_is_not_asked_of_each_recipient_at_each_line() -> None:
    """3,000 lines that a message of 80,000 recipients was `removed` were six minutes."""
    log, entries = with_recipients(2000)
    attempts = log.known.attempts
    for one in range(1999):
        facts = Delivery("sent", "sent", "ok", f"r{one}@x")
        assert attempts.ended(log.key(), facts, log.now, f"e{one}", log.now)
    entries.asked = 0
    for _ in range(100):
        assert attempts.is_awaited(log.key())
    assert entries.asked < 2200, "those who have ended are passed once"
    facts = Delivery("sent", "sent", "ok", "r1999@x")
    assert attempts.ended(log.key(), facts, log.now, "last", log.now)
    assert not attempts.is_awaited(log.key())


def test_a_line_of_the_time_before_is_not_held_against_each_recipient() -> None:
    log, entries = with_recipients(2000)
    entries.asked = 0
    assert not log.known.attempts.is_awaited_since(log.key(), log.now - 1)
    assert entries.asked < 100
    assert log.known.attempts.is_awaited_since(log.key(), log.now)


def test_who_was_passed_over_is_still_known() -> None:
    """Names of those who have ended change their places; none is lost."""
    log, _ = with_recipients(200)
    attempts = log.known.attempts
    names = {f"r{one}@x" for one in range(200)}
    for one in range(150):
        facts = Delivery("sent", "sent", "ok", f"r{one}@x")
        attempts.ended(log.key(), facts, log.now, f"e{one}", log.now)
        names.discard(f"r{one}@x")
        assert attempts.is_awaited(log.key())
    ended = attempts.all_ended(log.key(), log.now, "e", log.now)
    assert [waiting.recipient for waiting in ended] == sorted(
        names, key=lambda name: int(name[1:-2])
    )
    assert not attempts.is_awaited(log.key())
