"""What ties messages together: filters, forwarding, requeueing, notices."""

import pytest

from service.core.correlate.links import Notice
from tests.core.correlate.heard import ACTIVE, CLIENT, MESSAGE_ID, NOW, Log


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
