"""The page in a real browser: what it shows, live and by keyboard; signing in and out."""

from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from schemas import BouncedEvent, DeferredEvent, InvalidEvent, RejectEvent, ResolvedEvent
from tests.board.browser import ROWS, Browser
from tests.board.site import TOKEN, board, jetstream, publish, url_of
from tests.board.traffic import mta, now

pytestmark = pytest.mark.timeout(120)


async def test_shows_what_was_published_and_what_comes(browser: Browser, tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (server, client), board(server.url) as made:
        kinds = (RejectEvent, DeferredEvent, BouncedEvent, ResolvedEvent, InvalidEvent)
        await publish(client, *(now(kind, queue_id=f"4d{kind.__name__}") for kind in kinds))
        await browser.go(url_of(made))
        await browser.until_live()
        await browser.until_rows(5)
        shown = await browser.texts(f"{ROWS} td.kind")
        assert shown == ["Unreadable", "Resolved", "Bounced", "Deferred", "Rejected"]
        assert await browser.texts("#totals .count") == ["1", "1", "1", "1", "1"]
        assert "blocklisted ip" in await browser.text("#leaders")
        assert await browser.text("#waiting-total") == "1"
        assert await browser.count("#chart svg path") == 5

        [seq] = await publish(client, now(BouncedEvent, recipient="live@example.net"))
        await browser.until_rows(6)
        assert (await browser.texts(f"{ROWS} td.who"))[0] == "live@example.net"
        assert (await browser.texts("#totals .count"))[2] == "2"
        assert await browser.script(f"return document.querySelector({ROWS!r}).dataset.seq") == str(
            seq
        )
        assert browser.complaints() == []
        assert await made.stop() == 0


async def test_filters(browser: Browser, tmp_path: Path) -> None:
    events = [
        now(BouncedEvent, recipient="a@one.example", recipient_domain="one.example"),
        now(BouncedEvent, category="mailbox_full", response="quota of the box"),
        now(RejectEvent, recipient_domain="one.example", category="mailbox_full"),
        now(DeferredEvent, mta=mta("mx9.example.org"), provider="yahoo", category="dns"),
    ]
    async with jetstream(tmp_path) as (server, client), board(server.url) as made:
        await publish(client, *events)
        await browser.go(url_of(made))
        await browser.until_rows(4)
        for selector, text, left in (
            ("[name=domain]", "one.example", 2),
            ("[name=category]", "mailbox full", 2),
            ("[name=mta]", "mx9.example.org", 1),
            ("[name=provider]", "yahoo", 1),
            ("[name=q]", "QUOTA box", 1),
        ):
            await browser.type(selector, text)
            await browser.until_rows(left)
            await browser.until_text("#events-state", f"{left} event")
            await browser.click("#clear")
            await browser.until_rows(4)
        await browser.click("[name=type][value=reject]")
        await browser.until_rows(1)
        # The address says it, so that it outlives a reload and can be sent to somebody.
        await browser.until("location.search", lambda query: "type=reject" in query)
        await browser.script("location.reload()")
        await browser.until_rows(1)
        # What does not match does not come in, and what matches does.
        await publish(client, now(BouncedEvent), now(RejectEvent, recipient="new@one.example"))
        await browser.until_rows(2)
        assert set(await browser.texts(f"{ROWS} td.kind")) == {"Rejected"}
        await browser.click("#clear")
        await browser.until_rows(6)
        # A name among the leaders is a filter, too.
        await browser.click("#leaders button[data-value=mailbox_full]")
        await browser.until_rows(2)
        await browser.type("[name=q]", "nowhere at all")
        await browser.until_text("#empty", "No event matches")
        assert browser.complaints() == []


async def test_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    focus = "document.activeElement.innerText.trim()"
    row = "document.activeElement.closest('tr')?.dataset.seq ?? ''"
    async with jetstream(tmp_path) as (server, client), board(server.url) as made:
        seqs = await publish(client, *(now(BouncedEvent) for _ in range(4)))
        await browser.go(url_of(made))
        await browser.until_rows(4)
        await browser.press(Keys.TAB)
        assert await browser.script(f"return {focus}") == "Skip to the events"
        await browser.press(Keys.ENTER)
        await browser.press("/")
        assert await browser.script("return document.activeElement.name") == "q"
        await browser.press(Keys.TAB, Keys.TAB)
        assert await browser.script(f"return {row}") == str(seqs[-1])
        visible = "getComputedStyle(document.activeElement).outlineStyle"
        assert await browser.script(f"return {visible}") == "solid"
        await browser.press(Keys.ARROW_DOWN, "j", Keys.ARROW_UP)
        assert await browser.script(f"return {row}") == str(seqs[-2])
        # The page goes on changing, and the focus stays.
        await publish(client, now(BouncedEvent))
        await browser.until_rows(5)
        assert await browser.script(f"return {row}") == str(seqs[-2])
        await browser.press(Keys.END)
        assert await browser.script(f"return {row}") == str(seqs[0])
        await browser.press(Keys.HOME, Keys.ARROW_DOWN, Keys.ENTER)
        await browser.until_text("#detail", "The story of its message")
        assert await browser.script(f"return {focus}") == await browser.text("#detail-title")
        await browser.press(Keys.ESCAPE)
        await browser.until("document.querySelector('#detail').open", lambda value: not value)
        assert await browser.script(f"return {row}") == str(seqs[-1])
        assert browser.complaints() == []


async def test_the_focus_goes_along_with_a_name_that_moves(
    browser: Browser, tmp_path: Path
) -> None:
    focus = "document.activeElement.innerText"
    async with jetstream(tmp_path) as (server, client), board(server.url) as made:
        await publish(client, *(now(BouncedEvent, category="dns") for _ in range(2)))
        await publish(client, now(BouncedEvent, category="tls"))
        await browser.go(url_of(made))
        await browser.until_text("#leaders tr:nth-child(2)", "tls")
        await browser.script("document.querySelector('#leaders [data-value=tls]').focus()")
        await publish(client, *(now(BouncedEvent, category="tls") for _ in range(3)))
        await browser.until_text("#leaders tbody tr:first-child", "tls")
        assert await browser.script(f"return {focus}") == "tls"


async def test_one_event_in_full_and_its_story(browser: Browser, tmp_path: Path) -> None:
    same = {"queue_id": "4dSTORYz9tQ3", "recipient": "r@example.net"}
    async with jetstream(tmp_path) as (server, client), board(server.url) as made:
        seqs = await publish(
            client,
            now(DeferredEvent, **same, response="try later", attempt=1),
            now(DeferredEvent, queue_id="4dOTHERz9tQ3", message=None),
            now(DeferredEvent, **same, response="try still later", attempt=2),
            now(BouncedEvent, **same, response="no", raw="<22>the line"),
        )
        await browser.go(url_of(made, f"/#event={seqs[-1]}"))
        await browser.until_text("#detail", "The story of its message")
        story = await browser.texts("#detail .story li")
        assert [part.split("\n")[1] for part in story] == [
            "Deferred 4.2.2",
            "Deferred 4.2.2",
            "Bounced 5.7.1",
        ]
        assert "try still later" in story[1]
        assert await browser.text("#detail [aria-current=true] b") == "Bounced 5.7.1"
        assert "<22>the line" in await browser.text("#detail pre")
        fields = await browser.text("#detail .fields")
        for part in ("mta.source_ip", "delays.connection_setup", "notice.kind"):
            assert part in fields
        await browser.click("#detail .story li:first-child button")
        await browser.until_text("#detail blockquote", "try later")
        await browser.until("location.hash", lambda mark: mark == f"#event={seqs[0]}")
        await client.jetstream().delete_msg("POSTFIX", seqs[2])
        await browser.click("#detail .story li:nth-child(2) button")
        await browser.until_text("#detail [role=alert]", "no longer in the stream")


async def test_signing_in_and_out(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    async with jetstream(tmp_path) as (server, client):
        async with board(server.url, "--token-file", str(file)) as made:
            await publish(client, now(BouncedEvent))
            await browser.go(url_of(made))
            await browser.until("location.pathname", lambda path: path == "/login")
            await browser.type("[name=token]", "something-else-of-that-length")
            await browser.press(Keys.ENTER)
            await browser.until_text("[role=alert]", "That token is not the one")
            await browser.type("[name=token]", TOKEN)
            await browser.press(Keys.ENTER)
            await browser.until_rows(1)
            assert TOKEN not in await browser.script("return document.cookie + location.href")
            await browser.until("document.querySelector('#logout').hidden", lambda value: not value)
            await browser.click("#logout button")
            await browser.until("location.pathname", lambda path: path == "/login")
            await browser.go(url_of(made, f"/?token={TOKEN}"))
            await browser.until_rows(1)
            assert "token" not in await browser.script("return location.href")
            _, port = made.address("board")
        # Another token: the cookie is worth nothing, and the page finds out by itself.
        file.write_text(TOKEN[::-1])
        listen = ("--listen", f"127.0.0.1:{port}")
        async with board(server.url, "--token-file", str(file), *listen):
            await browser.until("location.pathname", lambda path: path == "/login")
