"""The candidate at a telephone: dials, keys the PIN, agrees by key, and is in the interview.

What the reception says is not understood here, only heard: the PIN is keyed once its voice speaks,
and an answer once it has spoken to its end, since a yes to what was not heard yet does nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from server.media.resample import Resampler
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.errors import SoftphoneError
from server.phone.softphone.listening import SAMPLE_RATE
from server.phone.softphone.phone import Phone
from server.rehearsal.sound import Samples

YES, NO = "1", "2"
LOUD = 500
"""The peak of a frame in which somebody speaks."""
SPEAKS_S = 0.3
"""So much of a voice is no click."""
CLICK_S = 0.06
"""So much is no voice yet."""
AFTER_KEY_S = 0.7
"""A line that a key cuts off is no longer heard by then."""
PAUSE_S = 2.0
"""A voice that is still for so long has come to its end; it waits longer for an answer."""
RECEPTION_S = 120.0
"""A plan's texts may be long."""
TICK_S = 0.05
FRAME = 160


class PhoneClient:
    """A `SpokenLeg` by telephone. Raises `ConnectionError` when the call has ended."""

    def __init__(self, call: PhoneCall) -> None:
        self.call = call

    async def say(self, pcm: Samples, rate: int) -> None:
        await self.call.say(Resampler(rate, SAMPLE_RATE).push(pcm))
        self._must_be_up()

    async def press(self, keys: str) -> None:
        with _as_connection():
            await self.call.press(keys)
        self._must_be_up()

    async def hold(self, music: Samples, rate: int) -> None:
        with _as_connection():
            await self.call.hold(Resampler(rate, SAMPLE_RATE).push(music))

    async def resume(self) -> None:
        with _as_connection():
            await self.call.resume()

    async def drop(self) -> None:
        """No BYE and no packet more: the server has to notice."""
        self.call.vanish()

    async def close(self) -> None:
        await self.call.hang_up()

    async def hears(self, since: float) -> None:
        """Until a voice has spoken after this monotonic time."""
        while spoken_s(self.call.heard(since)) < SPEAKS_S:
            self._must_be_up()
            await asyncio.sleep(TICK_S)

    async def hears_out(self, since: float) -> None:
        """Until a voice has spoken after this monotonic time, and has come to its end."""
        await self.hears(since)
        while spoken_s(self.call.heard(time.monotonic() - PAUSE_S)) > CLICK_S:
            self._must_be_up()
            await asyncio.sleep(TICK_S)

    def _must_be_up(self) -> None:
        if self.call.state == "ended":
            raise ConnectionError("the call has ended")


class Caller:
    """Somebody with a PIN. `connect` as often as wanted; the consents are asked for once."""

    def __init__(self, phone: Phone, to: str, pin: str, *, recording: bool) -> None:
        """`to`: the extension that is called."""
        self.agreed = False
        """Whether the consents were given; asked for no more."""
        self._phone, self._to, self._pin = phone, to, pin
        self._answers = (YES, YES if recording else NO)

    async def connect(self) -> PhoneClient:
        """Up to the interview's first words. Raises `OSError`."""
        return await self.through_reception(await self.dial())

    async def dial(self) -> PhoneClient:
        """Up to the answer. Raises `OSError`."""
        with _as_connection():  # not registered yet, busy, away
            return PhoneClient(await self._phone.call(self._to))

    async def through_reception(self, leg: PhoneClient) -> PhoneClient:
        """From the answer to the interview's first words; the leg is closed where that fails.
        Raises `OSError`."""
        try:
            async with asyncio.timeout(RECEPTION_S):
                await self._answer_reception(leg)
        except BaseException:
            await leg.close()
            raise
        return leg

    async def _answer_reception(self, leg: PhoneClient) -> None:
        await leg.hears(0.0)
        await leg.press(self._pin)
        for answer in () if self.agreed else self._answers:
            await leg.hears_out(time.monotonic() + AFTER_KEY_S)
            await leg.press(answer)
        self.agreed = True


@contextmanager
def _as_connection() -> Iterator[None]:
    """What the telephone raises, as what breaks a leg."""
    try:
        yield
    except SoftphoneError as error:
        raise ConnectionError(str(error)) from error


def spoken_s(pcm: Samples) -> float:
    """Seconds in which somebody speaks."""
    whole = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME).astype(np.int32)
    loud = np.abs(whole).max(axis=1, initial=0) > LOUD
    return float(loud.sum()) * FRAME / SAMPLE_RATE
