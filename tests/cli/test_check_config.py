"""`mailfault check-config`: the effective configuration without secrets, or 78 and why."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from service.cli.configuration import nested
from tests.cli.run import MAILFAULT, environment, run, run_process
from tests.listeners.certificates import make
from tests.nats.identities import Identity


def test_what_is_in_force(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[tcp]\nlisten = ["[::1]:5514"]\n[nats]\nwindow = 5\n')
    done = run_process("check-config", "--config", file, MAILFAULT_NATS__WINDOW="6")
    assert done.returncode == 0
    assert done.stderr == b""
    shown = json.loads(done.stdout)
    assert shown["tcp"]["listen"] == ["[::1]:5514"]
    assert shown["udp"]["listen"] == []
    assert shown["nats"]["window"] == 6
    assert shown["http"]["listen"] == "127.0.0.1:9514"
    assert shown["data_dir"] == "data"


def test_defaults() -> None:
    shown = json.loads(run("check-config").stdout)
    assert shown["udp"]["listen"] == shown["tcp"]["listen"] == ["127.0.0.1:5514"]


@pytest.mark.parametrize(
    "variables",
    [
        {"MAILFAULT_NATS__TOKEN": "hush"},
        {"MAILFAULT_NATS__USER": "anna", "MAILFAULT_NATS__PASSWORD": "hush"},
        {"MAILFAULT_NATS__SERVERS": "nats://anna:hush@h:4222"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_secrets_are_hidden(variables: dict[str, str]) -> None:
    done = run("check-config", settings=variables)
    assert done.returncode == 0
    assert b"hush" not in done.stdout + done.stderr
    assert b"***" in done.stdout


def test_a_seed_is_hidden_whether_it_is_one_or_not() -> None:
    for seed in (Identity().seed, "hush"):
        done = run("check-config", MAILFAULT_NATS__NKEY_SEED=seed)
        assert done.returncode == 0
        assert json.loads(done.stdout)["nats"]["nkey_seed"] == "**********"
        assert seed.encode() not in done.stdout + done.stderr


def test_the_name_of_a_secrets_file_is_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("hush")
    done = run("check-config", MAILFAULT_NATS__TOKEN_FILE=str(file))
    assert json.loads(done.stdout)["nats"]["token_file"] == str(file)
    assert b"hush" not in done.stdout


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"MAILFAULT_TCP__LISTEN": "5514"}, "tcp.listen.0: '5514' is not HOST:PORT"),
        (
            {"MAILFAULT_PIPELINE__DEFAULT_TIMEZONE": "CEST"},
            "pipeline.default_timezone: no time zone",
        ),
        ({"MAILFAULT_NATS__SUBJECT_TEMPLATE": "x.{mta}"}, "nats: subject_template: "),
        ({"MAILFAULT_NATS__SUBJECT_TEMPLATE": "{type"}, "nats: subject_template: "),
        ({"MAILFAULT_LOGLEVEL": "debug"}, "MAILFAULT_LOGLEVEL: unknown setting; did you mean LOG?"),
        ({"MAILFAULT_CONFIG": "/nowhere.toml"}, "/nowhere.toml: cannot be read"),
    ],
    ids=str,
)
def test_bad_configuration_is_78_with_the_path(variables: dict[str, str], told: str) -> None:
    done = run("check-config", settings=variables)
    assert done.returncode == 78
    assert done.stdout == b""
    (problem,) = done.stderr.decode().splitlines()
    assert problem.startswith("configuration: ")
    assert told in problem


def test_each_problem_is_a_line(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[tcp]\nlisten = ["x"]\nlisen = 1\n[quue]\n')
    done = run_process("check-config", "--config", file)
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 3
    assert b"tcp.lisen: unknown setting; did you mean listen?" in done.stderr
    assert b"quue: unknown setting; did you mean queue?" in done.stderr


def test_a_missing_file() -> None:
    done = run("check-config", "--config", "/nowhere.toml")
    assert done.returncode == 78
    assert b"/nowhere.toml: cannot be read: No such file" in done.stderr


def test_a_file_that_may_not_be_read_is_bad_configuration_too(tmp_path: Path) -> None:
    """It was wrong usage (2), and with `MAILFAULT_CONFIG` it was not."""
    file = tmp_path / "c.toml"
    file.write_text("")
    file.chmod(0)
    as_others = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*as_others, *MAILFAULT, "check-config", "--config", file],
        capture_output=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 78
    assert done.stderr == f"configuration: {file}: cannot be read: Permission denied\n".encode()


def test_certificates_are_looked_into(tmp_path: Path) -> None:
    server = make(tmp_path, "receiver.example.net")
    settings = {
        "MAILFAULT_TLS__LISTEN": "127.0.0.1:6514",
        "MAILFAULT_TLS__AUTH_MODE": "anon",
        "MAILFAULT_TLS__CERT_FILE": str(server.cert_file),
        "MAILFAULT_TLS__KEY_FILE": str(server.key_file),
    }
    done = run("check-config", settings=settings)
    assert done.returncode == 0
    assert json.loads(done.stdout)["tls"]["auth_mode"] == "anon"
    done = run("check-config", settings={**settings, "MAILFAULT_TLS__KEY_FILE": "/gone.key"})
    assert done.returncode == 78
    told = b"configuration: tls.key_file: /gone.key: No such file or directory\n"
    assert done.stderr == told


RULES = """
[[rule]]
id = "ours.full"
any = "no more shelf space"
category = "mailbox_full"
scope = "recipient"
source = "our runbook"
"""


def test_certificates_are_looked_into_where_a_socket_unit_listens(tmp_path: Path) -> None:
    """`check-config` found nothing wrong with them, and the service did not start."""
    server = make(tmp_path, "receiver.example.net")
    settings = {
        "MAILFAULT_TLS__CERT_FILE": str(server.cert_file),
        "MAILFAULT_TLS__KEY_FILE": str(server.key_file),
        "MAILFAULT_TLS__PERMITTED_PEERS": "mx1.example.net",
        "MAILFAULT_TLS__CA_FILE": str(server.cert_file),
    }
    done = run("check-config", settings=settings)
    assert done.returncode == 78
    told = b"configuration: tls: permitted_peers means nothing with auth_mode x509/certvalid\n"
    assert done.stderr == told
    settings["MAILFAULT_TLS__AUTH_MODE"] = "x509/name"
    assert run("check-config", settings=settings).returncode == 0
    done = run("check-config", settings={**settings, "MAILFAULT_TLS__KEY_FILE": "/gone.key"})
    assert done.returncode == 78
    assert done.stderr == b"configuration: tls.key_file: /gone.key: No such file or directory\n"


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"MAILFAULT_NATS__CREDS_FILE": "/gone"}, b"nats.creds_file: /gone: No such file"),
        ({"MAILFAULT_NATS__TOKEN_FILE": "/gone"}, b"nats.token_file: /gone: No such file"),
        (
            {"MAILFAULT_NATS__SERVERS": "tls://h:4222", "MAILFAULT_NATS__CA_FILE": "/gone"},
            b"nats.ca_file: /gone: No such file",
        ),
    ],
    ids=lambda value: next(reversed(value)) if isinstance(value, dict) else None,
)
def test_credentials_for_nats_are_looked_into(variables: dict[str, str], told: bytes) -> None:
    """They were wanted only at the first attempt to connect. No refusal: where a configuration is
    looked into before it is rolled out, they may not be."""
    done = run("check-config", settings=variables)
    assert done.returncode == 0
    assert json.loads(done.stdout)["nats"]
    assert done.stderr.startswith(b"warning: " + told)


def test_rules_files_are_looked_into(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(RULES)
    config = tmp_path / "c.toml"
    config.write_text(f'[classify]\nrules = ["{good}"]\n')
    done = run("check-config", "--config", config)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["classify"] == {"rules": [str(good)]}

    bad.write_text(RULES.replace("any =", "anny =").replace('"recipient"', '"recipien"'))
    done = run("check-config", MAILFAULT_CLASSIFY__RULES=f"{good},{bad},{tmp_path}/gone.toml")
    assert done.returncode == 78
    assert done.stdout == b""
    rule = f"configuration: {bad}: rule ours.full"
    assert done.stderr.decode().splitlines() == [
        f"configuration: {tmp_path}/gone.toml: cannot be read: No such file or directory",
        f"{rule}: anny: unknown key; did you mean any?",
        f"{rule}: scope: 'recipien' is not known; did you mean recipient?",
    ]


def test_options_to_tables() -> None:
    assert nested(a__b__c=1, a__b__d=[2], a__e=False, f="", g=None, h=[], i__j=None) == {
        "a": {"b": {"c": 1, "d": [2]}, "e": False},
        "f": "",
    }
