"""The page in a real browser, while what is behind it comes and goes, or is very much."""

import asyncio
import time
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from schemas import BouncedEvent
from tests.board.browser import ROWS, Browser
from tests.board.site import board, jetstream, message, publish, publish_many, url_of
from tests.board.traffic import Traffic, now

pytestmark = pytest.mark.timeout(120)


async def test_it_outlives_a_restart_of_nats(browser: Browser, tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (server, client), board(server.url) as made:
        await publish(client, now(BouncedEvent))
        await browser.go(url_of(made))
        await browser.until_rows(1)
        await browser.until_live()
        await server.kill()
        await browser.until_text("#link-text", "NATS away since")
        assert await browser.count(ROWS) == 1
        await browser.click(f"{ROWS} button")
        await browser.until_text("#detail [role=alert]", "NATS is away")
        await browser.press(Keys.ESCAPE)
        await server.start()
        await browser.until_live()
        while not client.is_connected:  # noqa: ASYNC110  # nats-py does not tell
            await asyncio.sleep(0.05)
        await publish(client, now(BouncedEvent, recipient="after@example.net"))
        await browser.until_rows(2)
        assert (await browser.texts("#totals .count"))[2] == "2"


async def test_it_outlives_a_restart_of_the_board(browser: Browser, tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (server, client):
        await publish(client, now(BouncedEvent))
        async with board(server.url) as made:
            await browser.go(url_of(made))
            await browser.until_rows(1)
            _, port = made.address("board")
            assert await made.stop() == 0
        await browser.until_text("#link-text", "does not answer")
        await publish(client, now(BouncedEvent))
        async with board(server.url, "--listen", f"127.0.0.1:{port}"):
            await browser.until_rows(2)
            await browser.until_live()


@pytest.mark.timeout(240)
async def test_a_hundred_thousand_events(browser: Browser, tmp_path: Path) -> None:
    some = [message(event) for event in Traffic().events(2000, hours=23)]
    async with jetstream(tmp_path) as (server, client):
        await publish_many(client, (some[n % 2000] for n in range(100_000)))
        began = time.monotonic()
        async with board(server.url) as made:
            await browser.go(url_of(made, "/?range=all"))
            await browser.until_text("#read", "100,000 messages read", seconds=150)
            read = time.monotonic() - began
            assert await browser.count(ROWS) <= 200
            for text in ("one", "two", "three"):
                began = time.monotonic()
                await publish(client, now(BouncedEvent, recipient=f"{text}@late.example"))
                await browser.until_text(ROWS, f"{text}@late.example", seconds=10)
                print(f"read in {read:.1f} s, shown after {time.monotonic() - began:.2f} s")
            # A burst: the list has the newest of it, and still so many rows and no more.
            await publish_many(client, some)
            await publish(client, now(BouncedEvent, recipient="last@late.example"))
            await browser.until_text(ROWS, "last@late.example", seconds=15)
            assert await browser.count(ROWS) <= 200
            before = await browser.count(ROWS)
            await browser.click("#older")
            await browser.until_rows(before + 100)
            # The page itself is quick: a click is answered while all that goes on.
            lag = "new Promise(done => { const t = performance.now();"
            lag += " requestAnimationFrame(() => setTimeout(() => done(performance.now() - t))) })"
            assert await browser.script(f"return {lag}") < 2000
            assert browser.complaints() == []
