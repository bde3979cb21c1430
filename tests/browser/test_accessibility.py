"""Every state of every page, in both languages: axe-core finds nothing, and nothing has to be
scrolled sideways on a narrow phone.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from browsing import PASSWORD, Site, site_in
from playwright.async_api import Browser, Page
from states import every_state

from agent.plan import Language

NARROW, WIDE = 360, 1280
RULES = {"resultTypes": ["violations"]}
PICTURES = os.environ.get("PICTURES", "")
"""A folder for a picture of each state: `make pictures`."""


@pytest.fixture
async def furnished(tmp_path: Path) -> AsyncIterator[Site]:
    """A site whose desk can be opened."""
    async with site_in(tmp_path / "data", password=PASSWORD) as site:
        yield site


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_no_state_breaks_a_rule_or_the_width_of_a_phone(
    furnished: Site, chromium: Browser, language: Language
) -> None:
    found: list[str] = []
    seen = 0
    async for name, page in every_state(furnished, chromium, language, NARROW):
        seen += 1
        found += [f"{name}: {problem}" for problem in await problems(page)]
        if await page.evaluate("() => document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{name}: wider than {NARROW} px")
        await picture(page, language, NARROW, name)
    assert seen > 20
    assert not found, "\n".join(found)


@pytest.mark.skipif(not PICTURES, reason="pictures are made by `make pictures`")
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_pictures_of_every_state(
    furnished: Site, chromium: Browser, language: Language
) -> None:
    async for name, page in every_state(furnished, chromium, language, WIDE):
        await picture(page, language, WIDE, name)


async def problems(page: Page) -> list[str]:
    """What axe-core complains of, with the elements."""
    found: dict[str, Any] = (await Axe().run(page, options=RULES)).response
    return [
        f"{one['id']} ({one['impact']}) at {[node['target'] for node in one['nodes']]}"
        for one in found["violations"]
    ]


async def picture(page: Page, language: str, width: int, name: str) -> None:
    if PICTURES:
        file = Path(PICTURES) / f"{language}-{width}-{name}.png"
        await page.screenshot(path=file, full_page=True)
