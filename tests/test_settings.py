"""Settings: where they come from, who wins, and what an operator is told."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from service.config_problems import ConfigError
from service.listeners.inherited import InheritedSockets
from service.settings import Settings, fixed, load
from service.systemd.sockets import NamedSocket


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("MAILFAULT_"):
            monkeypatch.delenv(name)


def toml(folder: Path, text: str) -> Path:
    path = folder / "mailfault.toml"
    path.write_text(text)
    return path


def problems(file: Path | None = None, options: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(file, options)
    assert str(caught.value) == "; ".join(caught.value.problems)
    return caught.value.problems


class TestPrecedence:
    def test_defaults(self) -> None:
        settings = load()
        assert settings.data_dir == Path("data")
        assert settings.http.listen == "127.0.0.1:9514"
        assert settings.udp.listen == settings.tcp.listen == ["127.0.0.1:5514"]
        assert settings.relp.listen == ["127.0.0.1:2514"]
        assert settings.nats.servers == []
        assert settings.nats.stream.name == "POSTFIX"
        assert settings.nats.stream.duplicate_window == 600

    def test_options_before_environment_before_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = toml(
            tmp_path,
            """
            data_dir = "from-file"
            shutdown_timeout = 3
            [nats]
            servers = ["nats://file:4222"]
            window = 3
            [tcp]
            listen = ["127.0.0.1:3", "127.0.0.1:33"]
            [queue]
            max_events = 3
            """,
        )
        monkeypatch.setenv("MAILFAULT_DATA_DIR", "from-environment")
        monkeypatch.setenv("MAILFAULT_NATS__WINDOW", "2")
        monkeypatch.setenv("MAILFAULT_TCP__LISTEN", "127.0.0.1:2, [::1]:22")
        settings = load(file, {"data_dir": Path("from-options"), "tcp": {"listen": ["[::1]:1"]}})
        assert settings.data_dir == Path("from-options")
        assert settings.tcp.listen == ["[::1]:1"], "lists are replaced, not joined"
        assert settings.nats.window == 2
        assert settings.nats.servers == ["nats://file:4222"]
        assert settings.queue.max_events == 3
        assert settings.shutdown_timeout == 3

        without_options = load(file)
        assert without_options.data_dir == Path("from-environment")
        assert without_options.tcp.listen == ["127.0.0.1:2", "[::1]:22"]

    def test_an_empty_list_of_servers_overrides_too(self, tmp_path: Path) -> None:
        """`--embedded-nats`."""
        file = toml(tmp_path, '[nats]\nservers = ["nats://file:4222"]')
        assert load(file, {"nats": {"servers": []}}).nats.servers == []

    def test_lists_in_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MAILFAULT_UDP__LISTEN", "0.0.0.0:514")
        monkeypatch.setenv("MAILFAULT_NATS__SERVERS", "nats://a:1,nats://b:2")
        settings = load()
        assert settings.udp.listen == ["0.0.0.0:514"]
        assert settings.tcp.listen == settings.relp.listen == [], (
            "one listener was named, so no default for the others"
        )
        assert settings.nats.servers == ["nats://a:1", "nats://b:2"]

    def test_deep_tables_in_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MAILFAULT_NATS__STREAM__NAME", "MAIL")
        assert load().nats.stream.name == "MAIL"

    def test_the_file_may_be_named_in_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = toml(tmp_path, "shutdown_timeout = 7")
        monkeypatch.setenv("MAILFAULT_CONFIG", str(file))
        assert load().shutdown_timeout == 7
        other = tmp_path / "other.toml"
        other.write_text("shutdown_timeout = 8")
        assert load(other).shutdown_timeout == 8

    def test_loading_leaves_nothing_behind(self) -> None:
        options: dict[str, Any] = {"tcp": {"listen": []}}
        first = load(options=options)
        first.tcp.listen.append("127.0.0.1:1")
        assert options == {"tcp": {"listen": []}}
        assert load().tcp.listen == ["127.0.0.1:5514"]

    def test_fixed_settings_ignore_environment_and_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MAILFAULT_CONFIG", str(toml(tmp_path, "shutdown_timeout = 7")))
        monkeypatch.setenv("MAILFAULT_NATS__SUBJECT_PREFIX", "other")
        settings = fixed({"udp": {"listen": ["127.0.0.1:0"]}})
        assert settings.shutdown_timeout == 25
        assert settings.nats.subject_prefix == "postfix"
        assert settings.udp.listen == ["127.0.0.1:0"]

    def test_rules_files_in_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MAILFAULT_CLASSIFY__RULES", "/a.toml, /b.toml")
        assert load().classify.rules == [Path("/a.toml"), Path("/b.toml")]


class TestProblems:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("shutdown_timeot = 1",
             "shutdown_timeot: unknown setting; did you mean shutdown_timeout?"),
            ("[nats]\nserver = []", "nats.server: unknown setting; did you mean servers?"),
            ("[nats.stream]\nreplica = 3",
             "nats.stream.replica: unknown setting; did you mean replicas?"),
            ("[log]\nqqqq = 3", "log.qqqq: unknown setting; known here: level"),
            ('udp = "127.0.0.1:5"', "udp: is a table; name a setting of it, as udp.listen"),
            ('[nats]\nstream = "X"', "nats.stream: is a table; name a setting of it"),
            ('[tcp]\nlisten = ["127.0.0.1:1", "127.0.0.1:1"]',
             "tcp.listen: 127.0.0.1:1 stands there twice"),
            ('[tcp]\nlisten = ["127.0.0.1:1"]\n[relp]\nlisten = ["127.0.0.1:1"]',
             "relp.listen: tcp.listen has 127.0.0.1:1 already"),
            ('[tcp]\nlisten = ["127.0.0.1:9514"]',
             "http.listen: tcp.listen has 127.0.0.1:9514 already"),
            ('[udp]\nlisten = ["[::1]:1", "[0::1]:1"]', "udp.listen: [0::1]:1 stands there twice"),
            ('[tcp]\nlisten = ["5514"]', "tcp.listen.0: '5514' is not HOST:PORT"),
            ('[tcp]\nlisten = ["127.0.0.1:1", "::1:5514"]',
             "tcp.listen.1: '::1:5514': write an IPv6"),
            ('[http]\nlisten = "9514"', "http.listen: '9514' is not HOST:PORT"),
            ('[pipeline]\ndefault_timezone = "Europe/Berlni"',
             "pipeline.default_timezone: no time zone 'Europe/Berlni'"),
            ('[nats]\nservers = ["http://h:4222"]', "nats.servers.0: "),
            ('[nats]\nsubject_template = "{prefix}.{mta}"', "nats: subject_template: "),
            ('[nats]\nsubject_template = "{prefix}.{type}.{host}"', "unknown field {host}"),
            ('[nats]\nsubject_prefix = "a b"', "nats.subject_prefix: "),
            ('[nats]\nuser = "u"', "nats: "),
            ('[nats]\ntoken = "t"\ntoken_file = "/t"', "nats: give either token or token_file"),
            ('[sharing]\nenabled = "yes please"',
             "sharing.enabled: is one of auto, true and false"),
            ("data_dir = 5", "data_dir: is a path, as '/var/lib/mailfault'"),
            ("[queue]\nmax_events = 0", "queue.max_events: Input should be greater than or equal"),
            ("[tcp]\nmax_frame_bytes = 100", "tcp.max_frame_bytes: "),
            ('[log]\nlevel = "loud"', "log.level: Input should be 'debug', 'info'"),
            ("shutdown_timeout = 0", "shutdown_timeout: "),
        ],
    )  # fmt: skip
    def test_in_a_file(self, tmp_path: Path, text: str, told: str) -> None:
        (problem,) = problems(toml(tmp_path, text))
        assert told in problem
        assert problem.startswith(told.partition(":")[0]) or "unknown field" in told

    def test_all_are_told_at_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MAILFAULT_QUEUE__MAX_EVENT", "1")
        monkeypatch.setenv("MAILFAULT_QEUE__MAX_EVENTS", "1")
        file = toml(tmp_path, '[tcp]\nlisten = ["x"]\n[log]\nlevle = "info"')
        told = "\n".join(problems(file))
        for part in ("MAILFAULT_QEUE__MAX_EVENTS", "queue.max_event:", "tcp.listen.0", "log.levle"):
            assert part in told

    @pytest.mark.parametrize(
        ("variable", "told"),
        [
            (
                "MAILFAULT_NAST__WINDOW",
                "MAILFAULT_NAST__WINDOW: unknown setting; did you mean NATS?",
            ),
            ("MAILFAULT_UDP_PORT", "MAILFAULT_UDP_PORT: unknown setting"),
            ("MAILFAULT_PORT", "MAILFAULT_PORT: unknown setting"),
            ("MAILFAULT_NATS__WINDWO", "nats.windwo: unknown setting; did you mean window?"),
            ("MAILFAULT_DATA_DIR__X", "MAILFAULT_DATA_DIR__X: data_dir is not a table"),
            ("MAILFAULT_NATS", "nats: is a table; name a setting of it, as nats.servers"),
            ("MAILFAULT_TCP_LISTEN", "; did you mean MAILFAULT_TCP__LISTEN?"),
            ("MAILFAULT_NATS_STREAM__NAME", "; did you mean MAILFAULT_NATS__STREAM__NAME?"),
            ("MAILFAULT_RELP_TLS_CERT_FILE", "; did you mean MAILFAULT_RELP_TLS__CERT_FILE?"),
            ("MAILFAULT_DATA__DIR", "; did you mean MAILFAULT_DATA_DIR?"),
            ("MAILFAULT_CONFG", "MAILFAULT_CONFG: unknown setting; did you mean CONFIG?"),
        ],
    )
    def test_in_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, told: str
    ) -> None:
        monkeypatch.setenv(variable, "1")
        (problem,) = problems()
        assert told in problem

    def test_a_stream_and_datagrams_may_have_one_port(self, tmp_path: Path) -> None:
        address = '"127.0.0.1:9514"'
        load(toml(tmp_path, f"[udp]\nlisten = [{address}]\n[http]\nlisten = {address}"))

    def test_what_kubernetes_says_of_a_service_named_mailfault_is_no_setting(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {
            "MAILFAULT_SERVICE_HOST": "10.0.0.7",
            "MAILFAULT_SERVICE_PORT": "5514",
            "MAILFAULT_SERVICE_PORT_SYSLOG": "5514",
            "MAILFAULT_PORT": "tcp://10.0.0.7:5514",
            "MAILFAULT_PORT_5514_TCP": "tcp://10.0.0.7:5514",
            "MAILFAULT_PORT_5514_UDP_ADDR": "10.0.0.7",
            "MAILFAULT_NATS_SERVICE_HOST": "10.0.0.8",
            "MAILFAULT_NATS_PORT": "tcp://10.0.0.8:4222",
        }.items():
            monkeypatch.setenv(name, value)
        assert load().nats.servers == []

    def test_no_file(self, tmp_path: Path) -> None:
        assert problems(tmp_path / "absent.toml") == [
            f"{tmp_path / 'absent.toml'}: cannot be read: No such file or directory"
        ]
        assert "cannot be read: Is a directory" in problems(tmp_path)[0]

    @pytest.mark.parametrize("data", [b"[nats", b"a = \xff", b"\x00"])
    def test_no_toml(self, tmp_path: Path, data: bytes) -> None:
        file = tmp_path / "x.toml"
        file.write_bytes(data)
        (problem,) = problems(file)
        assert problem.startswith(f"{file}: no valid TOML: ")

    def test_in_options(self) -> None:
        (problem,) = problems(options={"udp": {"listen": ["nowhere"]}})
        assert problem.startswith("udp.listen.0: 'nowhere' is not HOST:PORT")


def tables(model: type[BaseModel], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= tables(kind, f"{path}{name}.")
        else:
            found[path + name] = field
    return found


FIELDS = tables(Settings)


@pytest.mark.parametrize("path", FIELDS)
def test_every_setting_is_described(path: str) -> None:
    assert FIELDS[path].description, path


def test_every_table_refuses_what_it_does_not_know() -> None:
    def check(model: type[BaseModel]) -> None:
        assert model.model_config.get("extra") == "forbid", model
        assert model.__doc__
        for field in model.model_fields.values():
            kind = field.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                check(kind)

    check(Settings)


def test_every_secret_has_a_file_form_and_is_hidden() -> None:
    secrets = [path for path, field in FIELDS.items() if "SecretStr" in str(field.annotation)]
    assert secrets
    for path in secrets:
        assert f"{path}_file" in FIELDS
        table, _, name = path.rpartition(".")
        values = {name: "hush-hush-hush-hush"} | ({"user": "u"} if name == "password" else {})
        dumped = json.dumps(load(options={table: values}).model_dump(mode="json"))
        assert "hush-hush-hush-hush" not in dumped
        assert f'"{name}": "**********"' in dumped


def test_a_password_in_a_url_is_hidden() -> None:
    settings = load(options={"nats": {"servers": ["nats://anna:hush@h:4222"]}})
    dumped = json.dumps(settings.model_dump(mode="json"))
    assert "hush" not in dumped
    assert "h:4222" in dumped
    (problem,) = problems(options={"nats": {"servers": ["http://anna:hush@h:4222"]}})
    assert "hush" not in problem


def test_secrets_from_files(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hush\n")
    nats = load(options={"nats": {"user": "u", "password_file": str(file)}}).nats
    assert nats.credentials() == {"user": "u", "password": "hush"}


class TestSocketsHandedOver:
    """What is wrong in a TLS table was not told where a socket unit listens for it: with names in
    `permitted_peers` and the default `auth_mode`, whoever had a certificate could send."""

    CERTIFICATE = '[tls]\ncert_file = "/c"\nkey_file = "/k"\n'

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "cert_file and key_file are needed to listen"),
            (CERTIFICATE, "ca_file is needed with auth_mode x509/certvalid"),
            (CERTIFICATE + 'ca_file = "/a"\npermitted_peers = ["mx1.example.net"]',
             "permitted_peers means nothing with auth_mode x509/certvalid"),
            (CERTIFICATE + 'ca_file = "/a"\nauth_mode = "x509/name"',
             "permitted_peers is needed with auth_mode x509/name"),
        ],
    )  # fmt: skip
    def test_a_tls_table_has_to_fit(self, tmp_path: Path, text: str, told: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            inherited = InheritedSockets([NamedSocket("tls", sock)])
            with pytest.raises(ConfigError) as caught:
                load(toml(tmp_path, text), inherited=inherited)
        (problem,) = caught.value.problems
        assert problem.startswith(f"tls: {told}")

    def test_one_that_fits_listens_there(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            inherited = InheritedSockets([NamedSocket("tls", sock)])
            file = toml(tmp_path, self.CERTIFICATE + 'auth_mode = "anon"')
            host, port = sock.getsockname()
            assert load(file, inherited=inherited).tls.listen == [f"{host}:{port}"]
