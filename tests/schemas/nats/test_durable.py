"""The consumer in the server: made as asked, checked where it exists, never changed."""

import logging
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from schemas import EventType
from schemas.nats import Consumer, ConsumerError, ConsumerMismatchError, StreamNotFoundError
from schemas.nats.consumer import BACKOFF
from tests.nats_server import real_nats
from tests.schemas.nats.site import Site, bounces, number, site, take


async def make(here: Site, **config: Any) -> None:
    """One that somebody else made."""
    settings: dict[str, Any] = {
        "name": "tests",
        "durable_name": "tests",
        "ack_policy": AckPolicy.EXPLICIT,
        "filter_subject": "postfix.>",
        **config,
    }
    await here.stream.add_consumer("POSTFIX", ConsumerConfig(**settings))


async def test_it_is_made_as_documented(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        async with Consumer(here.server.url, durable="tests", types=["bounced", "reject"]):
            made = (await here.info()).config
        assert made.durable_name == "tests"
        assert made.ack_policy == AckPolicy.EXPLICIT
        assert made.deliver_policy == DeliverPolicy.ALL
        assert made.filter_subjects == ["postfix.bounced.*", "postfix.reject.*"]
        assert made.max_deliver == -1
        assert made.max_ack_pending == 10_000
        # A program that dies gets its events again after `ack_wait`, and later and later.
        assert made.ack_wait == 60
        assert made.backoff == [max(60, delay) for delay in BACKOFF]


async def test_one_subject_is_a_filter_that_older_servers_know_too(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.consumer(types=EventType.DEFERRED):
        made = (await here.info()).config
    assert (made.filter_subject, made.filter_subjects) == ("postfix.deferred.*", None)
    assert made.backoff is None  # none longer than `ack_wait`


async def test_it_is_found_again_with_what_it_remembers(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.publish(*bounces(3))
        for expected in range(3):
            async with here.consumer(types=["bounced", "reject"], prefetch=1) as consumer:
                assert [number(m) for m in await take(consumer, 1)] == [expected]


@pytest.mark.parametrize(
    ("existing", "wanted", "says"),
    [
        (
            {"filter_subject": "postfix.bounced.*"},
            {},
            "delivers postfix.bounced.* and not postfix.>",
        ),
        (
            {"filter_subject": None, "filter_subjects": ["postfix.bounced.*", "postfix.reject.*"]},
            {"types": "bounced"},
            "delivers postfix.bounced.*, postfix.reject.* and not postfix.bounced.*",
        ),
        ({"filter_subject": None}, {"types": "bounced"}, "delivers > and not postfix.bounced.*"),
        ({"deliver_subject": "somewhere"}, {}, "pushes"),
        ({"ack_policy": AckPolicy.ALL}, {}, "has ack_policy all and not explicit"),
    ],
)
async def test_one_that_delivers_something_else_is_an_error_and_stays(
    tmp_path: Path, existing: dict[str, Any], wanted: dict[str, Any], says: str
) -> None:
    async with site(tmp_path) as here:
        await make(here, **existing)
        before = (await here.info()).config
        with pytest.raises(ConsumerMismatchError) as raised:
            async with here.consumer(**wanted):
                pass
        assert says in str(raised.value)
        assert "consumer tests of stream POSTFIX" in str(raised.value)
        assert (await here.info()).config == before


async def test_the_order_of_subjects_makes_no_difference(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        async with here.consumer(types=["bounced", "reject"]):
            pass
        async with here.consumer(types=["reject", "bounced"]):
            pass


async def test_one_made_by_an_operator_is_used_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(tmp_path) as here:
        await make(here, ack_wait=1.0, max_deliver=7)
        before = (await here.info()).config
        await here.publish(*bounces(1))
        with caplog.at_level(logging.WARNING):
            async with here.consumer(ack_wait=60) as consumer:
                await take(consumer, 1)
        assert (await here.info()).config == before
    assert "gives up after 7 deliveries" in caplog.text


async def test_without_a_stream_it_says_so(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        with pytest.raises(StreamNotFoundError, match="no stream POSTFIX") as raised:
            async with Consumer(server.url, durable="tests"):
                pass
    assert isinstance(raised.value, ConsumerError)


async def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        with pytest.raises(ValueError, match="consumer name"):
            async with here.consumer("a.b"):
                pass
