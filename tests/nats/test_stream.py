"""The stream: made as the contract says, never altered, judged for what would hurt."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from service.nats.answer import Published
from service.nats.config import NatsConfig, StreamConfig
from service.nats.stream import StreamKeeper, StreamReport, StreamState, ensure_stream
from tests.nats.waiting import until
from tests.nats.world import envelope, world
from tests.nats_server import RealNats, all_heard, client_of, real_nats

_SECOND = 1_000_000_000

GOOD: dict[str, Any] = {
    "name": "POSTFIX",
    "subjects": ["postfix.>"],
    "duplicate_window": 600 * _SECOND,
}


async def ask(client: Client, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The JetStream API as it is on the wire: nats-py's models neither hide nor add anything."""
    message = await client.request(
        f"$JS.API.{subject}", json.dumps(body).encode() if body else b"", timeout=5
    )
    answer: dict[str, Any] = json.loads(message.data)
    assert "error" not in answer, answer["error"]
    return answer


async def make(client: Client, **config: Any) -> None:
    await ask(client, f"STREAM.CREATE.{config['name']}", config)


async def config_on_the_server(client: Client, name: str = "POSTFIX") -> dict[str, Any]:
    found: dict[str, Any] = (await ask(client, f"STREAM.INFO.{name}"))["config"]
    return found


async def report_on(server: RealNats, config: NatsConfig | None = None) -> StreamReport:
    async with client_of(server) as client:
        return await ensure_stream(client, config or NatsConfig())


async def test_an_absent_stream_is_made_as_the_contract_says(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        report = await ensure_stream(client, NatsConfig())
        assert report == StreamReport(StreamState.READY, created=True)
        made = await config_on_the_server(client)
    metadata = made.pop("metadata", {})  # the server's own words on its version
    assert all(name.startswith("_nats.") for name in metadata)
    assert made == {
        "name": "POSTFIX",
        "description": "Failed mail, published by mailfault",
        "subjects": ["postfix.>"],
        "retention": "limits",
        "discard": "old",
        "storage": "file",
        "num_replicas": 1,
        "max_age": 30 * 86_400 * _SECOND,
        "max_bytes": -1,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "max_consumers": -1,
        "duplicate_window": 600 * _SECOND,
        "compression": "s2",
        "allow_direct": True,
        "mirror_direct": False,
        "sealed": False,
        "deny_delete": False,
        "deny_purge": False,
        "allow_rollup_hdrs": False,
        "consumer_limits": {},
        "allow_msg_ttl": False,
    }


async def test_it_is_made_as_configured(tmp_path: Path) -> None:
    stream = StreamConfig(
        name="MAIL", storage="memory", max_age=3600, max_bytes=1_000_000, duplicate_window=60
    )
    config = NatsConfig(
        stream=stream, subject_prefix="mail.eu", subject_template="{prefix}.v1.{type}.{mta}"
    )
    async with real_nats(tmp_path) as server, client_of(server) as client:
        assert (await ensure_stream(client, config)).created
        made = await config_on_the_server(client, "MAIL")
    assert made["subjects"] == ["mail.eu.v1.>"]
    assert made["storage"] == "memory"
    assert made["max_age"] == 3600 * _SECOND
    assert made["max_bytes"] == 1_000_000
    assert made["duplicate_window"] == 60 * _SECOND


async def test_without_the_right_to_create_it_stays_absent(tmp_path: Path) -> None:
    config = NatsConfig(stream=StreamConfig(create=False))
    async with real_nats(tmp_path) as server, client_of(server) as client:
        assert await ensure_stream(client, config) == StreamReport(StreamState.ABSENT)
        assert (await ask(client, "STREAM.NAMES"))["total"] == 0


@pytest.mark.parametrize(
    "config",
    [
        GOOD,
        {**GOOD, "subjects": ["other.>"], "duplicate_window": _SECOND, "storage": "memory"},
        {**GOOD, "retention": "workqueue", "discard": "new", "max_msgs": 5},
        {**GOOD, "metadata": {"owner": "ops"}, "deny_delete": True, "max_msgs_per_subject": 3},
        {**GOOD, "republish": {"src": ">", "dest": "copy.>"}, "allow_atomic": True},
    ],
    ids=["good", "unsuitable", "queue", "owned", "newer features"],
)
async def test_an_existing_stream_is_never_altered(tmp_path: Path, config: dict[str, Any]) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        await make(client, **config)
        before = await client.request("$JS.API.STREAM.INFO.POSTFIX")
        settings = NatsConfig(stream=StreamConfig(max_bytes=1_000_000, replicas=1))
        for _ in range(2):
            report = await ensure_stream(client, settings)
            assert not report.created
            assert report.state is not StreamState.UNVERIFIED
        async with world(settings.model_copy(update={"servers": [server.url]})) as here:
            await here.until(lambda world: world.publisher.is_attached)
        after = await client.request("$JS.API.STREAM.INFO.POSTFIX")
    assert _config_bytes(after.data) == _config_bytes(before.data)


def _config_bytes(answer: bytes) -> bytes:
    return answer[answer.index(b'"config":') : answer.index(b'"created":')]


@pytest.mark.parametrize(
    ("difference", "state", "finding"),
    [
        ({}, StreamState.READY, None),
        ({"subjects": ["postfix.*.*"]}, StreamState.READY, None),
        ({"subjects": ["postfix.*.>", "other"]}, StreamState.READY, None),
        (
            {
                "subjects": [
                    f"postfix.{name}.*"
                    for name in ("reject", "deferred", "bounced", "resolved", "invalid", "rollup")
                ]
            },
            StreamState.READY,
            None,
        ),
        (
            {
                "subjects": [
                    f"postfix.{name}.*"
                    for name in ("reject", "deferred", "bounced", "resolved", "invalid")
                ]
            },
            StreamState.READY,
            "takes events, and no roll-ups: these are not published",
        ),
        ({"duplicate_window": 3600 * _SECOND}, StreamState.READY, None),
        (
            {"subjects": ["postfix.reject.>"]},
            StreamState.UNSUITABLE,
            "takes postfix.reject.>, not all of postfix.>",
        ),
        (
            {"subjects": ["postfix.*.*.*", "postfix.*"]},
            StreamState.UNSUITABLE,
            "takes postfix.*.*.*, postfix.*, not all of postfix.>",
        ),
        ({"subjects": ["postfixed.>"]}, StreamState.UNSUITABLE, "not all of postfix.>"),
        ({"subjects": None}, StreamState.UNSUITABLE, "takes POSTFIX, not all of"),
        ({"no_ack": True}, StreamState.UNSUITABLE, "acknowledges nothing"),
        ({"duplicate_window": 120 * _SECOND}, StreamState.READY, "duplicate window is 120 s"),
        ({"discard": "new", "max_msgs": 5}, StreamState.READY, "discards new events when full"),
        ({"retention": "workqueue"}, StreamState.READY, "retention is workqueue:"),
        ({"retention": "interest"}, StreamState.READY, "retention is interest:"),
        ({"storage": "memory"}, StreamState.READY, "memory storage"),
        ({"max_msgs_per_subject": 1}, StreamState.READY, "keeps 1 events of a subject"),
    ],
    ids=str,
)
async def test_what_is_not_as_recommended_is_found(
    tmp_path: Path, difference: dict[str, Any], state: StreamState, finding: str | None
) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        await make(client, **{**GOOD, **difference})
        report = await ensure_stream(client, NatsConfig())
    assert report.state is state
    assert not report.created
    if finding is None:
        assert report.findings == ()
    else:
        [found] = report.findings
        assert finding in found


async def test_a_sealed_stream_is_unsuitable(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        await make(client, **GOOD)
        await ask(client, "STREAM.UPDATE.POSTFIX", {**GOOD, "sealed": True})
        report = await ensure_stream(client, NatsConfig())
    assert report.state is StreamState.UNSUITABLE
    assert any("sealed" in finding for finding in report.findings)


async def test_a_template_of_its_own_is_judged_by_what_it_gives(tmp_path: Path) -> None:
    config = NatsConfig(subject_template="{prefix}.{type}.{mta}.{recipient_domain}")
    async with real_nats(tmp_path) as server, client_of(server) as client:
        await make(client, **{**GOOD, "subjects": ["postfix.*.*"]})
        assert (await ensure_stream(client, config)).state is StreamState.UNSUITABLE
        await ask(client, "STREAM.UPDATE.POSTFIX", {**GOOD, "subjects": ["postfix.*.*.*"]})
        assert (await ensure_stream(client, config)).state is StreamState.READY


async def test_another_stream_on_our_subjects_is_named_as_the_reason(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        await make(client, **{**GOOD, "name": "OTHER"})
        report = await ensure_stream(client, NatsConfig())
    assert report.state is StreamState.FOREIGN
    assert report.findings[0].startswith("stream OTHER takes postfix.> already: name it in")


async def test_once_the_other_stream_has_gone_ours_is_made_though_nothing_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver that is not ready is sent nothing."""
    monkeypatch.setattr("service.nats.stream._UNFIT_LOOK_SECONDS", 0.05)
    async with real_nats(tmp_path) as server, client_of(server) as client:
        await make(client, **{**GOOD, "name": "OTHER"})
        async with world(NatsConfig(servers=[server.url])) as here:
            await until(lambda: here.publisher.is_attached)
            assert here.stream.report is not None
            assert here.stream.report.state is StreamState.FOREIGN
            await client.jetstream().delete_stream("OTHER")
            await until(
                lambda: (
                    here.stream.report is not None and here.stream.report.state is StreamState.READY
                )
            )


async def test_more_replicas_than_servers_is_told(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        report = await report_on(server, NatsConfig(stream=StreamConfig(replicas=3)))
    assert report.state is StreamState.UNVERIFIED
    assert "replicas" in report.findings[0]


async def test_without_jetstream_it_is_unverified_and_made_once_there_is_one(
    tmp_path: Path,
) -> None:
    async with real_nats(tmp_path, jetstream=None) as server:
        report = await report_on(server)
        assert report.state is StreamState.UNVERIFIED
        assert "JetStream does not answer: enable it" in report.findings[0]
        async with world(NatsConfig(servers=[server.url])) as here:
            publishing = asyncio.create_task(here.publish(envelope(1)))
            await here.until(lambda world: world.resends >= 1)
            assert here.stream.report is not None
            assert here.stream.report.state is StreamState.UNVERIFIED
            await server.stop()
            await server.start(jetstream={"store_dir": str(tmp_path / "js")})
            [result] = await publishing
            assert isinstance(result, Published)
            await until(lambda: here.stream.report == StreamReport(StreamState.READY, created=True))


async def test_a_stream_that_is_mended_is_called_ready_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`/readyz` went on to call it unsuitable."""
    monkeypatch.setattr("service.nats.stream._UNFIT_LOOK_SECONDS", 0.05)
    async with real_nats(tmp_path) as server, client_of(server) as client:
        await make(client, **{**GOOD, "subjects": ["postfix.reject.>"]})
        async with world(NatsConfig(servers=[server.url])) as here:
            await until(lambda: here.stream.report is not None)
            assert here.stream.report is not None
            assert here.stream.report.state is StreamState.UNSUITABLE
            await ask(client, "STREAM.UPDATE.POSTFIX", GOOD)
            await until(lambda: here.stream.report == StreamReport(StreamState.READY))


async def test_without_the_right_to_ask_publishing_goes_on(tmp_path: Path) -> None:
    users = {
        "users": [
            {
                "user": "u",
                "password": "p",
                "permissions": {"publish": ["postfix.>"], "subscribe": ["_INBOX.>"]},
            },
            {"user": "admin", "password": "p"},
        ]
    }
    async with real_nats(tmp_path, authorization=users) as server:
        async with client_of(server, user="admin", password="p") as client:
            await make(client, **GOOD)
        config = NatsConfig(servers=[server.url], user="u", password="p", connect_timeout=0.5)
        async with world(config) as here:
            [result] = await here.publish(envelope(1))
            assert isinstance(result, Published)
            assert here.stream.report is not None
            assert here.stream.report.state is StreamState.UNVERIFIED


async def test_a_connection_that_breaks_while_asking_is_no_defect(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path) as server,
        client_of(server, allow_reconnect=False) as client,
    ):
        await server.kill()
        report = await ensure_stream(client, NatsConfig(connect_timeout=0.3))
        assert report.state is StreamState.UNVERIFIED
        await client.close()
        assert (await ensure_stream(client, NatsConfig())).state is StreamState.UNVERIFIED


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"error": {}}',
        b'{"error": {"code": 503, "unheard_of": 1}}',
        b'{"config": null}',
        b'{"config": {"subjects": 5}}',
    ],
    ids=repr,
)
async def test_an_answer_nobody_can_read_leaves_it_unverified(
    tmp_path: Path, answer: bytes
) -> None:
    async with (
        real_nats(tmp_path, jetstream=None) as server,
        client_of(server) as client,
        client_of(server) as other,
    ):
        asked = await other.subscribe("$JS.API.>")
        await all_heard(other)
        checking = asyncio.create_task(ensure_stream(client, NatsConfig()))
        await (await asked.next_msg(timeout=20)).respond(answer)
        report = await checking
    assert report.state is StreamState.UNVERIFIED
    assert report.findings[0]


async def test_asked_a_thousand_times_it_looks_once_a_second(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        keeper = StreamKeeper(NatsConfig())
        running = asyncio.create_task(keeper.run())
        await keeper.check(client)
        asked = client.stats["out_msgs"]
        for _ in range(1000):
            keeper.look_again()
            await asyncio.sleep(0)
        await until(lambda: client.stats["out_msgs"] > asked)
        keeper.look_again()
        assert client.stats["out_msgs"] == asked + 1
        running.cancel()
        await asyncio.wait([running])
        assert keeper.report is not None
        assert keeper.report.state is StreamState.READY
