"""Logging for operators: one line each, with the interview it belongs to; no words of candidates
above DEBUG.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TextIO

_interview: ContextVar[str] = ContextVar("interview", default="-")
FORMAT = "%(asctime)s %(levelname)-7s %(interview)s %(name)s: %(message)s"
NOISY = (
    "aioice",
    "aiortc",
    "alembic",
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "openai",
    "asyncio",
    "livekit",
)
"""Libraries whose INFO says nothing to an operator, or too much of what was said."""


@contextlib.contextmanager
def interview(interview_id: str) -> Iterator[None]:
    """Log lines from here (and from tasks begun here) carry the interview's id."""
    token = _interview.set(interview_id)
    try:
        yield
    finally:
        _interview.reset(token)


def set_interview(interview_id: str) -> None:
    """As `interview`, for the rest of this task."""
    _interview.set(interview_id)


class OneLine(logging.Formatter):
    """A message is one line whatever stands in it, so that nobody forges a line with a name; a
    traceback follows as it is."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in record.message)
        return super().formatMessage(record)


def _with_interview(record: logging.LogRecord) -> bool:
    if not hasattr(record, "interview"):
        record.interview = _interview.get()
    return True


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send all logging to one stream (standard error), in one form."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(OneLine(FORMAT))
    handler.addFilter(_with_interview)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
