"""`HOST:PORT` as users write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from service.address import Addresses, split_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:5514", "127.0.0.1", 5514),
        ("localhost:0", "localhost", 0),
        ("mx1.example.org:65535", "mx1.example.org", 65_535),
        ("[::1]:5514", "::1", 5514),
        ("[::]:5514", "::", 5514),
        ("[fe80::1%eth0]:1", "fe80::1%eth0", 1),
        ("[127.0.0.1]:1", "127.0.0.1", 1),
    ],
)
def test_host_and_port(text: str, host: str, port: int) -> None:
    assert split_address(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["", ":", "5514", ":5514", "host", "host:", "host:x", "host:-1", "host:+1", "host: 1",
     "[]:1", "host:\u0661", "host:1 ", "host:1.0"],
)  # fmt: skip
def test_what_is_no_host_and_port(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        split_address(text)


@pytest.mark.parametrize("port", ["65536", "99999", "9" * 5000])
def test_a_port_that_cannot_be(port: str) -> None:
    """`127.0.0.1:99999` was told to be no HOST:PORT, which it is."""
    with pytest.raises(ValueError, match="a port is a number up to 65535"):
        split_address(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    "text", ["300.1.2.3:5514", "10.0.0.256:1", "10.0.0.010:1", "[::g]:5514", "[1:2]:1"]
)
def test_what_looks_like_an_ip_address_and_is_none(text: str) -> None:
    """It was taken for a name, and found out when the receiver started."""
    with pytest.raises(ValueError, match="is no IP address"):
        split_address(text)


@pytest.mark.parametrize("text", ["::1:5514", "fe80::1", "[::1", "[::1]x:5", "a:b:1"])
def test_ipv6_without_brackets(text: str) -> None:
    with pytest.raises(ValueError, match="brackets"):
        split_address(text)


@given(st.text(max_size=30) | st.from_regex(r"[\[\]:.0-9a-f]{1,20}", fullmatch=True))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        host, port = split_address(text)
    except ValueError:
        return
    assert host
    assert 0 <= port <= 65_535


def test_lists_divided_by_commas() -> None:
    adapter: TypeAdapter[list[str]] = TypeAdapter(Addresses)
    assert adapter.validate_python("a:1, [::1]:2,") == ["a:1", "[::1]:2"]
    assert adapter.validate_python(["a:1"]) == ["a:1"]
    assert adapter.validate_python("") == []
    for bad in ("a:1,b", ["a:1", 5], 7):
        with pytest.raises(ValidationError):
            adapter.validate_python(bad)
