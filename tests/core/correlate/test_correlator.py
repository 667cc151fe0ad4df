"""Each line that tells something, each trap of how Postfix writes them."""

from datetime import UTC, datetime

import pytest

from service.core.correlate.correlator import News
from service.core.correlate.memory import Bounds, stamp_of
from service.core.correlate.records import LONGEST_RECORD
from tests.core.correlate.heard import ACTIVE, CLIENT, MESSAGE_ID, NOW, REMOVED, Log, told


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
        ("x" * 1100, None),
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
        ("<" + "x" * 980 + ">", "x" * 980),
        ("<" + "x" * 1100 + ">", None),
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
    "sender", ["", "a b@x", 'a>, size=1, nrcpt=1"@x', "x" * 980 + ">, size=5, nrcpt=7"]
)
def test_senders_are_theirs_to_choose(sender: str) -> None:
    story = told(CLIENT, ACTIVE.replace("a@example.net", sender))
    assert story.sender in (sender, None)
    assert story.size in (4211, None)
    assert story.is_active


def test_a_cut_line_says_nothing_by_its_end() -> None:
    for length in range(980, 1015):
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
        assert (whole.origin_queue_id is not None) is (len(said) < LONGEST_RECORD)


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
    assert log.tell(first, after=9000) is News.REUSED
    assert log.known.attempts.is_awaited(log.key()), "until they were told"
    log.known.forget(log.key())
    log.tell(first)
    story = log.story()
    assert story is not None
    assert not story.is_whole
    assert story.message_id in (None, "2@mail.example.net")
    assert not log.known.attempts.is_awaited(log.key())


def test_one_forgotten_for_want_of_room_is_not_the_one_before_it_that_is_gone() -> None:
    """Its next deferral was told as one of a message that had been deleted: the attempt did not
    count."""
    log = Log(Bounds(2, 1 << 24, 86_400))
    log.tell(CLIENT, MESSAGE_ID, ACTIVE)
    log.deferred("r@x", "1")
    log.tell(REMOVED)
    assert log.known.is_gone(log.key())
    log.tell(CLIENT.replace("mail", "other"), MESSAGE_ID.replace("1@", "2@"), ACTIVE)
    assert log.deferred("r@x", "2") == 1
    for number in range(3):
        log.tell(CLIENT.replace("4ABCDE12F", f"4ABCDE{number}AA"))
    log.known.trim(log.now)
    assert log.key() not in log.known.memory.entries
    assert not log.known.is_gone(log.key())


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


def test_what_submission_told_is_forgotten_with_the_message() -> None:
    """Nothing says `removed` under the name that its smtpd logs under: each such message left a
    record until it was too old."""
    log = Log()
    log.tell("postfix/submission/smtpd[1]: 4ABCDE12F: client=mail.example.net[192.0.2.10]")
    log.tell(*(line.replace("postfix", "postfix-out", 1) for line in (MESSAGE_ID, ACTIVE, REMOVED)))
    assert len(log.known.memory) == 0
    story = log.story(instance="postfix-out")
    assert story is not None
    assert story.client is not None, "a line that comes late has it yet"


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
