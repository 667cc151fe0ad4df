"""What earlier lines told, with the whole receiver: over restarts, over RELP, at its end."""

import asyncio
import signal
from pathlib import Path

from nats.aio.client import Client

import schemas
from schemas import BouncedEvent, DeferredEvent, ResolvedEvent
from schemas.codec import Event
from service.snapshot import FILE
from tests.nats_server import client_of, real_nats
from tests.relp_wires import ok, opening, syslog
from tests.serve import Serve, serve

_BEGUN = [
    "postfix/submission/smtpd[1]: 4ABCDE12F: client=pc.example[198.51.100.7], sasl_username=anna",
    "postfix/cleanup[2]: 4ABCDE12F: message-id=<1@mail.example.net>",
]
_ACTIVE = "postfix/qmgr[3]: 4ABCDE12F: from=<a@example.net>, size=4211, nrcpt=1 (queue active)"
_TO = (
    "postfix/smtp[4]: 4ABCDE12F: to=<r@example.org>, relay=none, delay={}, dsn={}, status={} (x {})"
)
_BOUNCED = _TO.format(1, "5.4.4", "bounced", 0)
_NOTICE = "postfix/bounce[5]: 4ABCDE12F: sender non-delivery notification: 5F00112233"


def stamped(minute: int, *lines: str) -> list[bytes]:
    return [
        f"<22>2026-08-22T10:{minute:02}:{number:02}.5+00:00 mx1 {line}".encode()
        for number, line in enumerate(lines)
    ]


def deferred(attempt: int) -> str:
    return _TO.format(attempt * 300, "4.4.1", "deferred", attempt)


async def events(client: Client, number: int) -> list[Event]:
    subscription = await client.jetstream().pull_subscribe("postfix.>", stream="POSTFIX")
    messages = await subscription.fetch(number, timeout=20)
    return [schemas.decode(message.data) for message in messages]


async def send(receiver: Serve, *lines: bytes) -> None:
    await receiver.said("nats_connected")
    await receiver.send_tcp(b"".join(line + b"\n" for line in lines))


async def test_attempts_and_contexts_go_on_after_two_restarts(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        lives = [
            stamped(0, *_BEGUN, _ACTIVE, deferred(1)),
            stamped(10, _ACTIVE, deferred(2)),
            stamped(20, _ACTIVE, _TO.format(1200, "2.0.0", "sent", 3)),
        ]
        for number, life in enumerate(lives):
            async with serve(tmp_path, "--nats", server.url) as receiver:
                assert len(receiver.events("snapshot_loaded")) == (1 if number else 0)
                await send(receiver, *life)
                await receiver.until("published_total", 1, result="ok")
                assert await receiver.stop() == 0
        async with client_of(server) as client:
            first, second, resolved = await events(client, 3)
    assert isinstance(first, DeferredEvent)
    assert isinstance(second, DeferredEvent)
    assert isinstance(resolved, ResolvedEvent)
    assert [first.attempt, second.attempt, resolved.attempt] == [1, 2, 3]
    assert (resolved.outcome, resolved.attempts, resolved.age) == ("delivered", 3, 1200)
    assert first.first_deferred_at == second.first_deferred_at == first.event_time
    for event in (first, second, resolved):
        assert event.message is not None
        assert event.message == first.message
        assert event.message.context == "complete"
        assert event.message.sasl_username == "anna"


async def test_a_broken_snapshot_costs_only_itself(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / FILE).write_bytes(b"mailfault correlation 1\n\0\0")
    async with real_nats(tmp_path) as server, client_of(server) as client:
        async with serve(tmp_path, "--nats", server.url) as receiver:
            assert receiver.events("snapshot_ignored")[0]["level"] == "warning"
            await send(receiver, *stamped(10, _ACTIVE, deferred(2)))
            await receiver.until("published_total", 1, result="ok")
            assert await receiver.stop() == 0
        [event] = await events(client, 1)
    assert isinstance(event, DeferredEvent)
    assert event.attempt is None
    async with real_nats(tmp_path / "b") as server, serve(tmp_path, "--nats", server.url) as again:
        assert again.events("snapshot_loaded")[0]["recipients"] == 1


async def test_over_relp_a_bounce_that_waits_is_not_acknowledged(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path) as server,
        client_of(server) as client,
        serve(
            tmp_path,
            "--nats",
            server.url,
            "--relp",
            "127.0.0.1:0",
            MAILFAULT_CORRELATION__NOTICE_WAIT="60",
        ) as receiver,
    ):
        await receiver.said("nats_connected")
        reader, writer = await asyncio.open_connection(*receiver.address("relp"))
        writer.write(opening())
        await reader.readuntil(b"syslog\n")
        before = stamped(0, *_BEGUN, _ACTIVE)
        writer.write(b"".join(syslog(n, line) for n, line in enumerate(before, 2)))
        assert await reader.readexactly(len(ok(2, 3, 4))) == ok(2, 3, 4)
        bounced, notice = stamped(1, _BOUNCED, _NOTICE)
        writer.write(syslog(5, bounced))
        text = await receiver.until("held_lines", 1)
        assert "mailfault_relp_unanswered_frames 1.0" in text
        writer.write(syslog(6, notice))
        assert await reader.readexactly(len(ok(5, 6))) == ok(5, 6)
        [event] = await events(client, 1)
        assert isinstance(event, BouncedEvent)
        assert event.notice is not None
        assert event.notice.queue_id == "5F00112233"
        assert event.backscatter_risk is False
        writer.close()
        assert await receiver.stop() == 0


async def test_what_waits_is_let_go_at_the_end(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        async with serve(
            tmp_path, "--nats", server.url, MAILFAULT_CORRELATION__NOTICE_WAIT="60"
        ) as receiver:
            await send(receiver, *stamped(0, *_BEGUN, _ACTIVE, _BOUNCED))
            await receiver.until("held_lines", 1)
            receiver.process.send_signal(signal.SIGTERM)
            assert await receiver.ended() == 0
        [event] = await events(client, 1)
    assert isinstance(event, BouncedEvent)
    assert (event.notice, event.attempt) == (None, 1)


async def test_what_waits_is_let_go_when_its_time_is_over(tmp_path: Path) -> None:
    """And nothing else need come for that."""
    async with real_nats(tmp_path) as server, serve(tmp_path, "--nats", server.url) as receiver:
        await send(receiver, *stamped(0, *_BEGUN, _ACTIVE, _BOUNCED))
        await receiver.until("published_total", 1, result="ok")
        await receiver.until_at_most("held_lines", 0)
        assert await receiver.stop() == 0
