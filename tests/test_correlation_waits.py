"""What waits for a later line: for how long, within which bounds, and who is answered meanwhile."""

import itertools
from datetime import timedelta
from typing import Any

import schemas
from service.core.envelope import Envelope
from service.core.framing.base import Frame
from service.pipeline import AT_ONCE
from tests.correlation_house import (
    ACTIVE,
    BEGUN,
    EXPIRED,
    NOTICE,
    Expecting,
    House,
    decoded,
    local,
    to,
)
from tests.metric_values import assert_balanced, value
from tests.sample_lines import NOW, ORIGIN


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
