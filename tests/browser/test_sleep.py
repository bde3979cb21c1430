"""A laptop that is closed in mid-answer and opened again: every process of the browser stops, for
longer than the server waits.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from browsing import ENGLISH, Candidate, Site
from playwright.async_api import Browser
from sound import Microphone

ASLEEP_S = 9.0
"""The server gives a silent line up after four seconds, the page a silent channel after six."""


async def test_a_sleep_in_mid_answer_goes_on_at_the_same_question(
    site: Site, chromium: Browser, microphone: Microphone
) -> None:
    candidate = await Candidate.open(site, chromium)
    await candidate.consents()
    await candidate.begins()
    await candidate.asked(ENGLISH, "warm_up")
    await candidate.speaks(microphone, "In my free time I enjoy hiking and cooking.")
    await candidate.sees("hiking and cooking")
    with asleep(microphone.file):
        await asyncio.sleep(ASLEEP_S)
    await joined_again(site, candidate)  # until it notices, the page shows what it showed before
    await candidate.state("listening", "speaking", "thinking")
    await candidate.asked(ENGLISH, "experience")
    await candidate.types("I used Python and testing every day.")
    await candidate.sees("testing every day")
    candidate.check()
    async with site.operator() as operator:
        entries = await operator.events(candidate.invitation.interview_id)
    events = [entry["event"] for entry in entries]
    assert sum(event["type"] == "call_joined" for event in events) == 2
    greetings = [e for e in events if e["type"] == "line_spoken" and e["kind"] == "greeting"]
    assert len(greetings) == 1
    asked = [event["question_id"] for event in events if event["type"] == "question_asked"]
    assert asked == list(dict.fromkeys(asked))


async def joined_again(site: Site, candidate: Candidate) -> None:
    async with site.operator() as operator, asyncio.timeout(60):
        while True:
            entries = await operator.events(candidate.invitation.interview_id)
            if sum(entry["event"]["type"] == "call_joined" for entry in entries) > 1:
                return
            await asyncio.sleep(0.2)


@contextmanager
def asleep(microphone: Path) -> Iterator[None]:
    """Every process of the browser with this microphone stands still."""
    sleepers = list(_family(_browser(microphone)))
    began = time.monotonic()
    for pid in sleepers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(sleepers):
            os.kill(pid, signal.SIGCONT)
    assert time.monotonic() - began >= ASLEEP_S


def _browser(microphone: Path) -> int:
    """The browser's first process: it alone has our flag and no type."""
    for process in Path("/proc").glob("[0-9]*"):
        words = _words(process)
        ours = any(str(microphone) in word for word in words)
        if ours and not any(word.startswith("--type=") for word in words):
            return int(process.name)
    raise AssertionError("no browser with this microphone")


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from _family(int(child))


def _words(process: Path) -> list[str]:
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # it has ended by now
        return []
