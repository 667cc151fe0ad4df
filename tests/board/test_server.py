"""The board as a process: the rights it needs, without NATS, and its end."""

import asyncio
import signal
import socket
from pathlib import Path

import pytest

from tests.board.site import (
    TOKEN,
    ask,
    board,
    feed,
    local,
    make_stream,
    message,
    publish_many,
)
from tests.board.traffic import now
from tests.cli.run import MAILFAULT, environment
from tests.deploy.guarded_nats import PASSWORD, guarded_nats, operator
from tests.serve import NOWHERE, Serve


@pytest.mark.e2e
async def test_the_rights_of_a_reader_are_enough(tmp_path: Path) -> None:
    rights = {"user": "reader", "password": PASSWORD, "inbox_prefix": "_INBOX_reader"}
    async with guarded_nats(tmp_path) as url, operator(url) as client:
        await make_stream(client)
        await publish_many(client, [message(now()) for _ in range(1010)])
        async with local(url, nats=rights, history_events=1000) as made:
            at = made.address("board")
            async with feed(at) as page:
                seen = await page.until(lambda data: data["picture"]["read"] == 1000)
            assert seen["picture"]["is_cut"]
            assert (await ask(at, "/api/events/1010")).status == 200
            assert (await ask(at, "/api/events/1")).status == 200


async def test_while_nats_is_away_the_page_says_so() -> None:
    async with local() as made:
        at = made.address("board")
        async with feed(at) as page:
            _, data = await page.next()
        assert data["picture"]["nats"]["away_since"] > 0
        assert (await ask(at, "/api/events/1")).status == 503


async def test_sigterm_ends_it_with_pages_open() -> None:
    async with board(NOWHERE) as made:
        async with feed(made.address("board")) as page:
            await page.next()
            assert await made.stop() == 0
            with pytest.raises(EOFError):
                await page.until(lambda data: False)
        assert made.events("stopped")
        assert not [event for event in made.log if event["level"] in ("error", "critical")]


async def test_an_address_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = await asyncio.create_subprocess_exec(
            *MAILFAULT,
            "board",
            *("--nats", NOWHERE, "--listen", f"127.0.0.1:{taken.getsockname()[1]}"),
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
        )
        made = Serve(process)
        failed = await made.said("start_failed")
        assert await made.ended() == 1
    assert "in use" in failed["error"]


async def test_ctrl_c_after_one_who_hung_up_in_the_middle() -> None:
    async with board(NOWHERE, "--token", TOKEN) as made:
        at = made.address("board")
        _, writer = await asyncio.open_connection(*at)
        writer.write(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\ntoken=")
        await writer.drain()
        assert (await ask(at, "/livez")).status == 200
        writer.close()
        assert (await ask(at, "/livez")).status == 200
        assert not [event for event in made.log if event["level"] in ("error", "critical")]
        made.process.send_signal(signal.SIGINT)
        assert await made.ended() == 0
