"""The page in a real browser, and what hostile text of a log can do there: nothing."""

from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

import schemas
from schemas import DeferredEvent, RejectEvent
from tests.board.browser import ROWS, Browser
from tests.board.site import board, jetstream, publish_many, url_of
from tests.board.traffic import mta, now

pytestmark = pytest.mark.timeout(120)

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
                "mta": mta(f"mx-{text}"),
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
        await browser.until_rows(2 * len(HOSTILE))
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
        await browser.until_rows(2)
        await browser.script("location.reload()")
        await browser.until_rows(2)
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
