"""Who may come in."""

import pytest

from service.board.config import BoardConfig
from service.board.door import COOKIE_SECONDS, Door
from tests.board.events import NOW
from tests.board.site import TOKEN


def door(**settings: object) -> Door:
    config = BoardConfig.model_validate(settings)
    return Door(config, config.read_token())


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost", True),
        ("localhost:9515", True),
        ("LOCALHOST.", True),
        ("127.0.0.1:9515", True),
        ("192.0.2.7", True),
        ("[::1]:9515", True),
        ("[2001:db8::1]", True),
        ("board.example.net:443", True),
        ("evil.example", False),
        ("board.example.net.evil.example", False),
        ("localhost.evil.example:9515", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        (None, False),
        (":9515", False),
        ("[::1]:x", False),
    ],
)
def test_names_it_answers_to(host: str | None, known: bool) -> None:
    assert door(hosts=["board.example.net"]).knows_host(host) is known


def test_without_authentication_everyone_comes_in() -> None:
    assert door().lets_in("127.0.0.1", {}, None, NOW)


def test_a_token_as_bearer() -> None:
    closed = door(token=TOKEN)
    for given, good in (
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN}", True),
        (f"Basic {TOKEN}", False),
        (TOKEN, False),
        ("Bearer", False),
        (f"Bearer {TOKEN}x", False),
        ("Bearer \udcff", False),
    ):
        assert closed.lets_in("127.0.0.1", {"authorization": given}, None, NOW) is good, given
    assert not closed.lets_in("127.0.0.1", {}, None, NOW)
    assert not door(proxy_header="X-User", proxy_from="192.0.2.1").is_token("")


def test_a_cookie_is_good_for_its_time_and_its_token() -> None:
    closed = door(token=TOKEN)
    cookie = closed.cookie(NOW)
    assert TOKEN not in cookie

    def is_good(cookie: str, now: float = NOW, of: Door = closed) -> bool:
        return of.lets_in("127.0.0.1", {}, cookie, now)

    assert is_good(cookie)
    assert is_good(cookie, NOW + COOKIE_SECONDS - 1)
    assert not is_good(cookie, NOW + COOKIE_SECONDS + 1)
    assert not is_good(cookie, of=door(token=TOKEN[::-1]))
    expires, _, signature = cookie.partition(".")
    for forged in (
        f"{int(expires) + 1}.{signature}",
        f"{expires}.{signature[:-1]}",
        f"{expires}.",
        expires,
        "",
        f"x.{signature}",
        "é.é",
    ):
        assert not is_good(forged), forged
    assert not is_good(cookie, of=door(proxy_header="X-User", proxy_from="192.0.2.1"))


@pytest.mark.parametrize(
    ("peer", "header", "good"),
    [
        ("192.0.2.1", "anna", True),
        ("192.0.2.255", "anna", True),
        ("::ffff:192.0.2.1", "anna", True),
        ("2001:db8::1", "anna", True),
        ("192.0.3.1", "anna", False),
        ("127.0.0.1", "anna", False),
        ("192.0.2.1", "  ", False),
        ("192.0.2.1", None, False),
        (None, "anna", False),
        ("unix", "anna", False),
    ],
)
def test_the_word_of_a_trusted_proxy(peer: str | None, header: str | None, good: bool) -> None:
    closed = door(proxy_header="X-Forwarded-User", proxy_from="192.0.2.0/24,2001:db8::/32")
    headers = {} if header is None else {"x-forwarded-user": header}
    assert closed.lets_in(peer, headers, None, NOW) is good
