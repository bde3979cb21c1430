"""Real browsers against the real server: `viva serve` as a process of its own, with the rehearsal's
recogniser and stand-in model, and Debian's Chromium driven by Playwright.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from browsing import Site, site_in
from playwright.async_api import Browser, async_playwright
from sound import Microphone

CHROMIUM = shutil.which("chromium") or ""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    # As a candidate's browser is: no sound before somebody has pressed something.
    "--autoplay-policy=user-gesture-required",
)


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
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[*FLAGS, f"--use-file-for-fake-audio-capture={microphone.file}%noloop"],
        )
        yield browser
        await browser.close()
