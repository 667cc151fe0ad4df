"""One Chromium for all tests of the page; each test is another visitor."""

from collections.abc import Iterator

import pytest

from tests.board.browser import Browser, chromium


@pytest.fixture(scope="package")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(started: Browser) -> Iterator[Browser]:
    yield started
    started.forget()
