"""Sockets that were bound for us, as the environment tells of them."""

import os
import socket
from pathlib import Path

import pytest

from service.systemd.sockets import SocketsError, take
from tests.systemd.manager import bound, refused

OURS = str(os.getpid())


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "udp:tcp"},
        {"LISTEN_PID": OURS, "LISTEN_FDS": "0", "LISTEN_FDNAMES": ""},
    ],
)
def test_none_or_somebody_else_s(environ: dict[str, str]) -> None:
    environ["PATH"] = "/bin"
    assert take(environ) == []
    assert environ == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("number", "names", "problem"),
    [
        ("", "", "LISTEN_FDS='' is not a number of sockets"),
        ("-1", "", "LISTEN_FDS='-1' is not a number of sockets"),
        ("٣", "", "LISTEN_FDS='٣' is not a number of sockets"),
        ("1025", "", "LISTEN_FDS='1025' is not a number of sockets"),
        ("2", "udp", "LISTEN_FDNAMES has 1 names for 2 sockets"),
    ],
)
def test_what_cannot_be(number: str, names: str, problem: str) -> None:
    with pytest.raises(SocketsError) as raised:
        take({"LISTEN_PID": OURS, "LISTEN_FDS": number, "LISTEN_FDNAMES": names})
    assert str(raised.value) == problem


async def test_a_descriptor_that_is_no_socket(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file, bound(socket.SOCK_STREAM) as sock:
        said = await refused(tmp_path, sockets=[("tcp", sock), ("udp", file)])
    assert said == ["descriptor 4, named 'udp': Socket operation on non-socket"]
