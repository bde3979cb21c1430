"""One call to find out whether a PBX lets telephones talk: what `viva phone test` does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from server.phone.softphone.call import PhoneCall
from server.phone.softphone.endpoint import Timers
from server.phone.softphone.errors import NoReply, NotRegistered, Refused, SoftphoneError
from server.phone.softphone.listening import SAMPLE_RATE, Pcm, Statistics
from server.phone.softphone.phone import Phone

TONES_HZ = (440, 554, 659)
TONE_S = 0.5
_WHY = {
    401: "the PBX does not take this user and password",
    403: "the PBX forbids it to this user",
    404: "the PBX knows no such extension",
    407: "the PBX does not take this user and password",
    408: "nobody answered",
    480: "no telephone is registered there at the moment",
    484: "the number is not complete",
    486: "it is busy",
    488: "no codec in common: allow PCMU or PCMA, and plain RTP unless --srtp is given",
    503: "the PBX has no line for it at the moment",
    603: "it was declined",
}


class TrialFailed(SoftphoneError):
    """Why there was no call, in a sentence."""


@dataclass(frozen=True)
class Trial:
    answered_s: float
    """From dialling to the answer."""
    codec: str
    takes_digits: bool
    """Inside RTP."""
    listened_s: float
    heard: Pcm
    """At 8 kHz."""
    statistics: Statistics
    late: int
    """Packets left out by this machine."""
    hung_up_by_them: bool

    @property
    def good(self) -> bool:
        """Whether anything came back: silence counts, no packet at all does not."""
        return self.statistics.packets > 0

    def told(self) -> list[str]:
        """For the operator, a sentence a line."""
        digits = "taken inside RTP" if self.takes_digits else "by SIP INFO only"
        lines = [
            f"Answered after {self.answered_s:.1f} s with {self.codec}; digits are {digits}.",
            *([self._heard()] if self.good else [NOTHING_CAME]),
        ]
        if self.hung_up_by_them:
            lines.append(f"The other side hung up after {self.listened_s:.1f} s.")
        if self.late:
            lines.append(f"This machine was too busy to send {self.late} packets in time.")
        return lines

    def _heard(self) -> str:
        told = self.statistics
        share = 100 * told.lost / max(1, told.packets + told.lost)
        level = "" if told.level_dbfs is None else f" at {told.level_dbfs:.0f} dBFS"
        return (
            f"Heard {told.sound_s:.1f} s of sound{level} in {self.listened_s:.1f} s:"
            f" {told.packets} packets, {told.lost} lost ({share:.1f} %),"
            f" jitter {1000 * told.jitter_s:.1f} ms."
        )


NOTHING_CAME = (
    "No sound came back, not one packet: look whether a firewall or NAT between this machine and"
    " the PBX lets UDP through to any port."
)


def melody() -> Pcm:
    """A second and a half that a person knows for a test at once; -12 dBFS."""
    times = np.arange(round(TONE_S * SAMPLE_RATE)) / SAMPLE_RATE
    fade = np.minimum(1, np.minimum(times, TONE_S - times) / 0.01)
    tones = [np.sin(2 * np.pi * hertz * times) * fade for hertz in TONES_HZ]
    return (np.concatenate(tones) * 8192).astype(np.int16)


async def hold(
    phone: Phone,
    to: str,
    *,
    keys: str = "",
    listen_s: float = 10.0,
    ring_s: float = 45.0,
    say: Callable[[str], None] = lambda _: None,
) -> Trial:
    """Registers, calls, plays the melody, presses the keys, listens so long in all, hangs up. `say`
    is told what goes on. Raises `TrialFailed`.
    """
    try:
        async with phone:
            if phone.registered:
                say(f"Registered from {phone.address[0]}; calling {to} …")
            began = time.monotonic()
            call = await phone.call(to, ring_s=ring_s)
            return await _held(call, call.up_at - began, keys, listen_s)
    except NotRegistered as refused:
        raise TrialFailed(_sentence("The PBX does not register this telephone", refused)) from None
    except Refused as refused:
        raise TrialFailed(_sentence(f"There was no call to {to}", refused)) from None
    except NoReply as silence:
        raise TrialFailed(f"There was no call to {to}: {silence}.") from None
    except OSError as error:
        raise TrialFailed(f"The PBX or this address cannot be used: {error.strerror}.") from None


def quick() -> Timers:
    """A person waits: ten seconds for a PBX that is silent, not thirty-two."""
    return Timers(t1=0.16)


async def _held(call: PhoneCall, answered_s: float, keys: str, listen_s: float) -> Trial:
    call.play(melody())
    await call.say_done()
    if keys and call.state == "up":
        await call.press(keys, method="rfc4733" if call.takes_digits else "info")
    left = listen_s - (time.monotonic() - call.up_at)
    try:
        async with asyncio.timeout(max(0.0, left)):
            await call.ended()
    except TimeoutError:
        await call.hang_up()
    return Trial(
        answered_s=answered_s,
        codec=call.codec,
        takes_digits=call.takes_digits,
        listened_s=time.monotonic() - call.up_at,
        heard=call.heard(),
        statistics=call.statistics,
        late=call.talk.media.late,
        hung_up_by_them=call.ended_by == "them",
    )


def _sentence(what: str, refused: Refused) -> str:
    answer = f"{refused.code} {refused.reason}".strip()
    why = _WHY.get(refused.code)
    return f"{what}: {why} ({answer})." if why else f"{what}: it answered {answer}."
