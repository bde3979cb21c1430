"""How modules and the stylesheet are sent."""

from __future__ import annotations

import httpx

import web as pages
from tests.server.fake_host import Inviting


async def test_what_lies_under_its_digest_is_compressed_and_no_page_is(
    web: httpx.AsyncClient, invite: Inviting
) -> None:
    gzip = {"Accept-Encoding": "gzip"}
    style = await web.get(pages.static_url("style.css"), headers=gzip)
    assert style.headers["content-encoding"] == "gzip"
    assert style.headers["vary"] == "Accept-Encoding"
    assert "immutable" in style.headers["cache-control"]
    whole = (pages.STATIC / "style.css").read_bytes()
    assert style.content == whole
    assert int(style.headers["content-length"]) < len(whole) / 2

    plain = await web.get(pages.static_url("style.css"), headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == whole

    page = await web.get(f"/call/{(await invite()).token}", headers=gzip)
    assert page.status_code == 200
    assert "content-encoding" not in page.headers


async def test_a_page_may_ask_whether_the_server_is_there_without_a_body(
    web: httpx.AsyncClient,
) -> None:
    answer = await web.head(pages.static_url("call/reach.js"))
    assert answer.status_code == 200
    assert not answer.content
