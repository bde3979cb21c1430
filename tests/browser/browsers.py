"""How Debian's Chromium is started: with a fake microphone, with none, or with other flags."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Playwright

CHROMIUM = shutil.which("chromium") or ""
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--allow-loopback-in-peer-connection",
    # As a candidate's browser is: no sound before somebody has pressed something.
    "--autoplay-policy=user-gesture-required",
)
ALLOWED = "--use-fake-ui-for-media-stream"
"""Whoever is asked for the microphone allows it."""
FAKE = "--use-fake-device-for-media-stream"
"""Two microphones that beep."""


@asynccontextmanager
async def chromium_with(playwright: Playwright, flags: Sequence[str]) -> AsyncIterator[Browser]:
    """A Chromium with these flags besides the quiet ones, gone at the end."""
    browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *flags])
    try:
        yield browser
    finally:
        await browser.close()
