"""The page in a real browser: what it shows, live and by keyboard, and what hostile text can do."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

import schemas
from schemas import BouncedEvent, DeferredEvent, InvalidEvent, RejectEvent, ResolvedEvent
from schemas.samples import example
from tests.board.browser import Browser, chromium
from tests.board.site import TOKEN, board, jetstream, publish, publish_many, url_of
from tests.board.traffic import Traffic, now, subject

pytestmark = pytest.mark.timeout(120)

ROWS = "#list tbody tr"
STATUS = "document.querySelector('#link-text').innerText"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(started: Browser) -> Iterator[Browser]:
    yield started
    started.forget()


def rows(number: int) -> str:
    return f"document.querySelectorAll({ROWS!r}).length === {number}"


def is_true(value: object) -> bool:
    return value is True


async def test_shows_what_was_published_and_what_comes(browser: Browser, tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (server, client), board(server.url) as made:
        kinds = (RejectEvent, DeferredEvent, BouncedEvent, ResolvedEvent, InvalidEvent)
        await publish(client, *(now(kind, queue_id=f"4d{kind.__name__}") for kind in kinds))
        await browser.go(url_of(made))
        await browser.until_live()
        await browser.until(rows(5), is_true)
        shown = await browser.texts(f"{ROWS} td.kind")
        assert shown == ["Unreadable", "Resolved", "Bounced", "Deferred", "Rejected"]
        assert await browser.texts("#totals .count") == ["1", "1", "1", "1", "1"]
        assert "blocklisted ip" in await browser.text("#leaders")
        assert await browser.text("#waiting-total") == "1"
        assert await browser.count("#chart svg path") == 5

        [seq] = await publish(client, now(BouncedEvent, recipient="live@example.net"))
        await browser.until(rows(6), is_true)
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
        now(DeferredEvent, mta=other_host("mx9.example.org"), provider="yahoo", category="dns"),
    ]
    async with jetstream(tmp_path) as (server, client), board(server.url) as made:
        await publish(client, *events)
        await browser.go(url_of(made))
        await browser.until(rows(4), is_true)
        for selector, text, left in (
            ("[name=domain]", "one.example", 2),
            ("[name=category]", "mailbox full", 2),
            ("[name=mta]", "mx9.example.org", 1),
            ("[name=provider]", "yahoo", 1),
            ("[name=q]", "QUOTA box", 1),
        ):
            await browser.type(selector, text)
            await browser.until(rows(left), is_true)
            await browser.until_text("#events-state", f"{left} event")
            await browser.click("#clear")
            await browser.until(rows(4), is_true)
        await browser.click("[name=type][value=reject]")
        await browser.until(rows(1), is_true)
        # The address says it, so that it outlives a reload and can be sent to somebody.
        await browser.until("location.search", lambda query: "type=reject" in query)
        await browser.script("location.reload()")
        await browser.until(rows(1), is_true)
        # What does not match does not come in, and what matches does.
        await publish(client, now(BouncedEvent), now(RejectEvent, recipient="new@one.example"))
        await browser.until(rows(2), is_true)
        assert set(await browser.texts(f"{ROWS} td.kind")) == {"Rejected"}
        await browser.click("#clear")
        await browser.until(rows(6), is_true)
        # A name among the leaders is a filter, too.
        await browser.click("#leaders button[data-value=mailbox_full]")
        await browser.until(rows(2), is_true)
        await browser.type("[name=q]", "nowhere at all")
        await browser.until_text("#empty", "No event matches")
        assert browser.complaints() == []


def other_host(host: str) -> schemas.Mta:
    return example(BouncedEvent).mta.model_copy(update={"host": host})


async def test_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    focus = "document.activeElement.innerText.trim()"
    row = "document.activeElement.closest('tr')?.dataset.seq ?? ''"
    async with jetstream(tmp_path) as (server, client), board(server.url) as made:
        seqs = await publish(client, *(now(BouncedEvent) for _ in range(4)))
        await browser.go(url_of(made))
        await browser.until(rows(4), is_true)
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
        await browser.until(rows(5), is_true)
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


async def test_it_outlives_a_restart_of_nats(browser: Browser, tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (server, client), board(server.url) as made:
        await publish(client, now(BouncedEvent))
        await browser.go(url_of(made))
        await browser.until(rows(1), is_true)
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
        await browser.until(rows(2), is_true)
        assert (await browser.texts("#totals .count"))[2] == "2"


async def test_it_outlives_a_restart_of_the_board(browser: Browser, tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (server, client):
        await publish(client, now(BouncedEvent))
        async with board(server.url) as made:
            await browser.go(url_of(made))
            await browser.until(rows(1), is_true)
            _, port = made.address("board")
            assert await made.stop() == 0
        await browser.until_text("#link-text", "does not answer")
        await publish(client, now(BouncedEvent))
        async with board(server.url, "--listen", f"127.0.0.1:{port}"):
            await browser.until(rows(2), is_true)
            await browser.until_live()


@pytest.mark.timeout(240)
async def test_a_hundred_thousand_events(browser: Browser, tmp_path: Path) -> None:
    some = [(subject(e), schemas.encode(e)) for e in Traffic().events(2000, hours=23)]
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
            await browser.until(rows(before + 100), is_true)
            # The page itself is quick: a click is answered while all that goes on.
            lag = "new Promise(done => { const t = performance.now();"
            lag += " requestAnimationFrame(() => setTimeout(() => done(performance.now() - t))) })"
            assert await browser.script(f"return {lag}") < 2000
            assert browser.complaints() == []


OLDEST = 6
"""Shown of the waiting ones."""
HOSTILE = (
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    '"><svg onload=window.pwned=1>',
    "'-window.pwned=1-'",
    "javascript:window.pwned=1",
    "</textarea></title><script>window.pwned=1</script>",
    "${window.pwned=1}{{window.pwned=1}}",
)


async def test_text_of_the_log_stays_text(browser: Browser, tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (server, client), board(server.url) as made:
        for text in HOSTILE:
            # One that turns the direction of writing, one that drives terminals, a line separator.
            turned = f"{text}\u202e\x1b[2J\u2028x"
            changes: dict[str, object] = {
                "mta": other_host(f"mx-{text}"),
                "recipient": f"{turned}@example.net",
                "recipient_domain": text,
                "sender": turned,
                "response": turned,
                "provider": text,
                "raw": turned,
            }
            events = now(RejectEvent, **changes, helo=turned), now(DeferredEvent, **changes)
            await publish_many(client, [("postfix.any.x", schemas.encode(e)) for e in events])
        await browser.go(url_of(made))
        await browser.until(rows(2 * len(HOSTILE)), is_true)
        hosts = await browser.texts(f"{ROWS} td.mta")
        said = await browser.texts(f"{ROWS} td.said")
        panels = [await browser.text(panel) for panel in ("#leaders", "#oldest")]
        for number, text in enumerate(reversed(HOSTILE)):
            assert hosts[2 * number] == f"mx-{text.lower()}"
            assert said[2 * number] == f"{text}\\u{{202e}}\\u{{1b}}[2J\\u{{2028}}x"
            assert text in panels[0]
            assert number >= OLDEST or HOSTILE[number] in panels[1]
            # The reject: with its HELO.
            await browser.script(
                f"document.querySelectorAll({ROWS!r})[arguments[0]].click()", 2 * number + 1
            )
            await browser.until_text("#detail .fields", text)
            for part in (".facts", ".story", "pre", "blockquote", "#detail-title"):
                assert text in await browser.text(f"#detail {part}"), part
            await browser.click("#detail .fold summary")
            await browser.press(Keys.ESCAPE)
        # As a filter it goes by the address and back.
        await browser.script("document.querySelector('#leaders button[data-value*=img]').click()")
        await browser.until(rows(2), is_true)
        await browser.script("location.reload()")
        await browser.until(rows(2), is_true)
        assert await browser.script("return window.pwned ?? null") is None
        assert await browser.count("body img, body script, body iframe, svg[onload]") == 0
        assert browser.complaints() == []


async def test_markup_could_do_nothing_even_if_it_got_in(browser: Browser, tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (server, _), board(server.url) as made:
        await browser.go(url_of(made))
        await browser.until_live()
        for attempt in (
            "document.body.innerHTML = '<img src=x onerror=window.pwned=1>'",
            "document.body.insertAdjacentHTML('beforeend', '<svg onload=window.pwned=1>')",
            "document.write('<script>window.pwned=1</script>')",
            "let s = document.createElement('script'); s.text = 'pwned=1'; document.body.append(s)",
            "document.body.setAttribute('onclick', 'window.pwned=1'); document.body.click()",
            "location.href = 'javascript:window.pwned=1'",
        ):
            # That the script which tries it fails, is one of the ways to stop it.
            await browser.script(f"try {{ {attempt} }} catch {{}}")
            assert await browser.script("return window.pwned ?? null") is None, attempt
            assert await browser.count("img, svg[onload]") == 0, attempt


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
            await browser.until(rows(1), is_true)
            assert TOKEN not in await browser.script("return document.cookie + location.href")
            await browser.until("document.querySelector('#logout').hidden", lambda value: not value)
            await browser.click("#logout button")
            await browser.until("location.pathname", lambda path: path == "/login")
            await browser.go(url_of(made, f"/?token={TOKEN}"))
            await browser.until(rows(1), is_true)
            assert "token" not in await browser.script("return location.href")
            _, port = made.address("board")
        # Another token: the cookie is worth nothing, and the page finds out by itself.
        file.write_text(TOKEN[::-1])
        listen = ("--listen", f"127.0.0.1:{port}")
        async with board(server.url, "--token-file", str(file), *listen):
            await browser.until("location.pathname", lambda path: path == "/login")
