"""Filters of the list."""

import pytest

from service.board.wanted import Wanted
from tests.board.events import event

EVENT = event(
    kind="deferred",
    mta="mx1.example.org",
    category="rate_limited",
    domain="example.net",
    provider="google",
    response="421-4.7.28 Our system",
    message_id="ID@x",
)


@pytest.mark.parametrize(
    ("query", "taken"),
    [
        ({}, True),
        ({"type": "deferred"}, True),
        ({"type": "bounced,deferred"}, True),
        ({"type": "bounced"}, False),
        ({"type": "no such type"}, True),
        ({"mta": " MX1.example.org "}, True),
        ({"mta": "mx1"}, False),
        ({"category": "rate_limited"}, True),
        ({"category": "dns"}, False),
        ({"domain": "EXAMPLE.net"}, True),
        ({"domain": "example.org"}, False),
        ({"provider": "google"}, True),
        ({"provider": "yahoo"}, False),
        ({"q": "4.7.28"}, True),
        ({"q": "system 4abcde R@EXAMPLE id@X"}, True),
        ({"q": "system nowhere"}, False),
        ({"q": "   "}, True),
        ({"q": "x" * 5000}, False),
        ({"unknown": "x"}, True),
    ],
    ids=str,
)
def test_what_is_taken(query: dict[str, str], taken: bool) -> None:
    assert Wanted.of(query).takes(EVENT) is taken


def test_an_event_that_lacks_things() -> None:
    bare = event(category=None, domain=None, queue_id=None, response=None, recipient=None)
    assert Wanted.of({"q": "mx1"}).takes(bare)
    assert not Wanted.of({"domain": "example.net"}).takes(bare)
