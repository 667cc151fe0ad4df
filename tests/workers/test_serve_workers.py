"""`mailfault serve --workers N`: real processes behind real sockets."""

import asyncio
import os
import signal
from pathlib import Path

from tests.metric_values import assert_balanced, value
from tests.nats_server import client_of, real_nats, stream_messages
from tests.relp_wires import ok, opening, syslog
from tests.serve import Serve, serve

HOSTS = 12


def lines(host: int, number: int) -> list[bytes]:
    """One failure, and one line that is none, again and again."""
    head = f"<22>2026-08-22T10:{host:02}:00."
    return [
        line
        for each in range(number)
        for line in (
            f"{head}{each:06}+00:00 mx{host} postfix/smtp[8]: 4ABCDE12F: to=<r{each}@example.net>, "
            "relay=none, delay=30, delays=0/0/30/0, dsn=4.4.1, status=deferred (no route)".encode(),
            f"{head}{each:06}+00:00 mx{host} postfix/smtpd[9]: connect from x[192.0.2.1]".encode(),
        )
    ]


async def send_all(receiver: Serve, number: int) -> None:
    """Each host over a connection of its own."""
    await asyncio.gather(
        *(
            receiver.send_tcp(b"".join(line + b"\n" for line in lines(host, number)))
            for host in range(HOSTS)
        )
    )


def pids(receiver: Serve) -> dict[int, int]:
    """Of the workers that were started last."""
    return {event["worker"]: event["pid"] for event in receiver.events("worker_started")}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_workers_share_the_work_and_count_as_one(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path) as server,
        serve(tmp_path, "--workers", "2", "--nats", server.url) as receiver,
        client_of(server) as client,
    ):
        await send_all(receiver, 50)
        receiver.send_udp(*lines(HOSTS, 5))
        wanted = HOSTS * 50 + 5
        text = await receiver.until_all(published_total=wanted, frames_received_total=2 * wanted)
        assert value(text, "published_total", result="ok") == wanted
        assert value(text, "frames_received_total") == 2 * wanted
        assert value(text, "events_total", type="deferred") == wanted
        assert value(text, "connections_opened_total", transport="tcp") == HOSTS
        assert value(text, "workers") == 2
        assert_balanced(text)
        assert await stream_messages(client) == wanted
        status, health = await receiver.get("/readyz")
        assert status == 200
        assert '"worker":1' in health
        assert len(receiver.events("listening")) == 3  # UDP, TCP and HTTP, each once
        assert await receiver.stop() == 0
        assert not any(map(is_alive, pids(receiver).values()))


async def test_a_worker_that_is_killed_loses_nothing_of_relp(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path) as server,
        serve(
            tmp_path, "--relp", "127.0.0.1:0", "--workers", "2", "--nats", server.url
        ) as receiver,
        client_of(server) as client,
    ):
        for number, pid in pids(receiver).items():
            os.kill(pid, signal.SIGKILL)
            await receiver.said("worker_died", number + 1)
        # What connects meanwhile waits in the kernel for the successor.
        sent = lines(1, 20)
        reader, writer = await asyncio.open_connection(*receiver.address("relp"))
        writer.write(opening() + b"".join(syslog(n, line) for n, line in enumerate(sent, 2)))
        async with asyncio.timeout(30):
            answers = b""
            while ok(len(sent) + 1) not in answers:
                answers += await reader.readuntil(b"\n")
        writer.close()
        await receiver.said("worker_started", 4)
        await receiver.until("published_total", 20, result="ok")
        assert await stream_messages(client) == 20
        await receiver.until("worker_restarts_total", 2)
        await receiver.until("workers", 2)
        assert await receiver.stop() == 0


async def test_counts_do_not_go_back_when_a_worker_dies(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path) as server,
        serve(tmp_path, "--workers", "2", "--nats", server.url) as receiver,
    ):
        await send_all(receiver, 5)
        await receiver.until("published_total", HOSTS * 5, result="ok")
        for number, pid in pids(receiver).items():
            os.kill(pid, signal.SIGKILL)
            await receiver.said("worker_started", 3 + number)
        text = await receiver.until("workers", 2)
        assert value(text, "events_total", type="deferred") == HOSTS * 5
        await send_all(receiver, 5)  # the same lines: JetStream knows the events
        text = await receiver.until("published_total", HOSTS * 5, result="duplicate")
        assert value(text, "frames_received_total", transport="tcp") == HOSTS * 20
        assert_balanced(text)


async def test_no_worker_outlives_its_parent(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path) as server,
        serve(tmp_path, "--workers", "2", "--nats", server.url) as receiver,
    ):
        receiver.process.kill()
        await receiver.ended()  # its log ends when the last of them has closed it
        assert {event["worker"] for event in receiver.events("stopped")} == {0, 1}


async def test_a_worker_that_cannot_start_ends_it_all(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "workers").write_text("in the way")
    async with (
        real_nats(tmp_path) as server,
        serve(tmp_path, "--workers", "2", "--nats", server.url, started=False) as receiver,
    ):
        assert await receiver.ended() == 1
        assert receiver.events("start_failed")
        assert not any(map(is_alive, pids(receiver).values()))


async def test_fewer_workers_deliver_what_more_have_left(tmp_path: Path) -> None:
    arguments = ("--nats", "nats://127.0.0.1:1")  # nobody is there: all goes to the disks
    async with serve(tmp_path, "--workers", "3", *arguments) as receiver:
        await send_all(receiver, 5)
        await receiver.until("events_total", HOSTS * 5)
        assert await receiver.stop() == 0
    async with real_nats(tmp_path) as server, client_of(server) as client:
        async with serve(tmp_path, "--nats", server.url) as receiver:
            assert receiver.events("workers_left_behind")
            await receiver.until("published_total", HOSTS * 5, result="ok")
            assert await stream_messages(client) == HOSTS * 5
            assert await receiver.stop() == 0
        async with serve(tmp_path, "--nats", server.url) as receiver:
            assert not receiver.events("worker_started")
            assert await receiver.stop() == 0


async def test_a_reload_reaches_every_worker(tmp_path: Path) -> None:
    config = tmp_path / "mailfault.toml"
    config.write_text('[log]\nlevel = "info"\n')
    arguments = ("--workers", "2", "--nats", "nats://127.0.0.1:1", "--config", str(config))
    async with serve(tmp_path, *arguments) as receiver:
        config.write_text("[log]\nlevel = 7\n")
        receiver.process.send_signal(signal.SIGHUP)
        refused = await receiver.said("reload_refused")
        assert "log.level" in str(refused["problems"])
        config.write_text('[log]\nlevel = "debug"\n')
        receiver.process.send_signal(signal.SIGHUP)
        await receiver.said("reloaded", 2)
        reloaded = receiver.events("reloaded")
        assert [event["needs_restart"] for event in reloaded] == [[], []]
        assert {event["worker"] for event in reloaded} == {0, 1}
        assert len(receiver.events("reload_refused")) == 1
        assert await receiver.stop() == 0


async def test_a_reload_during_the_start_is_done_after_it(tmp_path: Path) -> None:
    """It killed the workers that were being started, and with them the whole receiver."""
    config = tmp_path / "mailfault.toml"
    config.write_text('[log]\nlevel = "info"\n')
    arguments = ("--workers", "2", "--nats", "nats://127.0.0.1:1", "--config", str(config))
    async with serve(tmp_path, *arguments, started=False) as receiver:
        await receiver.said("worker_started")
        receiver.process.send_signal(signal.SIGHUP)
        await receiver.said("reloaded", 2)
        assert receiver.events("started")
        killed = receiver.events("worker_started")[-1]
        os.kill(killed["pid"], signal.SIGKILL)
        await receiver.said("worker_started", 3)
        receiver.process.send_signal(signal.SIGHUP)
        await receiver.said("reloaded", 4)
        assert len(receiver.events("worker_died")) == 1
        assert await receiver.stop() == 0
