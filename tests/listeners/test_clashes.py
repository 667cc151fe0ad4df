"""Addresses that two listeners are told to bind."""

import pytest

from service.listeners.clashes import clashes


def test_addresses_that_do_not_clash() -> None:
    assert clashes({}) == []
    assert clashes({"tcp.listen": ["127.0.0.1:1", "127.0.0.2:1"], "relp.listen": ["[::1]:1"]}) == []


def test_any_free_port_is_another_one_each_time() -> None:
    assert clashes({"tcp.listen": ["[::1]:0", "[::1]:0"], "relp.listen": ["[::1]:0"]}) == []


def test_one_address_twice_in_a_list() -> None:
    told = ["tcp.listen: 127.0.0.1:1 stands there twice; leave one out"]
    assert clashes({"tcp.listen": ["127.0.0.1:1", "127.0.0.1:1"]}) == told


@pytest.mark.parametrize(
    ("first", "second"),
    [("127.0.0.1:1", "127.0.0.1:01"), ("[::1]:1", "[0:0::1]:1"), ("mx.example:1", "MX.example:1")],
)
def test_one_address_for_two_listeners_however_written(first: str, second: str) -> None:
    told = [f"relp.listen: tcp.listen has {second} already; take another port"]
    assert clashes({"tcp.listen": [first], "relp.listen": [second]}) == told
