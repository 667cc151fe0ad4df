"""Who may send, as operators write it."""

import pytest
from pydantic import ValidationError

from service.listeners.config import ListenerConfig, is_within


@pytest.mark.parametrize(
    ("allow", "address", "is_allowed"),
    [
        ("192.0.2.0/24", "192.0.2.7", True),
        ("192.0.2.0/24", "198.51.100.7", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("2001:db8::/32", "2001:db8::7", True),
        ("::/0", "192.0.2.7", False),
        ("0.0.0.0/0", "2001:db8::7", False),
        # IPv4 as IPv6 writes it; addresses come here as IPv4.
        ("::ffff:192.0.2.0/120", "192.0.2.7", True),
        ("::ffff:192.0.2.0/120", "192.0.3.7", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("::ffff:0:0/96", "198.51.100.7", True),
        (" 192.0.2.0/24 , 2001:db8::/32,", "2001:db8::7", True),
    ],
)
def test_who_is_within(allow: str, address: str, is_allowed: bool) -> None:
    assert is_within(address, ListenerConfig.model_validate({"allow": allow}).allow) is is_allowed


@pytest.mark.parametrize(
    ("allow", "told"),
    [
        ("10.0.0.1/8", "'10.0.0.1/8' has bits set behind its prefix; the network is 10.0.0.0/8"),
        ("10.0.0.0/33", "'10.0.0.0/33' is no network, as 10.0.0.0/8 or 2001:db8::/32"),
        ("mx1.example.net", "'mx1.example.net' is no network"),
    ],
)
def test_what_is_no_network_is_told_once_and_how_to_write_it(allow: str, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ListenerConfig.model_validate({"allow": allow})
    [problem] = caught.value.errors()
    assert problem["loc"] == ("allow", 0)
    assert told in problem["msg"]
