"""The voice chain: one LiveKit TTS over several, which speaks as long as one of them can.

- A line rendered ahead comes from the cache; anything else from the first voice that is well.
- A sentence is spoken once. A voice that fails before its first sound is replaced from the start
  (it is asked a second time if it failed at once and may do better); one that stops in the middle,
  from where it stopped (`tts.resume` has the rule).
- One voice for a whole reply: `chain.reply()` gives an object whose sentences all come from the
  voice that the first one came from; after a fallback the reply stays with the fallback.
- A voice that fails again and again is left alone, and tried again behind the scenes
  (`tts.breaker`): nobody waits for a probe.

Voices, their health and the cache are shared between sessions; `for_session()` gives each its own
face, whose "voice_changed" events are that session's alone.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, APIError, tts, utils
from livekit.agents.types import TimedString

from tts.audio import NUM_CHANNELS, SAMPLE_RATE, frames_of, seconds
from tts.breaker import Breaker
from tts.cache import RenderedLines, RenderResult
from tts.errors import NoVoiceError
from tts.resume import UNITS_PER_SECOND, remainder, units
from tts.text import speakable
from tts.voice import ONCE, speak, voice_id

logger = logging.getLogger(__name__)

QUICK_FAILURE_S = 0.5
"""A refusal that comes this fast leaves time to ask the same voice again."""


@dataclass(frozen=True)
class VoiceChanged:
    """An incident for the report."""

    voice: str
    previous: str
    reason: str
    mid_sentence: bool


@dataclass(eq=False)
class _Member:
    voice: tts.TTS
    breaker: Breaker
    units_per_second: float = UNITS_PER_SECOND
    last_failure: str = ""

    @property
    def id(self) -> str:
        return voice_id(self.voice)

    def learn_pace(self, text: str, spoken_s: float) -> None:
        if spoken_s > 1.0:
            self.units_per_second += 0.3 * (units(text) / spoken_s - self.units_per_second)


@dataclass
class _Progress:
    """How far one voice came with one text."""

    spoken_s: float = 0.0
    words: list[TimedString] = field(default_factory=list)


class VoiceChain(tts.TTS[Literal["voice_changed"]]):
    """`voices` in order of preference; the last should be one that cannot fail."""

    def __init__(
        self,
        voices: Sequence[tts.TTS],
        *,
        cache: RenderedLines | None = None,
        clock: Callable[[], float] = time.monotonic,
        breaker: Callable[[], Breaker] = Breaker,
        sharing: "VoiceChain | None" = None,
    ) -> None:
        if not voices:
            raise ValueError("a voice chain needs at least one voice")
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False),
            sample_rate=SAMPLE_RATE,
            num_channels=NUM_CHANNELS,
        )
        self._owns_voices = sharing is None
        self._members: list[_Member] = (
            sharing._members if sharing else [_Member(voice, breaker()) for voice in voices]
        )
        self._cache, self._clock = cache, clock
        self._current = self._members[0]
        self._probes: set[asyncio.Task[None]] = set()

    def for_session(self) -> "VoiceChain":
        """The same voices, health and cache, with events of its own; closing it closes no voice."""
        return VoiceChain(self.voices, cache=self._cache, clock=self._clock, sharing=self)

    @property
    def model(self) -> str:
        return self._current.voice.model

    @property
    def provider(self) -> str:
        return self._current.voice.provider

    @property
    def voices(self) -> list[tts.TTS]:
        return [member.voice for member in self._members]

    def reply(self) -> "ReplyVoice":
        """Begin a reply; keep the object as long as the reply lasts."""
        return ReplyVoice(self)

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """A reply of one sentence. `conn_options` is not used: retries are the chain's own."""
        return self.reply().synthesize(text)

    async def render_ahead(self, lines: Iterable[str]) -> RenderResult:
        """Render verbatim lines in the voice that would speak now; needs a cache."""
        if self._cache is None:
            raise ValueError("this voice chain has no cache to render into")
        return await self._cache.render(lines, self._order(None)[0].voice)

    def prewarm(self) -> None:
        for member in self._members:
            member.voice.prewarm()

    async def aclose(self) -> None:
        await utils.aio.cancel_and_wait(*self._probes)
        if self._owns_voices:
            for member in self._members:
                await member.voice.aclose()

    def _order(self, pinned: _Member | None) -> list[_Member]:
        """Who is asked, in turn: the reply's voice, those that are well, then, before silence, the
        rest."""
        well = [member for member in self._members if member.breaker.closed]
        ill = [member for member in self._members if not member.breaker.closed]
        return sorted(well, key=lambda member: member is not pinned) + ill

    def _speaks(self, member: _Member, *, mid_sentence: bool) -> None:
        """Told at a voice's first sound."""
        if member is self._current:
            return
        previous, self._current = self._current, member
        better = self._members.index(member) < self._members.index(previous)
        reason = "it is well again" if better else previous.last_failure
        change = VoiceChanged(member.id, previous.id, reason, mid_sentence)
        logger.warning("the voice changed from %s to %s: %s", change.previous, change.voice, reason)
        try:
            self.emit("voice_changed", change)
        except (
            TypeError
        ):  # LiveKit lets a listener's TypeError through, which would end the sentence
            logger.exception("a voice_changed listener failed")

    def _failed(self, member: _Member, error: Exception) -> str:
        member.breaker.failed(self._clock())
        member.last_failure = error.message if isinstance(error, APIError) else repr(error)
        return member.last_failure

    def _probe_the_ill(self, text: str) -> None:
        for member in self._members:
            if member.breaker.start_probe(self._clock()):
                task = asyncio.create_task(self._probe(member, text), name=f"probe {member.id}")
                self._probes.add(task)
                task.add_done_callback(self._probes.discard)

    async def _probe(self, member: _Member, text: str) -> None:
        try:
            async with contextlib.aclosing(speak(member.voice, text)) as pieces:
                async for _ in pieces:
                    pass
        except asyncio.CancelledError:
            member.breaker.gave_up()
            raise
        except Exception as error:  # the outermost edge of a task, over code that may be anybody's
            logger.info("%s is still ill: %s", member.id, self._failed(member, error))
        else:
            logger.info("%s is well again", member.id)
            member.breaker.spoke()


class ReplyVoice:
    """One voice for a whole reply."""

    def __init__(self, chain: VoiceChain) -> None:
        self._chain = chain
        self._member: _Member | None = None

    @property
    def voice(self) -> str | None:
        """The id of the voice that speaks this reply, once it has begun."""
        return self._member.id if self._member else None

    def synthesize(self, text: str) -> tts.ChunkedStream:
        """One sentence, or one verbatim line whole: the cache knows lines by their whole text."""
        return _ChainStream(self._chain, self, speakable(text))


class _ChainStream(tts.ChunkedStream):
    def __init__(self, chain: VoiceChain, reply: ReplyVoice, text: str) -> None:
        self._chain, self._reply = chain, reply
        super().__init__(tts=chain, input_text=text, conn_options=ONCE)

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=SAMPLE_RATE,
            num_channels=NUM_CHANNELS,
            mime_type="audio/pcm",
        )
        if not self.input_text:
            return
        if self._reply._member is None:
            self._chain._probe_the_ill(self.input_text)
        members = self._chain._order(self._reply._member)
        if not self._from_cache(members[0], output_emitter):
            await self._from_voices(members, output_emitter)

    def _from_cache(self, member: _Member, emitter: tts.AudioEmitter) -> bool:
        cache = self._chain._cache
        frames = cache.frames(self.input_text, member.id) if cache else None
        if frames is None:
            return False
        self._begins(member, mid_sentence=False)
        for frame in frames:
            emitter.push_frame(frame)
        return True

    async def _from_voices(self, members: list[_Member], emitter: tts.AudioEmitter) -> None:
        rest, reasons = self.input_text, dict[str, str]()
        for member in members:
            progress = _Progress()
            try:
                await self._patiently(member, rest, emitter, progress)
            except (
                Exception
            ) as error:  # a voice may be anybody's code; whatever it does, another speaks
                reasons[member.id] = self._chain._failed(member, error)
                if not isinstance(error, APIError):
                    logger.exception("%s broke", member.id)
                rest = remainder(rest, progress.spoken_s, progress.words, member.units_per_second)
                if not rest:
                    return
            else:
                member.breaker.spoke()
                member.learn_pace(rest, progress.spoken_s)
                return
        raise NoVoiceError(reasons)

    async def _patiently(
        self, member: _Member, text: str, emitter: tts.AudioEmitter, progress: _Progress
    ) -> None:
        started = self._chain._clock()
        try:
            await self._forward(member, text, emitter, progress)
        except APIError as error:
            late = self._chain._clock() - started > QUICK_FAILURE_S
            if progress.spoken_s or late or not error.retryable:
                raise
            await self._forward(member, text, emitter, progress)

    async def _forward(
        self, member: _Member, text: str, emitter: tts.AudioEmitter, progress: _Progress
    ) -> None:
        async with contextlib.aclosing(speak(member.voice, text)) as pieces:
            async for piece in pieces:
                progress.words += piece.words
                if not piece.pcm:
                    continue
                self._begins(member, mid_sentence=text != self.input_text)
                progress.spoken_s += seconds(piece.pcm)
                for frame in frames_of(piece.pcm, frame_ms=200):
                    emitter.push_frame(frame)
        if not progress.spoken_s:
            raise APIError("the voice gave no audio")

    def _begins(self, member: _Member, *, mid_sentence: bool) -> None:
        self._reply._member = member
        self._chain._speaks(member, mid_sentence=mid_sentence)
