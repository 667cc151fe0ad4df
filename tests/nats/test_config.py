"""Settings that cannot work are refused before anything starts; secrets stay secret."""

import json
import re
import ssl
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.nats.config import NatsConfig, StreamConfig
from service.nats.credentials import CredentialsError
from tests.nats.certificates import Authority
from tests.nats.identities import Identity, creds


def file_of(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "url",
    [
        *("nats://localhost", "nats://localhost:4222", "tls://nats.example.org:443"),
        *("nats://[::1]:4222", "nats://user:pass@host:4222", "nats://token@host"),
    ],
)
def test_server_urls_that_are_taken(url: str) -> None:
    assert NatsConfig(servers=[url]).servers == [url]


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost", "localhost:4222", "http://host", "nats://", "nats://:4222"),
        *("nats://host:0", "nats://host:99999", "nats://host:x", "nats://[::1"),
        *("ws://host", "wss://host"),  # nats-py needs aiohttp for these
    ],
)
def test_server_urls_that_are_refused_with_advice(url: str) -> None:
    with pytest.raises(ValidationError, match="write nats://host:4222 or tls://host:4222"):
        NatsConfig(servers=[url])


def test_servers_from_the_environment_are_a_list_with_commas() -> None:
    config = NatsConfig.model_validate({"servers": "nats://a:1, nats://b:2,"})
    assert config.servers == ["nats://a:1", "nats://b:2"]


def test_a_password_in_a_server_url_was_printed_by_check_config() -> None:
    config = NatsConfig(servers=["nats://me:s3cr@t@host:4222", "tls://t0ken@host", "nats://host"])
    shown = config.model_dump(mode="json")["servers"]
    assert shown == ["nats://***@host:4222", "tls://***@host", "nats://host"]
    assert "s3cr" not in config.model_dump_json()
    assert config.servers[0] == "nats://me:s3cr@t@host:4222"


def test_a_password_in_a_wrong_url_is_not_in_the_message() -> None:
    with pytest.raises(ValidationError) as caught:
        NatsConfig(servers=["http://me:s3cret@host"])
    assert "s3cret" not in caught.value.errors()[0]["msg"]


def test_secrets_are_hidden_when_shown() -> None:
    for values in (
        {"user": "u", "password": "s3cret"},
        {"token": "s3cret"},
        {"nkey_seed": "s3cret"},
    ):
        config = NatsConfig.model_validate(values)
        assert "s3cret" not in repr(config)
        assert "s3cret" not in json.dumps(config.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"token": "x", "token_file": "f"}, "either token or token_file"),
        ({"user": "u", "password": "x", "password_file": "f"}, "either password or password_file"),
        ({"nkey_seed": "x", "nkey_seed_file": "f"}, "either nkey_seed or nkey_seed_file"),
        ({"password": "x"}, "user and password .* need each other"),
        ({"password_file": "f"}, "user and password .* need each other"),
        ({"user": "u"}, "user and password .* need each other"),
        ({"user": "u", "password": "x", "token": "t"}, "give one of user, token"),
        ({"user": "u", "password": "x", "creds_file": "f"}, "give one of user, token"),
        ({"nkey_seed_file": "f", "creds_file": "f"}, "give one of user, token"),
        ({"key_file": "f"}, "key_file needs cert_file"),
        ({"subject_prefix": "a..b"}, "empty parts"),
        ({"subject_prefix": "a b"}, "only letters"),
        ({"subject_prefix": "a" * 300}, "longer than 255"),
        ({"inbox_prefix": "in.*"}, "only letters"),
        ({"subject_template": "{prefix}.{mta}"}, r"needs \{type\}"),
        ({"subject_template": "{prefix}.{type}.{nonsense}"}, r"unknown field \{nonsense\}"),
        ({"subject_template": "{type}.{mta}"}, r"begin with \{prefix\} or a fixed part"),
        ({"stream": {"max_age": 60, "duplicate_window": 600}}, "not be longer than max_age"),
        ({"stream": {"name": "a.b"}}, "pattern"),
        ({"window": 0}, "greater than or equal to 1"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NatsConfig.model_validate(values)


def test_a_token_may_stand_beside_an_nkey_for_an_auth_callout() -> None:
    config = NatsConfig.model_validate({"token": "t", "nkey_seed": Identity().seed})
    assert set(config.credentials()) == {"token", "nkeys_seed_str"}


def test_an_age_of_zero_is_for_ever_and_holds_any_window() -> None:
    assert StreamConfig(max_age=0, duplicate_window=3600).duplicate_window == 3600


@pytest.mark.parametrize(
    ("template", "prefix", "subject"),
    [
        ("{prefix}.{type}.{mta}", "postfix", "postfix.>"),
        ("{prefix}.{type}.{mta}", "mail.eu", "mail.eu.>"),
        ("mail.{type}", "postfix", "mail.>"),
        ("{prefix}.v1.{type}.{mta}", "postfix", "postfix.v1.>"),
        ("{prefix}.x-{type}.{mta}", "postfix", "postfix.>"),
    ],
)
def test_the_stream_takes_what_the_template_gives(template: str, prefix: str, subject: str) -> None:
    config = NatsConfig(subject_template=template, subject_prefix=prefix)
    assert config.stream_subject == subject


def test_nothing_configured_is_nothing_sent() -> None:
    assert NatsConfig(servers=["nats://host"]).credentials() == {}


def test_secrets_from_files_lose_their_line_end_only(tmp_path: Path) -> None:
    password = file_of(tmp_path / "password", " pass word \r\n")
    token = file_of(tmp_path / "token", "tok\n")
    seed = Identity().seed
    nkey = file_of(tmp_path / "nkey", f"{seed}\n")
    assert NatsConfig(user="u", password_file=password).credentials() == {
        "user": "u",
        "password": " pass word ",
    }
    assert NatsConfig(token_file=token).credentials() == {"token": "tok"}
    assert NatsConfig(nkey_seed_file=nkey).credentials() == {"nkeys_seed_str": seed}


def test_files_are_read_anew_each_time(tmp_path: Path) -> None:
    token = file_of(tmp_path / "token", "old")
    config = NatsConfig(token_file=token)
    assert config.credentials() == {"token": "old"}
    file_of(token, "new")
    assert config.credentials() == {"token": "new"}


@pytest.mark.parametrize("setting", ["password_file", "token_file", "nkey_seed_file", "creds_file"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"", ""), (b"\xff\xfe", "not a text file")],
)
def test_a_file_that_is_no_secret_is_named_with_its_setting(
    tmp_path: Path, setting: str, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        file_of(path, content)
    values = {setting: path} | ({"user": "u"} if setting == "password_file" else {})
    with pytest.raises(CredentialsError, match=f"nats.{setting}: {path}.*{reason}"):
        NatsConfig.model_validate(values).credentials()


@pytest.mark.parametrize("seed", ["SUGARBAGE", "SU" + "A" * 20, "ß" * 58, "A" * 58, " "])
def test_a_seed_that_is_none_crashed_the_connection(seed: str) -> None:
    with pytest.raises(CredentialsError, match=r"nats\.nkey_seed: no NKey seed"):
        NatsConfig.model_validate({"nkey_seed": seed}).credentials()


@pytest.mark.parametrize(
    "text",
    [
        "nothing of the kind\n",
        "-----BEGIN NATS USER JWT-----\neyJ0\n------END NATS USER JWT------\n",
        creds("eyJ0", Identity().seed).partition("\n\n")[2],  # the seed without the JWT
        creds("eyJ0", "SUGARBAGE"),
        "-----BEGIN NATS USER JWT-----",
    ],
    ids=["neither", "only the JWT", "only the seed", "bad seed", "cut"],
)
def test_a_creds_file_without_a_jwt_hung_the_process(tmp_path: Path, text: str) -> None:
    path = file_of(tmp_path / "creds", text)
    with pytest.raises(CredentialsError, match=f"nats.creds_file: {path}"):
        NatsConfig(creds_file=path).credentials()


def test_a_creds_file_with_windows_line_ends_is_taken(tmp_path: Path) -> None:
    text = creds("eyJ0", Identity().seed)
    path = file_of(tmp_path / "creds", text.replace("\n", "\r\n"))
    assert str(NatsConfig(creds_file=path).credentials()["user_credentials"]) == text


@pytest.mark.parametrize(
    "values",
    [{"servers": ["tls://h"]}, {"tls_hostname": "n"}, {"tls_handshake_first": True}],
    ids=str,
)
def test_tls_is_insisted_on_where_anything_asks_for_it(values: dict[str, Any]) -> None:
    config = NatsConfig.model_validate({"servers": ["nats://h"], **values})
    assert config.insists_on_tls
    context = config.credentials()["tls"]
    assert isinstance(context, ssl.SSLContext)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_no_tls_to_our_own_server(tmp_path: Path) -> None:
    config = NatsConfig(ca_file=Authority(tmp_path).file)
    assert not config.insists_on_tls
    assert "tls" not in config.credentials()


@pytest.mark.parametrize(
    "broken", ["ca absent", "ca no certificate", "key of another", "key encrypted"]
)
def test_a_tls_file_that_cannot_be_used_is_named(tmp_path: Path, broken: str) -> None:
    authority = Authority(tmp_path)
    ca = authority.file
    cert, key = authority.issue("client", password="x" * 8 if "encrypted" in broken else None)
    named = f"nats.cert_file: {cert} with key {key}"
    if broken == "ca absent":
        ca = tmp_path / "nowhere"
        named = f"nats.ca_file: {ca}: No such file"
    elif broken == "ca no certificate":
        ca = file_of(tmp_path / "empty", "no certificate")
        named = f"nats.ca_file: {ca}: "
    elif broken == "key of another":
        _, key = authority.issue("other")
        named = f"nats.cert_file: {cert} with key {key}"
    config = NatsConfig(servers=["nats://h"], ca_file=ca, cert_file=cert, key_file=key)
    with pytest.raises(CredentialsError, match=re.escape(named)):
        config.credentials()
