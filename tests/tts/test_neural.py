"""The local neural voice through a real sherpa-onnx, with models made here."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_voices
from livekit.agents import APIConnectOptions, tts

from tts.audio import SAMPLE_RATE, Samples
from tts.cache import RenderedLines
from tts.chain import ReplyVoice, VoiceChain, VoiceChanged
from tts.child import Child
from tts.clauses import clauses
from tts.errors import NeuralError, NoVoiceError
from tts.espeak import EspeakTTS
from tts.espeak_process import EspeakProcess
from tts.neural import NeuralTTS
from tts.neural_folder import find
from tts.neural_process import Clause, NeuralProcess
from tts.voice import voice_id
from tts.voices import build

ONCE = APIConnectOptions(max_retry=0)
SENTENCE = "Thank you for telling me, and what did you do after that? Take all the time you need."
CHINESE = "你好，我来问你几个问题。请介绍一下你最近的项目。"
SLOW_MACHINE_S = 60.0
"""Patience where a test must not depend on how loaded the machine is."""


class Watched(NeuralProcess):
    """Notes the clauses as their turns come, and holds those that `holds` names."""

    def __init__(self, folder: Path) -> None:
        super().__init__(find(folder), threads=1)
        self.computed: list[str] = []
        self.holds: set[str] = set()
        self.release = asyncio.Event()

    async def _ask(self, child: Child, clause: Clause) -> AsyncGenerator[bytes, None]:
        if clause.text in self.holds:
            await self.release.wait()
        self.computed.append(clause.text)
        async with contextlib.aclosing(super()._ask(child, clause)) as pieces:
            async for piece in pieces:
                yield piece


@pytest.fixture
async def spelling() -> AsyncIterator[EspeakProcess]:
    process = EspeakProcess()
    yield process
    await process.aclose()


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Watched]:
    process = Watched(tiny_voices.piper(tmp_path / "piper"))
    yield process
    await process.aclose()


@pytest.fixture
def voice(process: Watched, spelling: EspeakProcess) -> NeuralTTS:
    return patient(process, spelling)


def patient(process: NeuralProcess, spelling: EspeakProcess, language: str = "en") -> NeuralTTS:
    return NeuralTTS(process, spelling, language, patience_s=SLOW_MACHINE_S)


async def spoken(voice: tts.TTS | ReplyVoice, text: str) -> Samples:
    # Once: LiveKit's own retries would hide a failure, and say the beginning twice.
    once = {} if isinstance(voice, ReplyVoice) else {"conn_options": ONCE}
    async with voice.synthesize(text, **once) as stream:
        pcm = b"".join([bytes(event.frame.data) async for event in stream])
    return np.frombuffer(pcm, np.int16)


async def until(condition: Callable[[], bool]) -> None:
    """For what no event tells: that a task has got to its turn, that a process has ended."""
    async with asyncio.timeout(SLOW_MACHINE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def expected_s(text: str, spelling: EspeakProcess) -> float:
    """How long the tone is that the model makes of every clause, and the pause at the end."""
    phonemes = [await spelling.phonemes(one, "en-us") for one in clauses(text)]
    samples = sum(map(tiny_voices.piper_samples, phonemes))
    return samples / tiny_voices.RATE + 0.2


async def test_every_clause_is_spoken_whole_and_in_order(
    voice: NeuralTTS, process: Watched, spelling: EspeakProcess
) -> None:
    samples = await spoken(voice, SENTENCE)
    assert process.computed == clauses(SENTENCE)
    assert len(process.computed) == 3
    expected = await expected_s(SENTENCE, spelling)
    assert len(samples) / SAMPLE_RATE == pytest.approx(expected, abs=0.03)


async def test_the_first_clause_is_heard_before_the_second_is_computed(
    voice: NeuralTTS, process: Watched
) -> None:
    first, *later = clauses(SENTENCE)
    process.holds = set(later)
    async with VoiceChain([voice]).synthesize(SENTENCE) as stream:
        frame = (await anext(stream)).frame
        assert np.abs(np.frombuffer(frame.data, np.int16)).max() > 1000
        assert process.computed == [first]
        process.release.set()
        async for _ in stream:
            pass
    assert process.computed == [first, *later]


async def test_an_interruption_leaves_the_rest_uncomputed_and_the_process_free(
    voice: NeuralTTS, process: Watched
) -> None:
    first, second, _ = clauses(SENTENCE)
    process.holds = {second}
    stream = voice.synthesize(SENTENCE, conn_options=ONCE)
    await anext(stream)
    await stream.aclose()
    pid = process.pid
    assert len(await spoken(voice, "Let us go on then.")) > 0
    assert process.computed == [first, "Let us go on then."]
    assert process.pid == pid


async def test_a_cancelled_clause_stops_after_the_sentence_that_is_computed(tmp_path: Path) -> None:
    long = "你好。请介绍一下最近的项目。谢谢谢谢谢谢谢谢！"
    process = NeuralProcess(find(tiny_voices.matcha(tmp_path / "m")), threads=1)
    whole = [len(pcm) async for pcm in process.speak(Clause(long))]
    assert len(whole) == 2  # the model's own sentences
    async with contextlib.aclosing(process.speak(Clause(long))) as pieces:
        assert len(await anext(pieces)) == whole[0]
    # The next is answered by itself, whatever was left of the one before.
    assert [len(pcm) async for pcm in process.speak(Clause(long))] == whole
    await process.aclose()


async def test_two_sessions_take_turns_by_the_clause(
    voice: NeuralTTS, process: Watched, spelling: EspeakProcess
) -> None:
    one, other = SENTENCE, SENTENCE.replace("Thank you", "I thank you")
    process.holds = {clauses(one)[0]}
    chain = build("local", "en", local=[voice], process=spelling)
    sessions = [chain.for_session().reply(), chain.for_session().reply()]
    speaking = [
        asyncio.create_task(spoken(session, text))
        for session, text in zip(sessions, (one, other), strict=True)
    ]
    await until(lambda: process._waiting == 2)
    process.release.set()
    heard = await asyncio.gather(*speaking)
    expected = [
        clause for pair in zip(clauses(one), clauses(other), strict=True) for clause in pair
    ]
    assert process.computed == expected
    for samples, text in zip(heard, (one, other), strict=True):
        said = await expected_s(text, spelling)
        assert len(samples) / SAMPLE_RATE == pytest.approx(said, abs=0.03)
    assert {session.voice for session in sessions} == {voice_id(voice)}


async def test_one_more_than_may_wait_is_refused_at_once(tmp_path: Path) -> None:
    process = NeuralProcess(find(tiny_voices.piper(tmp_path / "p")), max_waiting=0)
    with pytest.raises(NeuralError, match="too many"):
        await anext(process.speak(Clause("Hello.", "həlˈoʊ.")))
    await process.aclose()


@pytest.mark.parametrize("text", ["", "🙂🙂", "***", "<think>secret</think>", "…"])
async def test_what_cannot_be_spoken_is_silence_and_no_error(
    voice: NeuralTTS, text: str, process: Watched
) -> None:
    assert len(await spoken(voice, text)) == 0
    assert process.computed == []


async def test_a_rate_of_its_own_is_resampled(tmp_path: Path, spelling: EspeakProcess) -> None:
    slow = NeuralProcess(find(tiny_voices.piper(tmp_path / "p", rate=16_000)), threads=1)
    samples = await spoken(patient(slow, spelling), "Let us go on then.")
    phonemes = await spelling.phonemes("Let us go on then.", "en-us")
    expected = tiny_voices.piper_samples(phonemes) / 16_000 + 0.2
    assert len(samples) / SAMPLE_RATE == pytest.approx(expected, abs=0.03)
    await slow.aclose()


async def test_speed_and_speaker_reach_the_model_and_name_the_voice(
    process: Watched, spelling: EspeakProcess
) -> None:
    plain, fast = (
        NeuralTTS(process, spelling, speed=speed, speaker=speaker, patience_s=SLOW_MACHINE_S)
        for speed, speaker in ((1.0, 0), (2.0, 3))
    )
    slowly, quickly = [await spoken(one, "Let us go on then.") for one in (plain, fast)]
    pause = round(0.2 * SAMPLE_RATE)
    assert (len(slowly) - pause) / (len(quickly) - pause) == pytest.approx(2, abs=0.05)
    assert voice_id(plain) != voice_id(fast)
    assert "speaker=3 speed=2" in voice_id(fast)


@pytest.mark.parametrize("make", [tiny_voices.kokoro, tiny_voices.matcha])
async def test_chinese_goes_in_as_it_is_written(
    make: Callable[[Path], Path], tmp_path: Path, spelling: EspeakProcess
) -> None:
    process = Watched(make(tmp_path / "zh"))
    voice = patient(process, spelling, "zh")
    assert await voice.clause("你好。") == Clause("你好。", None)
    short, long = await spoken(voice, "你好，你好。"), await spoken(voice, CHINESE)
    assert process.computed == [
        "你好，你好。",
        "你好，我来问你几个问题。",
        "请介绍一下你最近的项目。",
    ]
    assert 0 < 2 * len(short) < len(long)
    await process.aclose()


async def test_one_model_speaks_both_languages(tmp_path: Path, spelling: EspeakProcess) -> None:
    process = Watched(tiny_voices.kokoro(tmp_path / "k"))
    english, chinese = patient(process, spelling, "en"), patient(process, spelling, "zh")
    assert (await english.clause("Hello there.")).phonemes == "həlˈoʊ ðˈɛɹ."
    heard = await asyncio.gather(spoken(english, "Hello there."), spoken(chinese, "你好，你好。"))
    assert all(len(samples) > SAMPLE_RATE // 3 for samples in heard)
    await process.aclose()


async def test_a_text_without_a_mark_is_not_too_long_for_the_model(
    tmp_path: Path, spelling: EspeakProcess
) -> None:
    process = Watched(tiny_voices.kokoro(tmp_path / "k"))
    await process.start()
    pid = process.pid
    assert len(await spoken(patient(process, spelling), "and so on " * 120)) > 20 * SAMPLE_RATE
    assert len(process.computed) > 5
    assert process.pid == pid
    await process.aclose()


@pytest.mark.parametrize("fault", ["nan", "silence"])
async def test_a_model_without_a_sound_fails_and_the_embedded_voice_speaks(
    fault: tiny_voices.Fault, tmp_path: Path, spelling: EspeakProcess
) -> None:
    process = NeuralProcess(find(tiny_voices.piper(tmp_path / "p", fault=fault)), threads=1)
    voice = patient(process, spelling)
    with pytest.raises(NeuralError, match=r"not numbers|no sound"):
        await spoken(voice, SENTENCE)
    seen: list[VoiceChanged] = []
    chain = build("local", "en", local=[voice], process=spelling)
    chain.on("voice_changed", seen.append)
    alone = await spoken(EspeakTTS(process=spelling), SENTENCE)
    assert len(await spoken(chain, SENTENCE)) == pytest.approx(len(alone), abs=0.1 * SAMPLE_RATE)
    assert [(change.mid_sentence, change.previous) for change in seen] == [(False, voice_id(voice))]
    await process.aclose()


async def test_a_clause_that_fails_is_taken_over_where_it_begins(
    tmp_path: Path, spelling: EspeakProcess
) -> None:
    folder = tiny_voices.piper(tmp_path / "p", fault="breaks_at_exclamation")
    process = NeuralProcess(find(folder), threads=1)
    voice, other = patient(process, spelling), EspeakTTS(process=spelling)
    chain = VoiceChain([voice, other])
    seen: list[VoiceChanged] = []
    chain.on("voice_changed", seen.append)
    given, failed = "Thank you for telling me,", "that was very good indeed!"
    both = await spoken(chain, f"{given} {failed}")
    first = await expected_s(given, spelling) - 0.2
    alone = len(await spoken(other, failed)) / SAMPLE_RATE
    assert len(both) / SAMPLE_RATE == pytest.approx(first + alone, abs=0.1)
    assert [change.mid_sentence for change in seen] == [True]
    await process.aclose()


async def test_a_killed_process_is_an_error_at_once_and_loaded_again(
    voice: NeuralTTS, process: Watched
) -> None:
    await process.start()
    first = process.pid
    process.holds = {"Let us go on then."}
    speaking = asyncio.create_task(spoken(voice, "Let us go on then."))
    await until(lambda: process._waiting == 1)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: process.pid is None)
    process.release.set()
    with pytest.raises(NeuralError, match=r"ended|died"):
        await speaking
    assert len(await spoken(voice, "Let us go on then.")) > 0
    assert process.pid not in (None, first)


async def test_rendered_lines_are_kept_by_voice(
    tmp_path: Path, voice: NeuralTTS, process: Watched, spelling: EspeakProcess
) -> None:
    cache = RenderedLines(tmp_path / "rendered")
    chain = build("local", "en", local=[voice], cache=cache, process=spelling)
    assert (await chain.render_ahead([SENTENCE])).ready == 1
    process.computed.clear()
    assert len(await spoken(chain, SENTENCE)) > 0
    assert process.computed == []  # it came from the cache
    other = NeuralTTS(process, spelling, speed=1.5)
    assert cache.frames(SENTENCE, voice_id(other)) is None


async def test_a_voice_that_takes_too_long_is_left_to_another(
    process: Watched, spelling: EspeakProcess
) -> None:
    await process.start()
    process.holds = set(clauses(SENTENCE))
    with pytest.raises(NeuralError, match="too slow"):
        await spoken(NeuralTTS(process, spelling, patience_s=0.05), SENTENCE)
    with pytest.raises(NoVoiceError, match="too slow"):
        await spoken(VoiceChain([NeuralTTS(process, spelling, patience_s=0.05)]), SENTENCE)
    process.release.set()
    assert len(await spoken(patient(process, spelling), SENTENCE)) > 0
