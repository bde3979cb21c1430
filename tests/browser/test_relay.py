"""Chromium with nothing but a TURN server: what a candidate's page is told of it is enough."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page
from sound import Microphone

from server.media.ice import IceSettings
from server.media.peer import Peer
from server.media.turn import browser_ice_servers
from tests.server.media.relays import coturn

OFFER = """async (iceServers) => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const pc = (window.pc = new RTCPeerConnection({ iceServers, iceTransportPolicy: "relay" }));
  pc.addTrack(stream.getTracks()[0], stream);
  await pc.setLocalDescription(await pc.createOffer());
  while (pc.iceGatheringState !== "complete") await new Promise((go) => setTimeout(go, 20));
  return pc.localDescription.sdp;
}"""
ACCEPT = """async (sdp) => {
  await window.pc.setRemoteDescription({ type: "answer", sdp });
  while (window.pc.connectionState !== "connected") await new Promise((go) => setTimeout(go, 20));
}"""


async def test_a_browser_behind_a_firewall_is_heard_by_way_of_the_relay(
    chromium: Browser, microphone: Microphone, tmp_path: Path
) -> None:
    if not shutil.which("turnserver"):
        pytest.skip("coturn is not installed")
    page = await blank(chromium)
    async with coturn(tmp_path, {}) as relay:
        offer = await page.evaluate(OFFER, browser_ice_servers(relay.settings, time.time()))
        assert "typ relay" in offer and "typ host" not in offer
        peer, answer = await Peer.answer(offer, "offer", ice=IceSettings(), codecs=("opus",))
        heard: list[int] = []
        peer.on_heard(lambda pcm, rate, at: heard.append(len(pcm)))
        async with asyncio.timeout(20):
            await page.evaluate(ACCEPT, answer)
            while sum(heard) < 48000:  # noqa: ASYNC110 — a second of sound, loud or not
                await asyncio.sleep(0.05)
        await page.close()
        await peer.close()


async def blank(browser: Browser) -> Page:
    """A page of this machine, so that there is a microphone."""
    page = await browser.new_page()

    async def nothing(route: Any) -> None:
        await route.fulfill(body="<!doctype html><title>.</title>", content_type="text/html")

    await page.route("http://localhost/", nothing)
    await page.goto("http://localhost/")
    return page
