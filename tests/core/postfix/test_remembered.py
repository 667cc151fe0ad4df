"""What is remembered is bounded, and what is forgotten is read again to the same result."""

import pytest

from service.core.postfix.facts import Delivery
from service.core.postfix.remembered import MOST_REMEMBERED, remember
from service.core.postfix.shapes.delivery import read_plain
from tests.core.postfix.lines import delivery


def test_what_is_remembered_is_bounded() -> None:
    known: dict[str, int] = {}
    most = 0
    for number in range(2 * MOST_REMEMBERED + 10):
        assert remember(known, f"piece {number}", number) == number
        assert known[f"piece {number}"] == number
        most = max(most, len(known))
    assert most == MOST_REMEMBERED


def test_more_peers_than_are_remembered() -> None:
    def of(number: int) -> Delivery:
        host = f"mx{number}.x.example[192.0.2.1]"
        return delivery(
            f"4ABCDE12F: to=<r@x.example>, relay={host}:25, delay={number}, "
            f"delays={number}/0.1/0/{number}, dsn=4.{number % 1000}.1, status=deferred "
            f"(host {host} said: 451 4.{number % 1000}.1 no (in reply to X{number} command))"
        )

    first = of(1)
    for number in range(MOST_REMEMBERED + 10):
        of(number)
    again = of(1)
    assert again == first
    assert again.relay is not None
    assert again.relay.host == "mx1.x.example"
    assert again.delays == (1.0, 0.1, 0.0, 1.0)
    assert again.remote_reply is not None
    assert again.remote_reply.command == "X1"


@pytest.mark.parametrize(
    ("piece", "other"),
    [
        ("4ABCDE12F", "NOQUEUE"),
        ("4ABCDE12F", "aABCDE12F"),
        ("<r@x.example>", "<r r@x.example>"),
        ("<o@x.example>", '<"o"@x.example>'),
        ("relay=none", "relay=a b"),
        ("delay=1,", "delay=1e1,"),
        ("0/0/1/0", "0/0/1"),
        ("0/0/1/0", "0/.1/1/0"),
        ("dsn=4.4.1", "dsn=4.4"),
        ("(x)", "(x"),
    ],
)
def test_one_odd_piece_is_enough_for_the_long_way(piece: str, other: str) -> None:
    line = (
        "4ABCDE12F: to=<r@x.example>, orig_to=<o@x.example>, relay=none, delay=1, "
        "delays=0/0/1/0, dsn=4.4.1, status=deferred (x)"
    )
    assert read_plain(line) is not None
    assert read_plain(line.replace(piece, other)) is None
