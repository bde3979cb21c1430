"""Speaking to a caller, and hearing words of theirs, where there is no AgentSession: before the
interview and behind it. LiveKit's models may not run here; the recogniser's own stream does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable

import numpy as np
from numpy.typing import NDArray

from asr.emission import join
from asr.recognition import Recogniser
from asr.service.metrics import Metrics
from asr.service.parts import Parts
from asr.service.protocol import Final, FromService, Hello, Refused, Sound, Utterance
from asr.service.stream import Stream
from server.equipment import SessionVoice
from server.media.output import RtcAudioOutput
from server.media.peer import Peer
from server.media.resample import Resampler

logger = logging.getLogger(__name__)

Pcm = NDArray[np.int16]
SAMPLE_RATE = 16_000
LEAD_S = 0.3
"""A word that began so shortly before the end of ours is an answer, not our echo."""


class Mouth:
    """Says lines to a peer, one at a time."""

    def __init__(self, peer: Peer, voice: SessionVoice) -> None:
        self._voice = voice
        self._output = RtcAudioOutput()
        self._output.attach(peer.track)
        self._saying: asyncio.Task[bool] | None = None
        self._replies = 0

    async def say(self, text: str) -> bool:
        """Until the last word is heard, or `stop`; whether all of it was. A voice that fails says
        nothing."""
        task = self._saying = asyncio.create_task(self._say(text), name="phone-line")
        await asyncio.wait([task])
        if task.cancelled():
            return False
        if (error := task.exception()) is not None:
            logger.error("a line could not be said to a caller", exc_info=error)
            return False
        return task.result()

    def stop(self) -> None:
        """Be silent at once."""
        if self._saying is not None:
            self._saying.cancel()
        self._output.flush()  # or what is said next would be taken for the rest of this line
        self._output.clear_buffer()

    def close(self) -> None:
        self.stop()
        self._output.close()

    async def _say(self, text: str) -> bool:
        self._replies += 1
        spoken = False
        async for frame in self._voice.speak(text, f"phone-{self._replies}"):
            spoken = True
            await self._output.capture_frame(frame)
        if spoken:
            self._output.flush()
            await self._output.wait_for_playout()
        return spoken


class Ears:
    """Hears a caller's words through the recogniser that serves the interviews."""

    def __init__(
        self, recogniser: Recogniser, language: str, on_words: Callable[[str], None]
    ) -> None:
        """`on_words` is called with what was said in quiet, up to a silence: "Well … yes" is one
        answer, and so is "No … I mean yes"."""
        self._recogniser = recogniser
        self._language = language
        self._on_words = on_words
        self._said: list[str] = []
        self._position = 0
        self._quiet_from = 0
        self._resampler: Resampler | None = None
        self._rate = 0
        self._open()

    def hear(self, pcm: Pcm, rate: int, at: float) -> None:
        """A stretch of sound, as `Peer.on_heard` gives it."""
        if self._resampler is None or rate != self._rate:
            self._resampler, self._rate = Resampler(rate, SAMPLE_RATE), rate
        sound = self._resampler.push(pcm)
        if not len(sound):
            return
        try:
            self._stream.hear(Sound(0, self._position, sound))
            self._position += len(sound)
        except Refused as refusal:
            # Behind by half a minute: what was said then is no answer to what is asked now.
            logger.warning("words of a caller were not recognised in time: %s", refusal)
            self._stream.close()
            self._open()

    @property
    def busy(self) -> bool:
        """Whether words of the caller's are under way, from the first sound to the recogniser's
        word on them."""
        return self._stream.busy

    def quiet(self) -> None:
        """Our own words end now: what is said from here on is the caller's."""
        self._quiet_from = self._position - round(LEAD_S * SAMPLE_RATE)
        self._said.clear()

    def close(self) -> None:
        self._stream.close()

    def _open(self) -> None:
        self._position = self._quiet_from = 0
        self._said.clear()
        parts = Parts(_Served(self._recogniser), Metrics(lambda: 0))
        self._stream = Stream(parts, Hello(language=self._language), self._told)

    def _told(self, message: FromService) -> None:
        match message:
            case Final() if message.voice_start >= self._quiet_from and message.text:
                self._said.append(message.text)
            case Utterance() if self._said:
                self._on_words(join(self._said, self._language))
                self._said.clear()


class _Served:
    """A recogniser as the service's stream wants it; what it counts is not looked at here, and a
    caller is admitted where the line is."""

    compute_type = ""
    queued = sessions = 0
    promised = 0.0

    def __init__(self, recogniser: Recogniser) -> None:
        self.recognise = recogniser.recognise
        self.model = recogniser.model

    async def enter(self, session: Hashable, *, regardless: bool = False) -> None: ...
    def leave(self, session: Hashable) -> None: ...
