"""Real browsers against the real server: `viva serve` as a process of its own, with the rehearsal's
recogniser and stand-in model, and Debian's Chromium driven by Playwright.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from browsers import ALLOWED, CHROMIUM, FAKE, chromium_with
from browsing import Site, site_in
from playwright.async_api import Browser, Playwright, async_playwright
from sound import Microphone


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs a browser."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not CHROMIUM:
                item.add_marker(pytest.mark.skip(reason="there is no chromium on this machine"))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_in(tmp_path / "data") as site:
        yield site


@pytest.fixture
def microphone(tmp_path: Path) -> Microphone:
    """What Chromium's fake microphone gives, silence until something is said."""
    return Microphone(tmp_path / "microphone.wav")


@pytest.fixture
async def chromium(microphone: Microphone) -> AsyncIterator[Browser]:
    heard = f"--use-file-for-fake-audio-capture={microphone.file}%noloop"
    async with (
        async_playwright() as playwright,
        chromium_with(playwright, (ALLOWED, FAKE, heard)) as browser,
    ):
        yield browser


# One server and one browser for all tests of a module that runs on the module's own loop.
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    # Whoever left keeps their place for a while.
    folder = tmp_path_factory.mktemp("shared") / "data"
    async with site_in(folder, max_interviews="40") as site:
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as playwright:
        yield playwright


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_chromium(playwright: Playwright) -> AsyncIterator[Browser]:
    async with chromium_with(playwright, (ALLOWED, FAKE)) as browser:
        yield browser
