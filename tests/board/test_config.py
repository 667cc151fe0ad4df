"""Settings of the board, and what they refuse."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.board.config import BoardConfig, TokenError
from tests.cli.run import run

TOKEN = "a-token-of-the-tests"


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.8.8.8:1", "[::1]:0", "localhost:0"])
def test_loopback_needs_no_token(listen: str) -> None:
    assert BoardConfig(listen=listen).has_authentication is False


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "board.example:80"])
@pytest.mark.parametrize(
    ("more", "good"),
    [
        ({}, False),
        ({"token": TOKEN}, True),
        ({"token_file": "x"}, True),
        ({"proxy_header": "X-User", "proxy_from": ["192.0.2.0/24"]}, True),
    ],
)
def test_elsewhere_it_does(listen: str, more: dict[str, object], good: bool) -> None:
    given = {"listen": listen, **more}
    if good:
        assert BoardConfig.model_validate(given).has_authentication
    else:
        with pytest.raises(ValidationError, match="can be reached from other hosts"):
            BoardConfig.model_validate(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"token": "short"}, "at least 16"),
        ({"token": "with a space in the middle"}, "without spaces"),
        ({"token": TOKEN, "token_file": "x"}, "not both"),
        ({"proxy_header": "X-User"}, "need each other"),
        ({"proxy_from": ["192.0.2.1"]}, "need each other"),
        ({"proxy_header": "X User", "proxy_from": "192.0.2.1"}, "no name of an HTTP header"),
        ({"proxy_header": "X-User", "proxy_from": "proxy.example"}, "no address or network"),
        ({"hosts": "https://board.example"}, "no host name"),
        ({"history": 60}, "3600"),
        ({"unknown": 1}, "not permitted"),
    ],
    ids=str,
)
def test_a_configuration_that_cannot_be_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        BoardConfig.model_validate(given)


def test_lists_of_the_environment() -> None:
    config = BoardConfig.model_validate({"hosts": "Board.example., b.example"})
    assert config.hosts == ["board.example", "b.example"]


def test_the_token_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert BoardConfig(token_file=file).read_token() == TOKEN
    assert BoardConfig.model_validate({"token": TOKEN}).read_token() == TOKEN
    assert BoardConfig().read_token() is None
    for content in (b"short", b"\xff" * 20):
        file.write_bytes(content)
        with pytest.raises(TokenError, match=r"board\.token_file"):
            BoardConfig(token_file=file).read_token()
    with pytest.raises(TokenError, match="No such file"):
        BoardConfig(token_file=tmp_path / "absent").read_token()


def test_the_command_refuses_to_be_open_to_strangers(tmp_path: Path) -> None:
    done = run("board", "--listen", "0.0.0.0:0")
    assert done.returncode == 78
    assert b"board" in done.stderr
    assert b"can be reached from other hosts" in done.stderr
    done = run("board", "--token-file", tmp_path / "absent")
    assert done.returncode == 78
    assert b"board.token_file" in done.stderr


def test_a_since_that_is_none_or_too_long() -> None:
    assert run("board", "--since", "1w").returncode == 2
    done = run("board", "--since", "8d")
    assert done.returncode == 2
    assert b"board.history" in done.stderr
