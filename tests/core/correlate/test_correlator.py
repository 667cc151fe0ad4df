"""Each line that tells something, each trap of how Postfix writes them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from service.core.correlate.correlator import Correlator, News
from service.core.correlate.links import Notice
from service.core.correlate.memory import Bounds, Evicted, stamp_of
from service.core.correlate.story import Story
from service.core.correlate.trace import queue_of, told_by
from service.core.postfix.facts import Delivery

NOW = 1_787_392_800
RECEIVED = datetime.fromtimestamp(NOW, UTC)
ZONE = ZoneInfo("UTC")
CLIENT = "postfix/smtpd[1]: 4ABCDE12F: client=mail.example.net[192.0.2.10]:4711"
MESSAGE_ID = "postfix/cleanup[2]: 4ABCDE12F: message-id=<1@mail.example.net>"
ACTIVE = "postfix/qmgr[3]: 4ABCDE12F: from=<a@example.net>, size=4211, nrcpt=2 (queue active)"
REMOVED = "postfix/qmgr[3]: 4ABCDE12F: removed"


class Log:
    """Lines of one host, a second apart."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.known = Correlator(bounds or Bounds(10_000, 1 << 24, 86_400), ZONE)
        self.now = NOW
        self.sent: list[bytes] = []

    def tell(self, *lines: str, after: int = 1) -> News | Notice | None:
        news = None
        for line in lines:
            self.now += after
            at = datetime.fromtimestamp(self.now, UTC).isoformat()
            self.sent.append(f"<22>{at} mx1 {line}".encode())
            news = self._hear(self.sent[-1])
        return news

    def again(self, number: int) -> None:
        """The last lines come once more."""
        for raw in self.sent[-number:]:
            self._hear(raw)

    def _hear(self, raw: bytes) -> News | Notice | None:
        trace = self.known.traces.read(told_by(raw), RECEIVED, "192.0.2.250")
        assert trace is not None, raw
        news = self.known.hear(trace, stamp_of(self.now))
        if news is News.REMOVED:
            self.known.close(trace[1], self.now)
        return news

    def story(self, queue_id: str = "4ABCDE12F", instance: str = "postfix") -> Story | None:
        queue = queue_of("mx1", instance)
        return self.known.story(queue, queue.key(queue_id))

    def key(self, queue_id: str = "4ABCDE12F") -> bytes:
        return queue_of("mx1", "postfix").key(queue_id)

    def deferred(self, recipient: str, line: str, at: float | None = None) -> int | None:
        """The number of the attempt."""
        facts = Delivery("deferred", "deferred", "later", recipient, delay=5.0)
        at = float(self.now) if at is None else at
        attempt = self.known.attempts.deferred(self.key(), self.story(), facts, at, line)
        assert attempt is not None
        if attempt.is_news:
            self.known.attempts.keep(self.key(), attempt.waiting, self.now)
        return attempt.number


def test_a_story_is_read_once_as_long_as_few_others_are() -> None:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID)
    first = log.story()
    assert first is log.story() is not None
    log.tell(ACTIVE)
    active = log.story()
    assert active is not None
    assert (active.is_active, active is log.story()) == (True, True)
    for number in range(4096):
        other = CLIENT.replace("12F", f"{number:03X}F")
        log.tell(other)  # at another second: not the same bytes
        assert log.story(f"4ABCDE{number:03X}F") is not None
    anew = log.story()
    assert anew is not None
    assert (anew is active, anew.message_id) == (False, active.message_id)


def told(*lines: str) -> Story:
    log = Log()
    log.tell(*lines)
    story = log.story()
    assert story is not None
    return story


def test_a_message_that_came_by_smtp() -> None:
    story = told(CLIENT, MESSAGE_ID, ACTIVE)
    assert story.message_id == "1@mail.example.net"
    assert (story.sender, story.size, story.recipients) == ("a@example.net", 4211, 2)
    assert story.client is not None
    assert tuple(story.client) == ("mail.example.net", "192.0.2.10", 4711)
    assert story.queued_at == datetime.fromtimestamp(NOW + 1, UTC)
    assert story.is_whole
    assert story.is_begun
    assert not story.is_local


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
def test_lines_of_one_message_may_change_places(order: tuple[int, ...]) -> None:
    lines = (CLIENT, MESSAGE_ID, ACTIVE)
    story = told(*(lines[number] for number in order))
    assert story.is_whole
    assert story.client is not None
    assert (story.message_id, story.sender) == ("1@mail.example.net", "a@example.net")


def test_a_message_that_was_submitted_here() -> None:
    story = told(CLIENT.replace("client=mail.example.net[192.0.2.10]:4711", "uid=0 from=<root>"))
    assert (story.sender, story.is_local, story.client) == ("root", True, None)
    assert not story.is_whole


@pytest.mark.parametrize(
    ("said", "username"),
    [
        ("anna", "anna"),
        ("john doe", "john doe"),
        ("a, b", "a, b"),
        ("anna, sasl_sender=x@y", "anna"),
        ("anna, orig_queue_id=4FFFFF11F", "anna"),
        ("x" * 600, None),
    ],
)
def test_logins(said: str, username: str | None) -> None:
    log = Log()
    log.tell("postfix/smtpd[1]: 4FFFFF11F: client=other.example[192.0.2.99]")
    service = "postfix/submission/smtpd[1]: 4ABCDE12F: client=pc.example[198.51.100.7]"
    log.tell(f"{service}, sasl_method=PLAIN, sasl_username={said}")
    story = log.story()
    assert story is not None
    assert story.sasl_username == username
    assert story.origin_queue_id is None
    assert story.client is not None
    assert story.client.name == "pc.example"


@pytest.mark.parametrize(
    ("said", "message_id"),
    [
        ("<a@b>", "a@b"),
        ("12345", "12345"),
        ("<a b> (comment), status=sent (x)", "<a b> (comment), status=sent (x)"),
        ("<4ABCDE12F: removed>", "4ABCDE12F: removed"),
        ("<j\u00f6@\u4f8b\u3048>", "j\u00f6@\u4f8b\u3048"),
        ("<" + "x" * 600 + ">", None),
    ],
)
def test_message_ids(said: str, message_id: str | None) -> None:
    story = told(CLIENT, MESSAGE_ID.replace("<1@mail.example.net>", said), ACTIVE)
    assert story.message_id == message_id
    assert story.is_whole is (message_id is not None)


def test_a_second_message_id_header_changes_nothing() -> None:
    story = told(CLIENT, MESSAGE_ID, MESSAGE_ID.replace("1@", "2@"), ACTIVE)
    assert story.message_id == "1@mail.example.net"


@pytest.mark.parametrize(
    "sender", ["", "a b@x", 'a>, size=1, nrcpt=1"@x', "x" * 480 + ">, size=5, nrcpt=7"]
)
def test_senders_are_theirs_to_choose(sender: str) -> None:
    story = told(CLIENT, ACTIVE.replace("a@example.net", sender))
    assert story.sender in (sender, None)
    assert story.size in (4211, None)
    assert story.is_active


def test_a_cut_line_says_nothing_by_its_end() -> None:
    for length in range(470, 500):
        log = Log()
        log.tell("postfix/smtpd[1]: 4FFFFF11F: client=other.example[192.0.2.99]")
        said = f"1000 from=<{'x' * length}> orig_id=4FFFFF11F"
        log.tell(f"postfix/pickup[1]: 4ABCDE12F: uid={said} and more of the sender>")
        log.tell(f"postfix/pickup[1]: 4ABCDE22F: uid={said}")
        cut, whole = log.story(), log.story("4ABCDE22F")
        assert cut is not None
        assert whole is not None
        assert (cut.origin_queue_id, cut.sender) in (
            (None, None),
            (None, f"{said[11:]} and more of the sender"),
        )
        assert (whole.origin_queue_id is not None) is (len(said) < 512)


def test_a_short_id_that_is_used_again() -> None:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID, ACTIVE, REMOVED)
    log.tell(CLIENT.replace("mail.example.net", "other.example"))
    story = log.story()
    assert story is not None
    assert (story.message_id, story.sender) == (None, None)
    assert story.client is not None
    assert story.client.name == "other.example"


@pytest.mark.parametrize(
    "first",
    [
        CLIENT.replace("mail", "other"),
        MESSAGE_ID.replace("1@", "2@"),
        ACTIVE.replace("4211", "99"),
        ACTIVE.replace("a@", "b@"),
    ],
)
def test_used_again_while_nobody_listened(first: str) -> None:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    log.deferred("r@x", "1")
    log.tell(first, after=9000)
    story = log.story()
    assert story is not None
    assert not story.is_whole
    assert story.message_id in (None, "2@mail.example.net")
    assert not log.known.attempts.is_awaited(log.key())


def test_tried_again_it_is_the_same_message() -> None:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    log.tell(ACTIVE.replace("nrcpt=2", "nrcpt=1"), after=4000)
    story = log.story()
    assert story is not None
    assert story.is_whole
    assert story.recipients == 2, "when it was first read"


def test_removed_and_yet_in_reach_for_a_moment() -> None:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID, ACTIVE, REMOVED)
    assert log.story() is not None
    for later in range(3):
        log.tell(REMOVED.replace("4ABCDE12F", "4FFFFF11F"), after=10)
        log.tell(CLIENT.replace("4ABCDE12F", f"4FFFFF22{later}"))
        log.tell(REMOVED.replace("4ABCDE12F", f"4FFFFF22{later}"))
    assert log.story() is None


# Other instances


def test_submission_of_a_second_instance_logs_under_the_firsts_name() -> None:
    log = Log()
    log.tell(CLIENT)
    log.tell(*(line.replace("postfix/", "postfix-out/") for line in (MESSAGE_ID, ACTIVE)))
    story = log.story(instance="postfix-out")
    assert story is not None
    assert story.is_whole
    assert log.story() is None


def test_what_is_known_of_no_line_is_not_taken_from_another_instance() -> None:
    log = Log()
    log.tell(CLIENT, "postfix-out/qmgr[1]: 4FFFFF11F: removed")
    assert log.story(instance="postfix-out") is None


def test_nor_is_what_was_logged_long_before() -> None:
    log = Log()
    log.tell(CLIENT)
    log.tell(MESSAGE_ID.replace("postfix/", "postfix-out/"), after=61)
    story = log.story(instance="postfix-out")
    assert story is not None
    assert story.client is None


# Links


def test_mail_that_a_filter_gave_back() -> None:
    log = Log()
    log.tell(CLIENT + ", sasl_method=PLAIN, sasl_username=anna", MESSAGE_ID)
    log.tell(
        "postfix/smtpd[7]: 4ABCDE30B: client=localhost[127.0.0.1], orig_queue_id=4ABCDE12F, "
        "orig_client=mail.example.net[192.0.2.10]"
    )
    story = log.story("4ABCDE30B")
    assert story is not None
    assert (story.origin_queue_id, story.sasl_username) == ("4ABCDE12F", "anna")
    assert story.client is not None
    assert story.client.ip == "192.0.2.10"


FORWARDED = (
    "postfix/local[9]: 4ABCDE12F: to=<a@x>, relay=local, delay=1, delays=0/0/0/1, dsn=2.0.0, "
    "status=sent (forwarded as 4ABCDE99A)"
)


def test_mail_that_was_forwarded_here() -> None:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID.replace("12F", "99A"), FORWARDED)
    story = log.story("4ABCDE99A")
    assert story is not None
    assert (story.origin_queue_id, story.is_local) == ("4ABCDE12F", False)
    assert story.client is not None
    assert story.client.name == "mail.example.net"


@pytest.mark.parametrize(
    "answer",
    [
        "250 2.0.0 Ok (forwarded as 4ABCDE99A)",
        "250 2.0.0 Ok (forwarded as 4ABCDE99A",
        "250 x, status=sent (forwarded as 4ABCDE99A",
        "forwarded as 4ABCDE99A, or so",
    ],
)
def test_a_server_that_answers_like_that_links_nothing(answer: str) -> None:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID.replace("12F", "99A"))
    log.tell(FORWARDED.replace("forwarded as 4ABCDE99A", answer))
    story = log.story("4ABCDE99A")
    assert story is not None
    assert (story.origin_queue_id, story.client) == (None, None)


def test_requeued_its_recipients_wait_on() -> None:
    log = Log()
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    log.deferred("r@x", "1")
    requeued = "postfix/pickup[4]: 4ABCDE40D: uid=90 from=<a@example.net> orig_id=4ABCDE12F"
    log.tell(requeued, CLIENT.replace("mail.example", "next.example"))
    log.again(2)  # which takes nothing from anyone
    key = log.key("4ABCDE40D")
    assert log.known.attempts.is_awaited(key)
    [ended] = log.known.attempts.all_ended(key, NOW + 99, "e", log.now)
    assert (ended.recipient, ended.attempts) == ("r@x", 1)
    story = log.story("4ABCDE40D")
    assert story is not None
    assert story.origin_queue_id == "4ABCDE12F"
    assert story.client is not None
    assert story.client.name == "mail.example.net"
    taken = log.story()
    assert taken is not None
    assert taken.client is not None
    assert taken.client.name == "next.example.net"


# Notices


NOTICE = "postfix/bounce[5]: 4ABCDE12F: sender non-delivery notification: 5F00112233"
OF_NOTICE = (
    "postfix/cleanup[2]: 5F00112233: message-id=<n@mx1>",
    "postfix/qmgr[3]: 5F00112233: from=<>, size=99, nrcpt=1 (queue active)",
)


@pytest.mark.parametrize("lines", [(NOTICE, *OF_NOTICE), (OF_NOTICE[0], NOTICE, OF_NOTICE[1])])
def test_a_notice_is_postfix_own_message_in_either_order(lines: tuple[str, ...]) -> None:
    log = Log()
    log.tell(*lines)
    story = log.story("5F00112233")
    assert story is not None
    assert (story.is_local, story.is_whole, story.is_begun) == (True, True, True)
    assert (story.sender, story.origin_queue_id) == ("", None)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("sender non-delivery", "sender"),
        ("postmaster non-delivery", "postmaster"),
        ("sender delay", None),
        ("postmaster delay", None),
        ("sender delivery status", None),
    ],
)
def test_kinds_of_notices(said: str, kind: str | None) -> None:
    news = Log().tell(NOTICE.replace("sender non-delivery", said))
    assert news == (None if kind is None else Notice("5F00112233", kind))


@pytest.mark.parametrize("queue_id", ["", "5F00 11", "x>", "5F\u00e900"])
def test_a_notice_without_an_id(queue_id: str) -> None:
    assert Log().tell(NOTICE.replace("5F00112233", queue_id)) is None


def test_links_do_not_grow() -> None:
    log = Log()
    for number in range(1000):
        log.tell(NOTICE.replace("4ABCDE12F", f"4AB{number:05}F"))
        log.tell(FORWARDED.replace("4ABCDE12F", f"4AB{number:05}F"))
    assert log.known.memory.size < 2000


# Recipients that wait


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


def test_kept_and_restored() -> None:
    log, other = Log(), Log()
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    log.deferred("r@x", "1")
    other.known.restore(log.known.kept())
    other.now = log.now
    assert other.story() is not None
    other.tell(ACTIVE, after=300)
    assert other.deferred("r@x", "2") == 2
    broken = log.known.kept()
    for key in broken[2]:
        broken[2][key] = stamp_of(NOW) + b"[1]"
    third = Log()
    third.known.restore(broken)
    assert third.deferred("r@x", "2") == 1, "another version's"
