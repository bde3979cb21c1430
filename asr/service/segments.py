"""A connection of the kind `segments`: a worker asks for segments, of all its sessions.

What one segment suffers is said of that one; the others go on.
"""

import asyncio
import logging
from dataclasses import dataclass

import numpy as np

from asr.decoder import LONGEST_S
from asr.errors import AtCapacity, HearingError, Overloaded, UnknownLanguage
from asr.recognition import Source
from asr.segmenter import SAMPLE_RATE, Pcm
from asr.service.parts import Parts, Tell
from asr.service.protocol import (
    Cancel,
    Code,
    Enter,
    Entered,
    Error,
    Hello,
    Leave,
    Message,
    Recognise,
    Refused,
    Sound,
    TurnedAway,
    recognised,
)

logger = logging.getLogger(__name__)

MAX_HELD_S = 600.0
"""Sound that one connection may have here unrecognised: 19 MB."""
MAX_HELD = 512
"""Segments likewise."""
MAX_SESSIONS = 1024


@dataclass(eq=False)
class _Asked:
    message: Recognise
    wanted: bool = True
    """False: refused or cancelled; what still comes of it is thrown away."""
    came: int = 0
    sound: Pcm | None = None
    """Room for all of it, from the first frame on: whatever the size of the frames, two bytes a
    sample."""
    task: "asyncio.Task[None] | None" = None

    def take(self, frame: Sound) -> None:
        if self.sound is None:
            self.sound = np.empty(self.message.samples, np.int16)
        self.sound[frame.position : frame.end] = frame.pcm


class Segments:
    def __init__(self, parts: Parts, hello: Hello, tell: Tell) -> None:
        self._parts = parts
        self._tell = tell
        self._asked: dict[int, _Asked] = {}
        self._held = 0  # samples
        self._entering: dict[str, asyncio.Task[None]] = {}
        """The sessions that are in, or may be."""

    @property
    def settled(self) -> int:
        return 0

    def obey(self, message: Message) -> None:
        match message:
            case Recognise():
                self._ask(message)
            case Cancel():
                if asked := self._asked.get(message.segment):
                    self._drop(asked)
            case Enter():
                self._enter(message)
            case Leave(session=session):
                self._leave(session)
            case _:
                raise Refused("bad_message", "flush and end are for streams.")

    def hear(self, sound: Sound) -> None:
        asked = self._asked.get(sound.segment)
        if asked is None or sound.position != asked.came or sound.end > asked.message.samples:
            raise Refused("bad_frame", f"Sound that was not due came for segment {sound.segment}.")
        asked.came = sound.end
        if asked.wanted:
            asked.take(sound)
        if asked.came == asked.message.samples:
            self._complete(asked)

    async def finish(self) -> None:
        """Half a segment is not waited for: its client has it, and asks again."""
        if tasks := [one.task for one in self._asked.values() if one.task]:
            await asyncio.wait(tasks)

    def close(self) -> None:
        for asked in self._asked.values():
            if asked.task:
                asked.task.cancel()
        for session in list(self._entering):
            self._leave(session)

    def _enter(self, message: Enter) -> None:
        if len(self._entering) >= MAX_SESSIONS:
            raise Refused("bad_message", f"No client has {MAX_SESSIONS} sessions.")
        entering = self._entering.get(message.session)
        if entering is None:
            task = asyncio.create_task(self._admit(message))
            self._entering[message.session] = task
        elif entering.done():
            self._tell(Entered(session=message.session))

    async def _admit(self, message: Enter) -> None:
        session = message.session
        try:
            key = self._source(session)
            await self._parts.recogniser.enter(key, regardless=message.regardless)
            self._tell(Entered(session=session))
        except AtCapacity as e:
            self._entering.pop(session, None)
            self._parts.metrics.refused.labels("at_capacity").inc()
            self._tell(TurnedAway(session=session, text=str(e)))

    def _leave(self, session: str) -> None:
        if task := self._entering.pop(session, None):
            task.cancel()
            self._parts.recogniser.leave(self._source(session))

    def _source(self, stream: str) -> Source:
        return Source(id(self), stream)

    def _ask(self, message: Recognise) -> None:
        if message.segment in self._asked:
            raise Refused("bad_message", f"Segment {message.segment} is still being recognised.")
        if len(self._asked) >= 2 * MAX_HELD:  # refused ones whose sound never comes
            raise Refused("bad_message", "Many segments were announced whose sound never came.")
        asked = self._asked[message.segment] = _Asked(message)
        refusal = self._refusal(message)
        if refusal:
            asked.wanted = False
            self._tell(refusal)
        else:
            self._held += message.samples

    def _refusal(self, message: Recognise) -> Error | None:
        seconds = message.samples / SAMPLE_RATE
        if seconds > LONGEST_S:
            text = f"{seconds:.1f} s of sound in one segment; at most {LONGEST_S} s."
            return Error(code="too_long", text=text, segment=message.segment)
        held = sum(one.wanted for one in self._asked.values())
        if held > MAX_HELD or self._held + message.samples > MAX_HELD_S * SAMPLE_RATE:
            text = f"{held - 1} segments of this client are not recognised yet."
            return Error(code="overloaded", text=text, segment=message.segment)
        return None

    def _complete(self, asked: _Asked) -> None:
        audio, asked.sound = asked.sound, None
        if not asked.wanted or audio is None:
            del self._asked[asked.message.segment]
            return
        asked.task = asyncio.create_task(self._recognise(asked.message, audio))
        asked.task.add_done_callback(lambda _: self._forget(asked))
        self._parts.metrics.audio.labels("segments").inc(len(audio) / SAMPLE_RATE)

    async def _recognise(self, message: Recognise, audio: Pcm) -> None:
        code: Code = "failed"
        try:
            found = await self._parts.recognise(
                audio,
                language=message.language,
                hotwords=message.hotwords,
                interim=message.interim,
                source=self._source(message.source),
            )
            self._tell(recognised(message.segment, found))
            return
        except Overloaded as e:
            code, text = "overloaded", str(e)
        except UnknownLanguage as e:
            code, text = "unknown_language", str(e)
        except HearingError as e:
            text = str(e)
        except Exception as e:
            # This task's outermost edge: the client waits for an answer whatever happens here.
            logger.exception("a segment could not be recognised")
            text = f"{type(e).__name__}: {e}"
        self._tell(Error(code=code, text=text, segment=message.segment))

    def _drop(self, asked: _Asked) -> None:
        if asked.task:
            asked.task.cancel()
        elif asked.wanted:
            asked.wanted = False
            asked.sound = None
            self._held -= asked.message.samples

    def _forget(self, asked: _Asked) -> None:
        del self._asked[asked.message.segment]
        self._held -= asked.message.samples
