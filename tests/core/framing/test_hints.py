import ssl
import zlib

import pytest

from service.core.framing.hints import looks_like


def client_hello() -> bytes:
    sent = ssl.MemoryBIO()
    connection = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="a")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return sent.read()


def test_a_real_client_hello() -> None:
    assert looks_like(client_hello()) == "tls_client_hello"


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_a_zlib_stream(level: int) -> None:
    # Level 2 to 5 have the header 78 5e, which is the text "x^".
    assert looks_like(zlib.compress(b"<22>", level)) == "zlib_stream"


def test_a_zstd_stream() -> None:
    assert looks_like(b"\x28\xb5\x2f\xfd\x04\x00") == "zstd_stream"


@pytest.mark.parametrize(
    "first", [b"", b"\x16", b"<22>", b"123 <22>", b"x", b"x^", b"GET / HTTP/1.1"]
)
def test_nothing_known(first: bytes) -> None:
    assert looks_like(first) is None
