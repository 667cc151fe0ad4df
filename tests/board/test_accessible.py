"""The page for those who see it badly, hear it, use no mouse, or hold it in one hand."""

from pathlib import Path
from typing import Any

import pytest

from tests.board.browser import Browser
from tests.board.site import TOKEN, board, jetstream, message, publish_many, url_of
from tests.board.traffic import Traffic
from tests.serve import NOWHERE

pytestmark = pytest.mark.timeout(120)

NAMED = {
    "button",
    "checkbox",
    "combobox",
    "link",
    "radio",
    "searchbox",
    "textbox",
    "table",
    "dialog",
}
"""Roles (WAI-ARIA) that say nothing without a name."""

CONTRAST = """
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (rgb) => {
  const [r, g, b] = rgb.slice(0, 3)
    .map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const rgba = numbers(getComputedStyle(at).backgroundColor);
    if (rgba.length === 3 || rgba[3] === 1) return rgba;
  }
  throw new Error("no ground");
};
const found = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const element = walk.currentNode.parentElement;
  const box = element.getBoundingClientRect();
  if (!walk.currentNode.data.trim() || box.width < 2 || box.height < 2) continue;
  const style = getComputedStyle(element);
  const ink = numbers(element instanceof SVGElement ? style.fill : style.color);
  const [a, b] = [light(ink), light(ground(element))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  found.push([ratio, walk.currentNode.data.trim().slice(0, 40)]);
}
return found;
"""
AA = 4.5
"""WCAG 2.2, 1.4.3."""


async def look(browser: Browser, scheme: str, width: int = 1280) -> None:
    await browser.devtools(
        "Emulation.setEmulatedMedia",
        features=[
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ],
    )
    await browser.devtools(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=900,
        deviceScaleFactor=1,
        mobile=width < 600,
    )
    query = f"matchMedia('(prefers-color-scheme: {scheme})').matches && innerWidth === {width}"
    await browser.until(query, bool)


async def assert_readable(browser: Browser, least: int) -> None:
    found: list[tuple[float, str]] = await browser.script(CONTRAST)
    assert len(found) >= least
    assert [(text, round(ratio, 2)) for ratio, text in found if ratio < AA] == []


async def assert_named(browser: Browser) -> set[str]:
    """Every part that can be used has a name. The roles that are there."""
    tree = (await browser.devtools("Accessibility.getFullAXTree"))["nodes"]
    roles: set[str] = set()
    nameless: list[Any] = []
    for node in tree:
        role = node.get("role", {}).get("value", "")
        roles.add(role)
        if not node["ignored"] and role in NAMED and not node.get("name", {}).get("value"):
            nameless.append((role, node.get("backendDOMNodeId")))
    assert nameless == []
    return roles


async def test_the_page(browser: Browser, tmp_path: Path) -> None:
    events = Traffic().events(600, hours=5)
    async with jetstream(tmp_path) as (server, client), board(server.url) as made:
        await publish_many(client, map(message, events))
        await browser.go(url_of(made, "/?range=6h"))
        await browser.until_rows(100)
        await browser.script("document.querySelector('#chart-data').open = true")
        await browser.until_text("#chart-data tbody", ":")
        roles = await assert_named(browser)
        assert {"banner", "main", "contentinfo", "search", "region", "heading", "status"} <= roles
        assert await browser.count("h1") == 1
        assert await browser.script("return document.documentElement.lang") == "en"
        tables = "[...document.querySelectorAll('table')]"
        headless = f"{tables}.filter(t => !t.querySelector('th[scope=col]')).length"
        assert await browser.script(f"return {headless}") == 0
        # What changes all the time must not be read out all the time.
        assert await browser.count("[aria-live=polite], [role=status]") == 2
        assert await browser.count("#list [aria-live], [aria-live=assertive]") == 0
        for scheme in ("light", "dark"):
            for width in (1280, 390):
                await look(browser, scheme, width)
                await assert_readable(browser, 300)
                wide = "document.documentElement.scrollWidth"
                assert await browser.script(f"return {wide}") <= width
        moving = "[...document.querySelectorAll('*')].filter(e =>"
        moving += " getComputedStyle(e).transitionDuration !== '0s').length"
        assert await browser.script(f"return {moving}") == 0
        await browser.script("document.querySelector('#list tbody button').click()")
        await browser.until_text("#detail", "Every field")
        assert "dialog" in await assert_named(browser)
        for scheme in ("light", "dark"):
            await look(browser, scheme)
            await assert_readable(browser, 300)


async def test_signing_in(browser: Browser) -> None:
    async with board(NOWHERE, "--token", TOKEN) as made:
        await browser.go(url_of(made, "/?token=wrong"))
        await browser.until_text("[role=alert]", "not the one")
        await assert_named(browser)
        for scheme in ("light", "dark"):
            await look(browser, scheme, 390)
            await assert_readable(browser, 5)
        assert await browser.script("return document.activeElement.name") == "token"
