"""Names become addresses, or a reason, and never a spin or a hang."""

from __future__ import annotations

import socket
import threading

import pytest

from server.phone.resolver import Unresolved, resolve


async def test_an_address_is_its_own_and_asks_nobody() -> None:
    assert await resolve("192.0.2.7", lookup=lambda host: pytest.fail("asked")) == ["192.0.2.7"]


async def test_a_name_has_its_addresses() -> None:
    assert await resolve("pbx", lookup=lambda host: ["192.0.2.7", "192.0.2.8"]) == [
        "192.0.2.7",
        "192.0.2.8",
    ]


async def test_a_name_without_an_address_says_so() -> None:
    def fails(host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(Unresolved, match="pbx has no address"):
        await resolve("pbx", lookup=fails)
    with pytest.raises(Unresolved, match="no IPv4"):
        await resolve("pbx", lookup=lambda host: [])


async def test_a_name_that_is_no_name_says_so() -> None:
    with pytest.raises(Unresolved):
        await resolve("a" * 300)


async def test_a_resolver_that_never_answers_is_given_up() -> None:
    let_go = threading.Event()

    def hangs(host: str) -> list[str]:
        let_go.wait(60)
        return []

    try:
        with pytest.raises(Unresolved, match="no resolver"):
            await resolve("pbx", lookup=hangs, within_s=0.05)
    finally:
        let_go.set()
