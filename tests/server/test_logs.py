"""Each line names its interview, and one message is one line."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator

import pytest

from server import logs


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    noisy = {name: logging.getLogger(name).level for name in logs.NOISY}
    stream = io.StringIO()
    logs.configure("info", stream)
    yield stream
    root.handlers[:], root.level = before, level
    for name, was in noisy.items():
        logging.getLogger(name).setLevel(was)


async def test_tasks_of_two_interviews_log_under_their_own_ids(out: io.StringIO) -> None:
    async def work(interview_id: str) -> None:
        with logs.interview(interview_id):
            await asyncio.sleep(0)
            logging.getLogger("server.x").info("turn of %s", interview_id)

    await asyncio.gather(work("one"), work("two"))
    logging.getLogger("server.x").info("of nobody")
    lines = out.getvalue().splitlines()
    assert " one server.x: turn of one" in lines[0]
    assert " two server.x: turn of two" in lines[1]
    assert " - server.x: of nobody" in lines[2]


def test_a_name_cannot_forge_a_line_or_colour_the_terminal(out: io.StringIO) -> None:
    logging.getLogger("x").warning("name: %s", "Ada\r\n2026 ERROR forged \x1b[31m\u202e 你好")
    text = out.getvalue()
    assert text.count("\n") == 1
    assert "\x1b" not in text and "\u202e" not in text
    assert "你好" in text


def test_a_traceback_keeps_its_lines(out: io.StringIO) -> None:
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("x").exception("failed")
    assert "Traceback" in out.getvalue()
    assert out.getvalue().splitlines()[-1] == "ValueError: why"


def test_libraries_speak_only_when_something_is_wrong(out: io.StringIO) -> None:
    logging.getLogger("httpx").info("GET http://…")
    logging.getLogger("httpx").warning("odd")
    assert out.getvalue().count("\n") == 1
