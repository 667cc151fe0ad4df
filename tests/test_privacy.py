"""The table `[privacy]`: what fits together, and where the key comes from."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

import schemas
from service.config_problems import ConfigError
from service.core.privacy import Treatment
from service.prepared import prepare_privacy
from service.privacy import PrivacyConfig, PrivacyError
from service.settings import fixed
from tests.cli.run import objects, run
from tests.nats_server import client_of, real_nats
from tests.sample_lines import BOUNCED, REJECT, UNKNOWN_SHAPE
from tests.serve import serve

KEY = "a key of sixteen characters or more"


def test_by_default_everything_is_kept() -> None:
    config = PrivacyConfig()
    assert config.build() is None
    assert config.raw == "keep"
    assert PrivacyConfig(hash_key=KEY).build() is None


@pytest.mark.parametrize(
    "table",
    [
        {"sender": "domain"},
        {"recipient": "drop"},
        {"client": "hash", "hash_key": KEY},
        {"response": "drop"},
        {"content": "drop"},
        {"message_id": "drop", "raw": "drop"},
    ],
    ids=str,
)
def test_the_line_goes_with_whatever_goes(table: dict[str, str]) -> None:
    config = PrivacyConfig.model_validate(table)
    assert config.raw == "drop"
    assert config.build() is not None


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"client": "hash"}, "client is hash: hash_key or hash_key_file is needed"),
        ({"recipient": "drop", "raw": "keep"}, "the line holds what recipient keeps out"),
        ({"response": "drop", "raw": "keep"}, "the line holds what response keeps out"),
        ({"hash_key": KEY, "hash_key_file": "x"}, "either hash_key or hash_key_file, not both"),
        ({"hash_key": "short"}, "hash_key: a key needs at least 16 characters"),
        ({"sender": "hide"}, "sender"),
        ({"raw": "hash"}, "raw"),
        ({"recipeint": "drop"}, "recipeint"),
    ],
    ids=str,
)
def test_what_does_not_fit(table: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationError, match=told) as caught:
        PrivacyConfig.model_validate(table)
    assert KEY not in str(caught.value)


def config_of(file: Path) -> PrivacyConfig:
    return PrivacyConfig(sender=Treatment.HASH, hash_key_file=file)


def test_the_key_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    assert config_of(file).build() is not None
    settings = {"MAILFAULT_PRIVACY__SENDER": "hash"}
    by_file = run(
        "parse", data=REJECT, settings={**settings, "MAILFAULT_PRIVACY__HASH_KEY_FILE": str(file)}
    )
    by_value = run("parse", data=REJECT, settings={**settings, "MAILFAULT_PRIVACY__HASH_KEY": KEY})
    (one,), (other,) = objects(by_file.stdout), objects(by_value.stdout)
    assert one["sender"] == other["sender"]
    assert one["sender"].startswith("hash:")
    assert one["event_id"] == other["event_id"], "another process, the same id"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file or directory"),
        (b"short\n", "a key needs at least 16 characters"),
        (b"\xff" * 20, "is not a text file"),
    ],
)
def test_a_file_that_holds_no_key(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PrivacyError, match=f"hash_key_file: .*{told}"):
        config_of(file).build()
    table = {"sender": "hash", "hash_key_file": file}
    with pytest.raises(ConfigError, match=r"^privacy\.hash_key_file: "):
        prepare_privacy(fixed({"privacy": table}))
    variables = {"MAILFAULT_PRIVACY__SENDER": "hash", "MAILFAULT_PRIVACY__HASH_KEY_FILE": str(file)}
    for command in ("check-config", "parse", "serve", "explain", "replay -"):
        done = run(*command.split(), settings=variables)
        assert done.returncode == 78, command
        assert done.stdout == b""
        assert done.stderr.startswith(b"configuration: privacy.hash_key_file: "), done.stderr


def test_check_config_shows_what_is_in_force_and_no_key() -> None:
    done = run(
        "check-config",
        settings={"MAILFAULT_PRIVACY__SENDER": "hash", "MAILFAULT_PRIVACY__HASH_KEY": KEY},
    )
    shown = json.loads(done.stdout)["privacy"]
    assert shown["sender"] == "hash"
    assert shown["raw"] == "drop"
    assert KEY.encode() not in done.stdout
    done = run("check-config", settings={"MAILFAULT_PRIVACY__CLIENT": "hash"})
    assert done.returncode == 78
    assert done.stderr == (
        b"configuration: privacy: client is hash: hash_key or hash_key_file is needed\n"
    )


async def test_neither_the_stream_nor_the_disk_nor_the_log_has_it(tmp_path: Path) -> None:
    """The receiver as a process; each event goes over the spool."""
    some = b"".join(line + b"\n" for line in (REJECT, BOUNCED, UNKNOWN_SHAPE))
    async with real_nats(tmp_path) as server, client_of(server) as client:
        async with serve(
            tmp_path,
            "--nats",
            server.url,
            MAILFAULT_SPOOL__DURABILITY="write-ahead",
            MAILFAULT_LOG__LEVEL="debug",
            MAILFAULT_PRIVACY__SENDER="domain",
            MAILFAULT_PRIVACY__RECIPIENT="hash",
            MAILFAULT_PRIVACY__CLIENT="drop",
            MAILFAULT_PRIVACY__HASH_KEY=KEY,
        ) as receiver:
            await receiver.said("nats_connected")
            await receiver.send_tcp(some)
            await receiver.until("published_total", 3, result="ok")
            assert await receiver.stop() == 0
        subscription = await client.jetstream().pull_subscribe("postfix.>", stream="POSTFIX")
        messages = await subscription.fetch(3, timeout=10)
    assert {schemas.decode(message.data).event_type for message in messages} == {
        "reject",
        "bounced",
        "invalid",
    }
    hidden = (b"s@bad.example", b"v@other", b"gone", b"old@example", b"192.0.2.66", b"a shape that")
    published = [b"%s %r %s" % (m.subject.encode(), m.headers, m.data) for m in messages]
    on_disk = [file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file()]
    assert any(b"hash:" in data for data in published)
    assert any(b"SQLite" in data for data in on_disk)
    for data in (*published, *on_disk, json.dumps(receiver.log).encode()):
        for value in hidden:
            assert value not in data
