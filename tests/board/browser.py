"""A real Chromium without a window, driven by WebDriver."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.e2e.packages import require_program

T = TypeVar("T")

SECONDS = 20
ROWS = "#list tbody tr"
"""The events the page lists."""
_FLAGS = (
    "--headless",
    "--no-sandbox",  # as root there is none
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--window-size=1280,1000",
)


class Browser:
    """Its methods wait in another thread: the servers of a test run in this one's loop."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    async def go(self, url: str) -> None:
        await asyncio.to_thread(self._driver.get, url)

    async def script(self, text: str, *arguments: Any) -> Any:
        """The value of its `return`."""
        return await asyncio.to_thread(self._driver.execute_script, text, *arguments)

    async def text(self, selector: str) -> str:
        return str(
            await self.script(f"return document.querySelector({selector!r})?.innerText ?? ''")
        )

    async def texts(self, selector: str) -> list[str]:
        found = f"[...document.querySelectorAll({selector!r})].map(e => e.innerText)"
        return list(await self.script(f"return {found}"))

    async def count(self, selector: str) -> int:
        return int(await self.script(f"return document.querySelectorAll({selector!r}).length"))

    async def click(self, selector: str) -> None:
        def click() -> None:
            self._driver.find_element(By.CSS_SELECTOR, selector).click()

        await asyncio.to_thread(click)

    async def type(self, selector: str, text: str) -> None:
        def type_() -> None:
            self._driver.find_element(By.CSS_SELECTOR, selector).send_keys(text)

        await asyncio.to_thread(type_)

    async def press(self, *keys: str) -> None:
        """To whatever has the focus."""

        def press() -> None:
            for key in keys:
                self._driver.switch_to.active_element.send_keys(key)

        await asyncio.to_thread(press)

    async def devtools(self, command: str, **arguments: Any) -> Any:
        return await asyncio.to_thread(self._driver.execute_cdp_cmd, command, arguments)

    async def until(self, what: str, wanted: Callable[[Any], Any], seconds: float = SECONDS) -> Any:
        """The value of the expression once it is as wanted; asked again and again."""
        give_up = time.monotonic() + seconds
        while True:
            try:
                value = await self.script(f"return {what}")
                if wanted(value):
                    return value
            except StaleElementReferenceException:
                value = None
            assert time.monotonic() < give_up, f"{what} is still {value!r}"
            await asyncio.sleep(0.05)

    async def until_text(self, selector: str, part: str, seconds: float = SECONDS) -> str:
        what = f"document.querySelector({selector!r})?.innerText ?? ''"
        return str(await self.until(what, lambda text: part in text, seconds))

    async def until_rows(self, number: int) -> None:
        """So many events are listed."""
        await self.until(
            f"document.querySelectorAll({ROWS!r}).length", lambda found: found == number
        )

    async def until_live(self) -> None:
        await self.until_text("#link-text", "Live")

    def complaints(self) -> list[str]:
        """What the console said since it was asked last: errors of scripts, and of the policy."""
        return [
            entry["message"]
            for entry in self._driver.get_log("browser")  # type: ignore[no-untyped-call]
        ]

    def forget(self) -> None:
        """Cookies and what is open: the next test is another visitor."""
        self._driver.get("about:blank")
        self._driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self._driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        self.complaints()


@contextmanager
def chromium(home: Path) -> Iterator[Browser]:
    options = Options()
    options.binary_location = str(require_program("chromium", "chromium"))
    for flag in (*_FLAGS, f"--user-data-dir={home}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = require_program("chromedriver", "chromium-driver")
    started = Chrome(options=options, service=Service(str(driver)))
    try:
        yield Browser(started)
    finally:
        try:
            started.quit()
        except WebDriverException:
            started.service.stop()
