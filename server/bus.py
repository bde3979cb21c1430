"""From the call host's thread to whoever listens in the web application: messages, per
interview.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

Message = dict[str, Any]
MOST_UNREAD = 1000
"""A listener this far behind loses its oldest messages; the event log has them."""


class _Listener:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[Message] = asyncio.Queue(MOST_UNREAD)

    def put(self, message: Message) -> None:
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(message)


class Bus:
    """Thread-safe; the last state of each interview is kept for those who come later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str, set[_Listener]] = defaultdict(set)
        self._states: dict[str, Message] = {}

    def publish(self, interview_id: str, message: Message) -> None:
        """Send to all who listen now; callable from any thread."""
        with self._lock:
            if message["type"] == "state":
                self._states[interview_id] = message
            listeners = list(self._listeners.get(interview_id, ()))
        for listener in listeners:
            try:
                listener.loop.call_soon_threadsafe(listener.put, message)
            except RuntimeError:  # its loop is closed: the listener is gone
                continue

    def forget(self, interview_id: str) -> None:
        """Nothing more will be said of this interview."""
        with self._lock:
            self._states.pop(interview_id, None)

    async def subscribe(self, interview_id: str) -> AsyncIterator[Message]:
        """Messages from now on, the last known state first."""
        listener = _Listener()
        with self._lock:
            self._listeners[interview_id].add(listener)
            state = self._states.get(interview_id)
        if state is not None:
            listener.put(state)
        try:
            while True:
                yield await listener.queue.get()
        finally:
            with self._lock:
                self._listeners[interview_id].discard(listener)
                if not self._listeners[interview_id]:
                    del self._listeners[interview_id]
