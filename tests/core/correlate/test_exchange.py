"""What a receiver tells of a message, and what another makes of it."""

from dataclasses import asdict
from datetime import UTC
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.correlate.correlator import Correlator
from service.core.correlate.memory import Bounds
from service.core.correlate.shared import GONE, LONGEST_VALUE, decode, tells_gone
from service.core.correlate.trace import prefix_of, queue_of
from tests.core.correlate.receivers import (
    ACTIVE,
    AT,
    CLIENT,
    KEY,
    MESSAGE_ID,
    NOW,
    QUEUE,
    all_end,
    correlator,
    delivery,
    end,
    fail,
    note,
    tell,
)


class TestRoundTrip:
    def test_everything_arrives(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        assert not tell(one, other)
        stories = [here.story(QUEUE, KEY) for here in (one, other)]
        assert stories[0] is not None
        assert stories[1] is not None
        assert asdict(stories[0]) == asdict(stories[1])
        assert other.attempts.is_awaited(KEY)
        assert other.exchange.export(KEY) == one.exchange.export(KEY)

    def test_the_end_of_one_recipient(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        fail(one, recipient="b@example.com")
        tell(one, other)
        assert end(one, delivery(), AT + 1) is not None
        tell(one, other)
        assert end(other, delivery(), AT + 2) is None, "by another line"
        assert [waiting.recipient for waiting in all_end(other)] == ["b@example.com"]

    def test_what_has_ended_does_not_come_back(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT)
        fail(one)
        tell(one, other)
        end(other, delivery(), AT + 1)
        assert tell(one, other), "the one must be told that it has ended"
        assert not other.attempts.is_awaited(KEY)
        assert not tell(other, one)
        assert not one.attempts.is_awaited(KEY)

    def test_nor_when_all_have_ended_and_the_message_is_still_there(self) -> None:
        """An expiry ends all, `removed` is to come; meanwhile a node of NATS has died, the bucket
        was asked anew, and had not got the news."""
        here = correlator()
        note(here, CLIENT, ACTIVE)
        fail(here)
        fail(here, recipient="b@example.com")
        end(here, delivery("b@example.com"), AT + 1)
        old_news = here.exchange.export(KEY)
        assert len(all_end(here)) == 1
        here.exchange.doubt(NOW)
        assert here.exchange.learn(KEY, decode(old_news), NOW), "the bucket must be told"
        assert not here.attempts.is_awaited(KEY)
        assert tells_gone(here.exchange.export(KEY))
        assert here.attempts.all_ended(KEY, inf, "removed", NOW) == []

    def test_but_one_who_waits_elsewhere_still_does(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, ACTIVE)
        fail(one)
        tell(one, other)
        fail(other, AT + 1, "other", "b@example.com")
        all_end(one)
        assert tell(other, one)
        assert [waiting.recipient for waiting in all_end(one)] == ["b@example.com"]

    def test_gone(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT)
        fail(one)
        tell(one, other)
        all_end(one)
        one.close(QUEUE, KEY, NOW)
        assert tells_gone(one.exchange.export(KEY))
        assert not tell(one, other)
        assert not other.attempts.is_awaited(KEY)


class TestLinesSentAgainElsewhere:
    """Their sender had no answer when its connection broke, and the first receiver has told what
    they meant to it."""

    def test_an_end_is_the_same_there(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        fail(one, recipient="b@example.com")
        tell(one, other)
        note(one, ACTIVE)
        first = end(one, delivery(), AT + 300)
        assert first is not None
        assert first.attempts == 2
        tell(one, other)
        assert end(other, delivery(), AT + 300) == first

    @pytest.mark.parametrize("is_removed", [False, True])
    def test_so_is_the_end_of_all(self, is_removed: bool) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        fail(one, recipient="b@example.com")
        fail(one, recipient="c@example.com")
        tell(one, other)
        end(one, delivery("c@example.com"), AT + 1)
        ended = all_end(one)
        assert len(ended) == 2
        if is_removed:
            one.close(QUEUE, KEY, NOW)
        tell(one, other)
        assert all_end(other) == ended
        assert all_end(other) == ended, "as often as it comes"

    @pytest.mark.parametrize("is_removed", [False, True])
    def test_so_it_is_where_the_message_was_never_seen(self, is_removed: bool) -> None:
        """The line of an expiry does not say whose it is."""
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        fail(one, recipient="b@example.com")
        fail(one, recipient="c@example.com")
        end(one, delivery("c@example.com"), AT + 1)
        ended = all_end(one)
        if is_removed:
            one.close(QUEUE, KEY, NOW)
        tell(one, other)
        story = other.story(QUEUE, KEY)
        assert is_removed or (story is not None and story.is_whole)
        assert [waiting.recipient for waiting in ended] == ["r@example.com", "b@example.com"]
        assert all_end(other) == ended
        tell(one, other)
        assert all_end(other) == ended, "as often as it is told"
        assert not other.attempts.is_awaited(KEY)

    def test_and_that_of_one_where_the_message_was_never_seen(self) -> None:
        """Its bounce, which came to wait for no notice there, had no attempts or was the first."""
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        note(one, ACTIVE)
        first = end(one, delivery(), AT + 300)
        tell(one, other)
        assert end(other, delivery(), AT + 300) == first
        assert first is not None
        assert (first.attempts, first.is_counted) == (2, True)

    def test_what_was_missed_there_is_in_it(self) -> None:
        """It was restarted from a snapshot, and told the response of the attempt before."""
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        tell(one, other)
        fail(one, AT + 300, "missed")
        ended = all_end(one)
        one.close(QUEUE, KEY, NOW)
        tell(one, other)
        assert all_end(other) == ended
        assert ended[0].last_id == "missed"

    def test_hundreds_that_end_at_once_are_all_told(self) -> None:
        bounds = Bounds(100_000, 100_000_000, 6 * 86_400)
        one, other = (Correlator(bounds, UTC, is_shared=True) for _ in range(2))
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        for number in range(300):
            fail(one, recipient=f"r{number}@example.com")
        tell(one, other)
        ended = all_end(one)
        value = one.exchange.export(KEY)
        assert len(value) < LONGEST_VALUE
        assert len(decode(value).ends) == 300
        other.exchange.learn(KEY, decode(value), NOW)
        assert all_end(other) == ended

    def test_it_is_no_first_attempt(self) -> None:
        """`attempt` was 1 in the bounce of one who had waited for days."""
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        tell(one, other)
        decoded = decode(GONE)  # of a receiver that does not tell by which line
        assert not decoded.ends
        other.exchange.learn(KEY, decoded, NOW + 300)
        story = other.story(QUEUE, KEY)
        assert not other.attempts.is_first_attempt(KEY, story, delivery())
        assert end(other, delivery(), AT + 300) is None

    def test_nor_is_a_deferral_waited_for_again(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        tell(one, other)
        all_end(one)
        one.close(QUEUE, KEY, NOW)
        other.exchange.learn(KEY, decode(one.exchange.export(KEY)), NOW + 300)
        story = other.story(QUEUE, KEY)
        attempt = other.attempts.deferred(KEY, story, delivery(), AT, "id")
        assert attempt is not None
        assert not attempt.is_news
        assert attempt.number is None

    def test_another_message_of_that_id_begins_anew(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        tell(one, other)
        all_end(one)
        one.close(QUEUE, KEY, NOW)
        tell(one, other)
        client = CLIENT.replace("192.0.2.10", "192.0.2.11")
        note(other, client, MESSAGE_ID, ACTIVE, at=NOW + 900)
        story = other.story(QUEUE, KEY)
        assert other.attempts.is_first_attempt(KEY, story, delivery())

    def test_a_host_is_the_same_however_it_is_spelled(self) -> None:
        assert queue_of("MX1.example.org", "postfix") == QUEUE
        assert QUEUE.name == "mx1_example_org.postfix"
        assert prefix_of(QUEUE.name) == QUEUE.prefix
        long = "x" * 300
        assert queue_of(long, long) == queue_of(long, long)

    def test_too_many_recipients_are_cut_and_said_so(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        for number in range(900):
            fail(one, recipient=f"{number}@{'x' * 200}.example.com")
        value = one.exchange.export(KEY)
        assert len(value) <= LONGEST_VALUE
        assert decode(value).is_cut
        assert not tell(one, other)
        assert 300 < len(other.attempts.recipients) < 900
        assert not tell(other, other)

    @pytest.mark.parametrize("is_alias", [False, True])
    def test_for_one_address_that_is_too_long_the_others_are_not_refused(
        self, is_alias: bool
    ) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        long = f"{'x' * 1100}@example.com"
        facts = delivery("mailbox@example.com" if is_alias else long)
        facts.original_recipient = long if is_alias else None
        attempt = one.attempts.deferred(KEY, None, facts, AT, "long")
        assert attempt is not None
        one.attempts.keep(KEY, attempt.waiting, NOW)
        assert not tell(one, other), "what is left out is not known better elsewhere"
        assert fail(other, AT + 300, "next") == 2
        end(one, facts, AT + 300)
        tell(one, other)
        assert [waiting.attempts for waiting in all_end(other)] == [2]

    def test_nor_for_one_that_ended_with_all_of_its_message(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        fail(one, recipient=f"{'x' * 1100}@example.com")
        tell(one, other)
        assert len(all_end(one)) == 2
        tell(one, other)
        assert [waiting.recipient for waiting in all_end(other)] == ["r@example.com"]


class TestCounting:
    def test_attempts_go_on_where_they_were(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        note(other, ACTIVE)  # taken up anew: this line came before the answer
        tell(one, other)
        assert fail(other, AT + 300, "second") == 2
        tell(other, one)
        note(one, ACTIVE)
        assert fail(one, AT + 900, "third") == 3

    def test_the_same_line_at_both_is_one_attempt(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT)
        fail(one)
        tell(one, other)
        assert fail(other) == 1

    def test_two_lines_of_one_attempt_are_one(self) -> None:
        """local(8) logs a line for each command of a recipient."""
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        tell(one, other)
        assert fail(one, AT + 1, "second line") == 1
        assert fail(other, AT + 1, "second line") == 1

    def test_an_attempt_whose_begin_went_elsewhere(self) -> None:
        one = correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        assert fail(one, AT + 240, "second") == 2

    def test_who_counted_for_himself_is_put_right(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID, ACTIVE)
        fail(one)
        fail(other, AT + 300, "second")  # it did not hear of the first
        assert tell(other, one), "it is told what it does not know"
        tell(other, one)  # the same once more is no news
        assert not tell(one, other)
        for here in (one, other):
            (waiting,) = all_end(here)
            assert (waiting.attempts, waiting.first_deferred) == (2, AT)
            assert waiting.is_counted

    def test_who_saw_the_beginning_vouches_for_the_count(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID)
        note(other, ACTIVE)
        fail(other)
        assert tell(other, one)
        assert not tell(one, other)
        (waiting,) = all_end(other)
        assert waiting.is_counted

    def test_but_not_where_it_may_have_missed_some(self) -> None:
        one, other = correlator(), correlator()
        note(one, CLIENT, MESSAGE_ID)
        one.exchange.doubt(NOW + 10)
        fail(other)
        tell(other, one)
        (waiting,) = all_end(one)
        assert not waiting.is_counted


class TestDoubt:
    def test_what_is_known_is_asked_for_again_once(self) -> None:
        here = correlator()
        note(here, CLIENT)
        assert not here.exchange.is_foreign(KEY)
        for later in (NOW + 10, NOW + 20):
            here.exchange.doubt(later)
            assert here.exchange.is_foreign(KEY)
            here.exchange.asked(KEY, later)
            assert not here.exchange.is_foreign(KEY)

    def test_an_id_used_again(self) -> None:
        """Old news do not tell of the new message; newer ones take the place of the old."""
        old, new = correlator(), correlator()
        note(old, CLIENT)
        fail(old)
        note(new, CLIENT, at=NOW + 1000, stamp="2027-01-15T08:16:40.000000+00:00")
        assert tell(old, new)
        assert not new.attempts.is_awaited(KEY)
        fail(new, AT + 1000, "of the new one", "new@example.com")
        tell(new, old)
        assert [waiting.recipient for waiting in all_end(old)] == ["new@example.com"]


@given(st.lists(st.sampled_from("fFeEtTaA"), max_size=14))
def test_in_whatever_order_they_hear_of_each_other_both_know_the_same(moves: str) -> None:
    """After both have told each other, twice, what happened at either."""
    one, other = correlator(), correlator()
    note(one, CLIENT, MESSAGE_ID, ACTIVE)
    at = AT
    for number, move in enumerate(moves):
        here, there = (one, other) if move.islower() else (other, one)
        at += 300
        match move.lower():
            case "f":
                fail(here, at, str(number), f"r{number % 2}@example.com")
            case "e":
                end(here, delivery(f"r{number % 2}@example.com"), at)
            case "a":
                note(here, ACTIVE)
            case "t" if KEY in here.attempts.queued.entries:
                tell(here, there)
    for _ in range(2):
        for here, there in ((one, other), (other, one)):
            if KEY in here.attempts.queued.entries:
                tell(here, there)
    waiting = [
        {
            (w.recipient, w.attempts, w.first_deferred)
            for w in decode(c.exchange.export(KEY)).waiting
        }
        for c in (one, other)
    ]
    assert waiting[0] == waiting[1]
