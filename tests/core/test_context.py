"""What a story becomes in an event, and whose bounce goes to a stranger."""

from datetime import UTC, datetime
from ipaddress import IPv4Network, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import Message
from service.core.context import NO_CONTEXT, backscatter_risk, context_of
from service.core.correlate.story import Story
from service.core.postfix.facts import Client

OUTSIDE = Client("mail.example.net", "192.0.2.10", 25)


def story(**known: Any) -> Story:
    nothing: dict[str, Any] = dict.fromkeys(
        (
            *("message_id", "sender", "size", "recipients", "client", "sasl_username"),
            *("queued_at", "origin_queue_id"),
        )
    )
    flags = dict.fromkeys(("is_whole", "is_begun", "is_active", "is_local"), False)
    return Story(**{**nothing, **flags, **known})


def test_nothing_known_is_nothing_told() -> None:
    assert context_of(None) == NO_CONTEXT
    assert context_of(None).message == Message()
    assert context_of(story()).message == Message()
    assert NO_CONTEXT.message.context == "none"


def test_all_of_it() -> None:
    at = datetime(2026, 8, 22, 10, tzinfo=UTC)
    whole = story(
        message_id="1@x",
        sender="a@x",
        size=9,
        recipients=2,
        client=OUTSIDE,
        sasl_username="anna",
        queued_at=at,
        origin_queue_id="4ABCDE12F",
        is_whole=True,
        is_begun=True,
    )
    context = context_of(whole, 3, at)
    assert context.message.model_dump() == {
        "message_id": "1@x",
        "sender": "a@x",
        "size": 9,
        "recipients": 2,
        "client": {"name": "mail.example.net", "ip": "192.0.2.10", "port": 25},
        "sasl_username": "anna",
        "queued_at": at,
        "origin_queue_id": "4ABCDE12F",
        "context": "complete",
    }
    assert (context.sender, context.attempt, context.first_deferred_at) == ("a@x", 3, at)


def test_a_message_is_made_once_and_what_differs_is_each_line_s_own() -> None:
    told = story(message_id="1@x", client=OUTSIDE)
    first, second = context_of(told, 1), context_of(told, 2)
    assert first.message is second.message
    first.backscatter_risk = True
    assert (second.backscatter_risk, second.attempt) == (None, 2)
    assert context_of(None) is not NO_CONTEXT, "whoever has one may fill it in"


@pytest.mark.parametrize(
    "known",
    [
        {"message_id": "1@x"},
        {"sender": ""},
        {"client": OUTSIDE},
        {"origin_queue_id": "4ABCDE12F"},
        {"is_begun": True},
        {"is_local": True},
    ],
)
def test_something_is_partial(known: dict[str, Any]) -> None:
    assert context_of(story(**known)).message.context == "partial"


LOGGED_IN = story(client=OUTSIDE, sasl_username="anna")


@pytest.mark.parametrize(
    ("told", "sender", "risk"),
    [
        (story(client=OUTSIDE), "a@x", True),
        (story(client=OUTSIDE), "", False),
        (story(client=OUTSIDE), "double-bounce@mx1", False),
        (story(client=OUTSIDE), None, None),
        (LOGGED_IN, "a@x", False),
        (story(is_local=True), "a@x", False),
        (story(), "a@x", None),
        (None, "a@x", None),
        (None, "", False),
        (story(client=Client(None, None, None)), "a@x", None),
        (story(client=Client(None, "unix:private/x", None)), "a@x", None),
    ],
)
def test_backscatter_by_the_stated_rules(
    told: Story | None, sender: str | None, risk: bool | None
) -> None:
    assert backscatter_risk(told, sender) is risk


@pytest.mark.parametrize(
    ("ip", "is_private"),
    [
        *[(ip, True) for ip in ("127.0.0.1", "::1", "10.1.2.3", "172.16.0.1", "172.31.9.9")],
        *[
            (ip, True)
            for ip in ("192.168.1.1", "fd00::1", "fe80::1", "fe80::1%eth0", "169.254.1.1")
        ],
        *[
            (ip, False)
            for ip in ("172.32.0.1", "11.0.0.1", "192.0.2.1", "2001:db8::1", "100.64.0.1")
        ],
    ],
)
def test_private_networks(ip: str, is_private: bool) -> None:
    told = story(client=Client(None, ip, None))
    assert backscatter_risk(told, "a@x") is not is_private


_PRIVATE_IPV4 = [
    IPv4Network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")
]
_NEAR = st.sampled_from(["10", "127", "169", "172", "192", "0", "00", "010", "256", "1e1", ""])
_OCTET = st.integers(0, 300).map(str) | _NEAR


@given(
    st.ip_addresses(v=4).map(str)
    | st.lists(_OCTET, min_size=3, max_size=5).map(".".join)
    | st.tuples(st.sampled_from(["172", "192", "169"]), _OCTET, _OCTET, _OCTET).map(".".join)
    | st.sampled_from(_PRIVATE_IPV4).flatmap(lambda net: st.ip_addresses(network=net)).map(str)
)
def test_ipv4_as_the_standard_library_reads_it(ip: str) -> None:
    try:
        address = ip_address(ip)
    except ValueError:
        risk = None
    else:
        risk = not any(address in network for network in _PRIVATE_IPV4)
    for text in (ip, f"{ip}%eth0"):
        assert backscatter_risk(story(client=Client(None, text, None)), "a@x") is risk
