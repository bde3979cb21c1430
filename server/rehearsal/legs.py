"""The candidate's spoken connection, whatever it is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from server.media.client import CallClient
from server.rehearsal.client import Guest
from server.rehearsal.sound import Samples


class SpokenLeg(Protocol):
    """A connection that stands. What breaks it raises `ConnectionError`, or aiortc's
    `InvalidStateError`."""

    async def say(self, pcm: Samples, rate: int) -> None:
        """In real time, until the last of it was sent."""

    async def press(self, keys: str) -> None:
        """Keys of a telephone."""

    async def hold(self, music: Samples, rate: int) -> None:
        """Play this over and over in place of whatever is said, and listen to nobody."""

    async def resume(self) -> None: ...

    async def drop(self) -> None:
        """Vanish: nobody is told."""

    async def close(self) -> None:
        """Take leave."""


Connect = Callable[[], Awaitable[SpokenLeg]]
"""Raises `Refused` and `OSError`."""


class BrowserLeg:
    """By WebRTC, as the candidate's page has it."""

    def __init__(self, call: CallClient) -> None:
        self._call = call
        self.say = call.say
        self.drop = call.drop
        self.close = call.close

    async def press(self, keys: str) -> None:
        raise ValueError(f"a browser has no keys: {keys}")

    async def hold(self, music: Samples, rate: int) -> None:
        raise ValueError("a browser puts nobody on hold")

    async def resume(self) -> None:
        raise ValueError("a browser puts nobody on hold")


def in_browser(guest: Guest) -> Connect:
    async def connect() -> SpokenLeg:
        call = CallClient()
        try:
            await call.accept(await guest.offer(await call.offer()))
            await call.connected()
        except BaseException:
            await call.drop()
            raise
        return BrowserLeg(call)

    return connect
