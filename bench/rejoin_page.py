"""A candidate's page in Chromium: driven as by a person, and watched for what it tells."""

from __future__ import annotations

import asyncio
import json
import time
import wave
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Browser, BrowserContext, Locator, Page, WebSocket, async_playwright

from bench.receive import CHROMIUM
from bench.rejoin_figures import THERE, Seen
from tts.audio import SAMPLE_RATE
from tts.espeak import render

SILENCE_S = 120.0
WITHIN_MS = 40_000
WATCH = """(() => {
  const begun = performance.timeOrigin / 1000;
  const tell = (what, value) =>
    window.vivaTell?.({at: Date.now() / 1000, document: begun, what, value});
  let state = null;
  const look = () => {
    const found = document.querySelector("[data-testid=state]");
    const now = !found ? null
      : found.dataset.live || found.dataset.state === "ended" ? found.dataset.state : null;
    if (now !== null && now !== state) tell("state", state = now);
  };
  new MutationObserver(look).observe(document, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["data-state", "data-live"],
  });
  document.addEventListener("DOMContentLoaded", look);

  let newest = null;
  const Connection = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Connection {
    constructor(...given) {
      super(...given);
      newest = this;
    }
  };
  let watched = null, packets = 0, dry = 9, quiet = 9, flows = false, sounds = false;
  const told = (what, now) => tell(what, now ? "yes" : "no");
  setInterval(async () => {
    if (newest !== watched) [watched, packets] = [newest, 0];
    let received = packets, level = 0;
    if (watched && watched.connectionState !== "closed") {
      for (const one of (await watched.getStats()).values()) {
        if (one.type !== "inbound-rtp") continue;
        [received, level] = [one.packetsReceived, one.audioLevel ?? 0];
      }
    }
    dry = received > packets ? 0 : dry + 1;
    quiet = level > 0.003 && dry === 0 ? 0 : quiet + 1;
    packets = received;
    if (flows !== dry < 5) told("packets", flows = dry < 5);
    if (sounds !== quiet < 5) told("audible", sounds = quiet < 5);
  }, 100);
})()"""
"""Runs in every document before any script of the page's. Looks ten times a second; half a second
without a packet, or without a sound, counts as none."""


class Microphone:
    """What Chromium's fake microphone gives: a file that is read from its start whenever the page
    opens the microphone."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.say()

    def say(self, *sentences: str) -> float:
        """Sentences from the next opening on, or silence; returns how long they take."""
        sounds = [render(text, voice="en-us", rate=155, pitch=50) for text in sentences]
        lead, rest = (np.zeros(int(s * SAMPLE_RATE), np.int16) for s in (0.2, SILENCE_S))
        with wave.open(str(self.file), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(SAMPLE_RATE)
            out.writeframes(np.concatenate([lead, *sounds, rest]).tobytes())
        return sum(len(sound) for sound in sounds) / SAMPLE_RATE


@asynccontextmanager
async def chromium(binary: str, microphone: Path | None = None) -> AsyncIterator[Browser]:
    capture = (f"--use-file-for-fake-audio-capture={microphone}%noloop",) if microphone else ()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=binary, args=[*CHROMIUM, *capture]
        )
        try:
            yield browser
        finally:
            await browser.close()


class CallPage:
    """One interview's page. Made by `open`; what it told is in `seen` and `messages`."""

    def __init__(self, context: BrowserContext, page: Page, microphone: Microphone) -> None:
        self.page = page
        self.seen: list[Seen] = []
        self.messages: list[dict[str, Any]] = []
        """Of the control channel, over all of its sockets."""
        self.blocked = 0
        """How often the browser wanted a press of a button before it played sound."""
        self._context = context
        self._microphone = microphone

    @classmethod
    async def open(cls, browser: Browser, link: str, microphone: Microphone) -> CallPage:
        """Up to where the call can be begun."""
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        page = await context.new_page()
        page.set_default_timeout(WITHIN_MS)
        made = cls(context, page, microphone)
        await context.expose_function("vivaTell", lambda told: made.seen.append(Seen(**told)))
        await context.add_init_script(WATCH)
        page.on("websocket", made._listen)
        microphone.say()
        await page.goto(link)
        await made.by("consent-interview").check()
        await made.by("consent-recording").check()
        await made.by("agree").click()
        await page.wait_for_selector("html[data-ready]")
        return made

    async def close(self) -> None:
        await self._context.close()

    def by(self, test_id: str) -> Locator:
        return self.page.get_by_test_id(test_id)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: self.messages.append(json.loads(frame)))

    # --- what it shows ----------------------------------------------------------------------------
    @property
    def state(self) -> str:
        """The last one told; "ended" stays."""
        states = [one.value for one in self.seen if one.what == "state"]
        return "ended" if "ended" in states else (states[-1:] or [""])[0]

    async def until(self, true: Callable[[], bool], within_s: float) -> bool:
        """Whether it came true in time."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            if true():
                return True
            await asyncio.sleep(0.02)
        return true()

    async def waits_for(self, *states: str, within_s: float = 40.0) -> str:
        """One of these states, or the end. Raises `TimeoutError`."""
        if not await self.until(lambda: self.state in (*states, "ended"), within_s):
            raise TimeoutError(f"not {' or '.join(states)} in {within_s:.0f} s but {self.state}")
        return self.state

    # --- what the candidate does ------------------------------------------------------------------
    async def types(self, text: str) -> None:
        await self.by("type-answer").fill(text)
        await self.by("send-answer").click()

    async def sends_what_is_left(self) -> bool:
        """An answer that still stands in its box was not taken: it is sent again."""
        if self.state not in THERE or not await self.by("type-answer").input_value():
            return False
        await self.by("send-answer").click()
        return True

    async def speaks(self, sentences: Sequence[str]) -> float:
        """Begin to say something; returns how long it takes. Another microphone is chosen, which
        opens it anew; what is opened later hears silence."""
        seconds = self._microphone.say(*sentences)
        devices = self.by("call-device")
        now = await devices.input_value()
        values = await devices.locator("option").evaluate_all("all => all.map(one => one.value)")
        other = next(value for value in values if value != now)
        await devices.select_option(other, force=True)
        await asyncio.sleep(0.4)
        self._microphone.say()
        return seconds

    async def reloads(self) -> None:
        await self.page.reload(wait_until="commit")

    async def allows_sound(self) -> None:
        """Press the button that lets the browser play, where it is shown."""
        button = self.by("sound-on")
        if await button.is_visible():
            self.blocked += 1
            await button.click()

    async def ends(self) -> None:
        if self.state != "ended":
            await self.by("end").click()
            await self.by("end-confirm").click()
        await self.by("transcript").wait_for()
