"""What a telephone sends every 20 ms: speech, digits, music on hold, silence or nothing.

Pure: the time is passed in. RTP's timestamp follows the clock, whatever was sent or not, and a tick
that comes late is one packet, never a burst: the speech waits, as one breath more, and the packets
that were not sent in time count as lost.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.media.g711 import A_LAW, MU_LAW, Law
from server.phone.softphone import telephone_event
from server.phone.softphone.rtp import Packet
from server.phone.softphone.telephone_event import Said

Pcm = NDArray[np.int16]

TICK_S = 0.02
FRAME = 160
LAWS: dict[str, Law] = {"PCMU/8000": MU_LAW, "PCMA/8000": A_LAW}
_SILENCE = np.zeros(FRAME, np.int16)
_NEXT = telephone_event.ENDS - 1
"""Ticks that the repeated ends of a digit take from the gap behind it."""


@dataclass(frozen=True)
class Terms:
    """What the two sides agreed on."""

    payload_type: int = 0
    codec: str = "PCMU/8000"
    event_type: int | None = None
    """None: the other side takes no digits inside RTP."""
    sends: bool = True


class Speaking:
    """`tick` it at `due`."""

    def __init__(self, seed: int, at: float) -> None:
        chance = random.Random(seed)
        self.terms = Terms(sends=False)
        self.muted = False
        """Silence suppression: nothing is sent where nothing is said."""
        self.music: Pcm | None = None
        """Played over and over in place of everything else."""
        self.due = at
        self.late = 0
        """Ticks that were passed over, since nobody came in time."""
        self._sequence = chance.randrange(1 << 15)
        self._timestamp = chance.randrange(1 << 31)
        self._ssrc = chance.randrange(1, 1 << 32)
        self._speech: deque[Pcm] = deque()
        self._keys: deque[Said | None] = deque()
        self._key_began = 0
        self._music_at = 0
        self._marker = True

    def play(self, pcm: Pcm) -> None:
        """8 kHz, behind what is still to be said; the last frame is filled up with silence."""
        whole = np.concatenate((pcm, np.zeros(-len(pcm) % FRAME, np.int16)))
        self._speech.extend(np.split(whole, len(whole) // FRAME) if len(whole) else [])

    def press(self, key: str, down_s: float, gap_s: float) -> None:
        """A digit, and so long nothing but speech behind it. No speech is lost: it waits while a
        key is down.
        """
        self._keys += telephone_event.press(key, max(2, round(down_s / TICK_S)))
        self._keys += [None] * max(1, round(gap_s / TICK_S) - _NEXT)

    def hush(self) -> None:
        self._speech.clear()

    @property
    def saying(self) -> bool:
        return bool(self._speech)

    @property
    def pressing(self) -> bool:
        return bool(self._keys)

    def tick(self, at: float) -> tuple[Packet, Pcm] | None:
        """The packet of this tick with its sound (none of a digit's), or nothing to send."""
        missed = max(0, int((at - self.due) / TICK_S))
        self.late += missed
        self._timestamp += FRAME * missed
        if self.terms.sends and not self.muted:
            # As if the line had lost them: a telephone that pauses is taken for another kind.
            self._sequence += missed
        self.due += TICK_S * (missed + 1)
        said = self._said()
        self._timestamp = (self._timestamp + FRAME) & 0xFFFFFFFF
        self._marker = said is None
        return said

    def _said(self) -> tuple[Packet, Pcm] | None:
        if not self.terms.sends:
            return None
        if self.music is not None:
            return self._sound(self._of_music(self.music))
        key = self._keys.popleft() if self._keys else None
        if key is not None and self.terms.event_type is not None:
            return self._digit(key, self.terms.event_type)
        if self._speech:
            return self._sound(self._speech.popleft())
        return None if self.muted else self._sound(_SILENCE)

    def _digit(self, key: Said, payload_type: int) -> tuple[Packet, Pcm]:
        if key.first:
            self._key_began = self._timestamp
        packet = self._packet(payload_type, key.payload, self._key_began, key.first)
        return packet, np.zeros(0, np.int16)

    def _sound(self, pcm: Pcm) -> tuple[Packet, Pcm]:
        payload = LAWS[self.terms.codec].encode(pcm)
        packet = self._packet(self.terms.payload_type, payload, self._timestamp, self._marker)
        return packet, pcm

    def _packet(self, payload_type: int, payload: bytes, timestamp: int, marker: bool) -> Packet:
        self._sequence = (self._sequence + 1) & 0xFFFF
        return Packet(
            payload_type, self._sequence, timestamp & 0xFFFFFFFF, self._ssrc, payload, marker
        )

    def _of_music(self, music: Pcm) -> Pcm:
        frame = np.take(music, range(self._music_at, self._music_at + FRAME), mode="wrap")
        self._music_at = (self._music_at + FRAME) % len(music)
        return frame
