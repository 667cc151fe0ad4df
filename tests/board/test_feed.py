"""What open pages are told, without a browser: no more than they want, and no more of them than
are allowed."""

import asyncio
import socket
from pathlib import Path

from schemas import BouncedEvent, RejectEvent
from tests.board.site import (
    ask,
    feed,
    jetstream,
    local,
    make_stream,
    message,
    publish,
    publish_many,
)
from tests.board.traffic import now


async def test_a_page_is_told_what_it_wants_and_no_more_at_once(tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (server, client), local(server.url) as made:
        at = made.address("board")
        async with feed(at, "type=reject") as rejects, feed(at, "type=bounced") as bounces:
            for page in (rejects, bounces):
                kind, snapshot = await page.next()
                assert (kind, snapshot["events"], snapshot["mtas"]) == ("snapshot", [], [])
            await publish(client, now(RejectEvent))
            told = await rejects.until(lambda data: data["events"])
            assert [row["kind"] for row in told["events"]] == ["reject"]
            told = await bounces.until(lambda data: data["picture"]["read"] == 1)
            assert told["events"] == []
            burst = [now(BouncedEvent) for _ in range(150)]
            publishing = [client.jetstream().publish(*message(event)) for event in burst]
            await asyncio.gather(*publishing)
            seen: list[int] = []
            while not seen or seen[0] < 151:
                _, told = await bounces.next()
                assert len(told["events"]) <= 100
                seen = [row["seq"] for row in told["events"]] + seen
            assert seen == sorted(set(seen), reverse=True)


async def test_so_many_pages_and_no_more() -> None:
    async with local(clients=2) as made:
        at = made.address("board")
        async with feed(at) as one, feed(at) as two:
            await one.next()
            await two.next()
            assert (await ask(at, "/api/stream")).status == 503
            assert (await ask(at, "/api/events")).status == 200
        # Their seats are free again once it is noticed that they are gone.
        async with asyncio.timeout(20):
            while True:
                async with feed(at) as page:
                    try:
                        kind, _ = await page.next(2)
                    except (EOFError, TimeoutError):
                        continue
                    break
        assert kind == "snapshot"


async def test_a_page_that_reads_nothing_is_cut_off(tmp_path: Path) -> None:
    async with (
        jetstream(tmp_path) as (server, client),
        local(server.url, unread_seconds=1, clients=1) as made,
    ):
        at = made.address("board")
        loop = asyncio.get_running_loop()
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.setblocking(False)
            await loop.sock_connect(lazy, at)
            request = b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
            await loop.sock_sendall(lazy, request)
            assert await loop.sock_recv(lazy, 12) == b"HTTP/1.1 200"
            status = 503
            async with asyncio.timeout(40):
                while status == 503:
                    events = [message(now(response="x" * 240)) for _ in range(100)]
                    await publish_many(client, events)
                    async with feed(at) as page:
                        status = await page.status()
            assert status == 200


async def test_a_page_begins_anew_with_another_stream(tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (server, client), local(server.url) as made:
        await publish(client, now(), now())
        async with feed(made.address("board")) as page:
            await page.until(lambda data: data["picture"]["read"] == 2)
            await client.jetstream().delete_stream("POSTFIX")
            await make_stream(client)
            kind, data = await page.next()
            while kind == "update":
                kind, data = await page.next()
            assert (kind, data["events"], data["picture"]["read"]) == ("snapshot", [], 0)
            await publish(client, now())
            told = await page.until(lambda data: data["events"])
            assert [row["seq"] for row in told["events"]] == [1]
