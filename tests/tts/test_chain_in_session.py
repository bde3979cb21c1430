"""The chain inside a real AgentSession, without a room: a sink that plays faster than real time."""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession, ModelSettings
from livekit.agents.voice import io
from voices_for_tests import UNIT_S, ToneVoice, runs

from tts.cache import RenderedLines
from tts.chain import VoiceChain

LINE = "What is the difference between a process and a thread?"


class Sink(io.AudioOutput):
    def __init__(self) -> None:
        super().__init__(
            label="test", capabilities=io.AudioOutputCapabilities(pause=False), sample_rate=24_000
        )
        self.pcm = b""
        self._captured_s = 0.0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self.pcm += bytes(frame.data)
        self._captured_s += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._captured_s:
            self.on_playback_finished(playback_position=self._captured_s, interrupted=False)
            self._captured_s = 0.0

    def clear_buffer(self) -> None:
        pass


class Speaker(Agent):
    """A `tts_node` as the interviewer's: one call is one part of a reply."""

    def __init__(self, chain: VoiceChain) -> None:
        super().__init__(instructions="")
        self._reply = chain.reply()

    async def tts_node(
        self, text: AsyncIterable[str], model_settings: ModelSettings
    ) -> AsyncIterator[rtc.AudioFrame]:
        line = "".join([part async for part in text])
        async with self._reply.synthesize(line) as stream:
            async for event in stream:
                yield event.frame


@asynccontextmanager
async def session_of(chain: VoiceChain, agent: Agent) -> AsyncIterator[tuple[AgentSession, Sink]]:
    sink = Sink()
    session = AgentSession(tts=chain, vad=None)
    session.output.audio = sink
    await session.start(agent)
    try:
        yield session, sink
    finally:
        await session.aclose()


def duration(pcm: bytes) -> float:
    return len(pcm) / 48_000


async def test_a_session_speaks_with_the_chain_as_it_is() -> None:
    chain = VoiceChain([ToneVoice("first", 100)])
    async with session_of(chain, Agent(instructions="")) as (session, sink):
        await session.say("Good morning to you. " + LINE)
        assert duration(sink.pcm) == pytest.approx(
            len("Good morning to you." + LINE) * UNIT_S, abs=0.2
        )


async def test_a_voice_that_fails_is_not_noticed_by_the_session() -> None:
    fails = ToneVoice("first", 100, fail_after=lambda text: 1.0)
    chain = VoiceChain([fails, ToneVoice("second", 200)])
    errors: list[object] = []
    async with session_of(chain, Speaker(chain)) as (session, sink):
        session.on("error", errors.append)
        handle = session.say(LINE)
        await handle
        assert handle.exception() is None
    assert [value for value, _ in runs(sink.pcm)] == [100, 200]
    assert errors == []


async def test_a_reply_of_two_parts_has_one_voice_and_takes_lines_from_the_cache() -> None:
    first, cache = ToneVoice("first", 100), RenderedLines()
    await cache.render([LINE], first)
    chain = VoiceChain([first, ToneVoice("second", 200)], cache=cache)
    async with session_of(chain, Speaker(chain)) as (session, sink):
        await session.say("Thank you.")
        await session.say(LINE)
    assert {int(value) for value in np.unique(np.frombuffer(sink.pcm, np.int16))} <= {0, 100}
    assert first.asked == [LINE, "Thank you."]  # the line was asked for once, ahead
