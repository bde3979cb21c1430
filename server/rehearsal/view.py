"""What an onlooker sees of a rehearsal: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

LINES = 10
STYLES = {"candidate": "cyan", "interviewer": "green"}


class View:
    """Fed with the control channel's messages; `to_come` says what the run still has to show."""

    def __init__(
        self, console: Console, title: str, to_come: Callable[[], list[str]] = list
    ) -> None:
        self._console = console
        self._title = title
        self._to_come = to_come
        self._began = time.monotonic()
        self._state: Mapping[str, Any] = {}
        self._lines: deque[tuple[str, str]] = deque(maxlen=LINES)
        self._open: dict[str, str] = {}
        self._live = (
            Live(get_renderable=self._render, console=console, refresh_per_second=4)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def feed(self, message: Mapping[str, Any]) -> None:
        match message.get("type"):
            case "state":
                self._state_changed(message)
            case "caption":
                self._caption(message)
            case "notice":
                self._say("notice", str(message.get("text", "")))

    def note(self, text: str) -> None:
        """Something that the run itself does."""
        self._say("rehearsal", text)

    def _state_changed(self, message: Mapping[str, Any]) -> None:
        moved = message.get("stage") and message.get("stage") != self._state.get("stage")
        self._state = message
        if moved and self._live is None:
            self._print("stage", str(message["stage"]))

    def _caption(self, message: Mapping[str, Any]) -> None:
        speaker, text = str(message.get("speaker")), str(message.get("text", ""))
        self._open.pop(speaker, None)
        if not message.get("final"):
            self._open[speaker] = text
        elif text:
            self._say(speaker, text)

    def _say(self, who: str, text: str) -> None:
        self._lines.append((who, text))
        if self._live is None:
            self._print(who, text)

    def _print(self, who: str, text: str) -> None:
        self._console.print(f"{self._elapsed()}  {who:<11}  {text}", markup=False, soft_wrap=True)

    def _elapsed(self) -> str:
        seconds = int(time.monotonic() - self._began)
        return f"{seconds // 60}:{seconds % 60:02d}"

    def _render(self) -> Panel:
        state = self._state
        facts = Table.grid(padding=(0, 2))
        question = f"{state.get('question', '–')} of {state.get('questions', '–')}"
        facts.add_row("elapsed", self._elapsed(), "state", str(state.get("state", "starting")))
        facts.add_row("stage", str(state.get("stage") or "–"), "question", question)
        words = Table.grid(padding=(0, 2))
        for who, text in self._lines:
            words.add_row(Text(who, STYLES.get(who, "dim")), Text(text))
        for who, text in self._open.items():
            words.add_row(Text(who, STYLES.get(who, "dim")), Text(text, "italic"))
        left = ", ".join(self._to_come()) or "nothing"
        return Panel(
            Group(facts, Text(), words, Text(), Text(f"to come: {left}", "dim")), title=self._title
        )
