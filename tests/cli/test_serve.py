"""`mailfault serve`: its options, and wrong usage. What it does: `tests/test_receiver.py`."""

from pathlib import Path

import pytest

from service import __version__
from tests.cli.run import run, run_process

CONTRACT = (
    "--udp",
    "--tcp",
    "--tls",
    "--relp",
    "--relp-tls",
    "--http",
    "--nats",
    "--embedded-nats",
    "--data-dir",
    "--workers",
    "--config",
)


def test_options_of_the_contract() -> None:
    told = run("serve", "--help").stdout.decode().split()
    assert set(CONTRACT) <= set(told)


def test_help_names_the_tables_of_certificates() -> None:
    """Their brackets were taken for markup, and left out."""
    told = " ".join(run("serve", "--help").stdout.decode().replace("│", " ").split())
    assert "Certificates: table [tls]." in told
    assert "Certificates: table [relp_tls]." in told


def test_version() -> None:
    done = run_process("--version")
    assert done.returncode == 0
    assert done.stdout.decode() == f"mailfault {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["server"],
        ["serve", "--udpp", "127.0.0.1:1"],
        ["serve", "--udp"],
        ["serve", "127.0.0.1:5514"],
        ["serve", "--nats", "nats://127.0.0.1:1", "--embedded-nats"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tcp", "5514"], "tcp.listen.0: '5514' is not HOST:PORT"),
        (["--udp", "::1:5514"], "udp.listen.0: '::1:5514': write an IPv6 address in brackets"),
        (["--http", "x"], "http.listen: 'x' is not HOST:PORT"),
        (["--nats", "h:4222"], "nats.servers.0: 'h:4222' is no NATS URL"),
        (["--workers", "0"], "workers: Input should be greater than or equal to 1"),
        (["--workers", "many"], "--workers"),
        (["--workers", "0", "--relp", "x"], "relp.listen.0: 'x' is not HOST:PORT"),
    ],
    ids=str,
)
def test_an_option_with_a_wrong_value_is_2(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = run("serve", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr.decode()
    assert list(tmp_path.iterdir()) == [], "and nothing was begun"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tls", "127.0.0.1:0"], "tls: cert_file and key_file are needed to listen"),
        (["--config", "/nowhere.toml"], "/nowhere.toml: cannot be read"),
    ],
    ids=str,
)
def test_bad_configuration_is_78(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = run("serve", *arguments, cwd=tmp_path)
    assert done.returncode == 78
    assert told in done.stderr.decode()
    assert list(tmp_path.iterdir()) == [], "and nothing was begun"


def test_with_both_wrong_the_configuration_is_to_be_mended(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text("workers = 0")
    done = run("serve", "--config", "m.toml", "--tcp", "x", cwd=tmp_path)
    assert done.returncode == 78
    assert b"tcp.listen.0" in done.stderr
    assert b"workers" in done.stderr
    done = run("serve", "--tcp", "x", cwd=tmp_path, MAILFAULT_WORKERS="0")
    assert done.returncode == 78
    # What an option says takes the place of what the others say.
    done = run("serve", "--config", "m.toml", "--workers", "2", "--tcp", "x", cwd=tmp_path)
    assert done.returncode == 2
