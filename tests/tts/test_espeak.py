import asyncio
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from livekit.agents import APIConnectOptions

from tts import espeak_child
from tts.audio import SAMPLE_RATE, Samples
from tts.child import ChildDied
from tts.errors import EspeakError
from tts.espeak import EspeakTTS, render
from tts.espeak_process import EspeakProcess, Utterance

ONCE = APIConnectOptions(max_retry=0)
SENTENCE = "Tell me about a time when you had to learn something new in a short time."
LONG = " ".join([SENTENCE] * 12)


async def spoken(voice: EspeakTTS, text: str) -> Samples:
    async with voice.synthesize(text, conn_options=ONCE) as stream:
        pcm = b"".join([bytes(event.frame.data) async for event in stream])
    return np.frombuffer(pcm, np.int16)


def is_speech(samples: Samples) -> bool:
    return bool(np.sqrt(np.mean(samples.astype(np.float64) ** 2)) > 500)


@pytest.fixture
async def voice():
    async with EspeakTTS() as voice:
        yield voice


async def test_a_sentence_becomes_speech_of_a_plausible_length(voice: EspeakTTS) -> None:
    samples = await spoken(voice, SENTENCE)
    words_a_minute = len(SENTENCE.split()) / (len(samples) / SAMPLE_RATE) * 60
    assert is_speech(samples)
    assert 120 < words_a_minute < 260


async def test_mandarin_is_spoken_too() -> None:
    async with EspeakTTS("zh") as voice:
        short, long = [await spoken(voice, text) for text in ("你好。", "请介绍一下你最近的项目。")]
    assert is_speech(short) and is_speech(long)
    assert len(long) > 2 * len(short)


async def test_frames_come_before_the_sentence_is_whole(voice: EspeakTTS) -> None:
    stream = voice.synthesize(LONG, conn_options=ONCE)
    first = await anext(stream)
    assert not stream.done
    assert (first.frame.sample_rate, first.frame.num_channels) == (SAMPLE_RATE, 1)
    await stream.aclose()


async def test_a_sentence_begins_at_once_and_ends_with_the_same_pause(voice: EspeakTTS) -> None:
    samples = await spoken(voice, "Thank you.")
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 160)
    assert loud[0] <= SAMPLE_RATE * 0.025
    assert (len(samples) - loud[-1]) / SAMPLE_RATE == pytest.approx(0.2, abs=0.02)


async def test_no_sound_above_the_old_rate_is_made_by_resampling(voice: EspeakTTS) -> None:
    spectrum = np.abs(np.fft.rfft((await spoken(voice, SENTENCE)).astype(np.float64)))
    frequency = np.fft.rfftfreq(2 * (len(spectrum) - 1), 1 / SAMPLE_RATE)
    images = spectrum[frequency > 11_300].max() / spectrum.max()
    assert 20 * np.log10(images) < -60


async def test_an_interrupted_voice_is_free_for_the_next_sentence(voice: EspeakTTS) -> None:
    stream = voice.synthesize(LONG * 8, conn_options=ONCE)
    await anext(stream)
    before = voice.process.pid
    await stream.aclose()
    samples = await spoken(voice, "Thank you.")
    assert len(samples) < 2 * SAMPLE_RATE  # nothing of the interrupted sentence is left over
    assert voice.process.pid == before


async def test_one_that_waits_its_turn_can_be_interrupted(voice: EspeakTTS) -> None:
    first = voice.synthesize(LONG, conn_options=ONCE)
    waiting = voice.synthesize(SENTENCE, conn_options=ONCE)
    await anext(first)
    await waiting.aclose()
    await first.aclose()
    assert is_speech(await spoken(voice, "Still here."))


async def test_five_sessions_share_one_process_and_each_hears_its_own_words() -> None:
    process = EspeakProcess()
    texts = [" ".join(["word"] * count) for count in (1, 4, 8, 12, 16)]
    voices = [EspeakTTS(pitch=20 + 10 * i, process=process) for i in range(5)]
    alone = [len(await spoken(voice, text)) for voice, text in zip(voices, texts, strict=True)]
    pid = process.pid
    together = await asyncio.gather(*map(spoken, voices, texts))
    assert [len(samples) for samples in together] == pytest.approx(alone, rel=0.05)
    assert process.pid == pid
    await process.aclose()


async def test_a_killed_process_starts_again_and_the_sentence_is_spoken_once() -> None:
    process = EspeakProcess()
    voice = EspeakTTS(process=process)
    whole = await spoken(voice, LONG)
    stream = voice.synthesize(LONG, conn_options=ONCE)
    pieces = [bytes((await anext(stream)).frame.data)]
    killed = process.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    pieces += [bytes(event.frame.data) async for event in stream]
    await stream.aclose()
    samples = np.frombuffer(b"".join(pieces), np.int16)
    assert len(samples) == pytest.approx(len(whole), rel=0.01)
    assert process.pid not in (None, killed)
    await process.aclose()


async def test_a_process_killed_while_idle_is_replaced(voice: EspeakTTS) -> None:
    await spoken(voice, "Hello.")
    killed = voice.process.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert is_speech(await spoken(voice, "Hello again."))
    assert voice.process.pid != killed


async def test_closing_ends_the_process() -> None:
    process = EspeakProcess()
    await process.start()
    pid = process.pid
    assert pid is not None
    await process.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(EspeakError, match="closed"):
        await process.start()


async def test_closing_in_mid_sentence_does_not_wait_for_its_end() -> None:
    process = EspeakProcess()
    left = process.speak(Utterance(LONG * 20))
    await anext(left)  # and nobody reads on
    await process.aclose()
    assert process.pid is None
    with pytest.raises(EspeakError, match="closed"):
        async for _ in left:
            pass


async def test_closing_while_it_starts_leaves_no_process() -> None:
    process = EspeakProcess()
    start = asyncio.create_task(process.start())
    await asyncio.sleep(0)
    await process.aclose()
    with pytest.raises(EspeakError, match="closed"):
        await start
    assert process.pid is None


async def test_the_child_ends_when_its_parent_is_killed() -> None:
    program = (
        "import asyncio, os, signal\n"
        "from tts.espeak_process import EspeakProcess\n"
        "async def main():\n"
        "    process = EspeakProcess()\n"
        "    await process.start()\n"
        "    print(process.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], stdout=subprocess.PIPE, check=False
    )
    # The pipe's other end is held by the child alone: run() returning means it has ended as well,
    # or is about to; give the kernel a moment.
    pid = int(run.stdout)
    async with asyncio.timeout(10):
        while _runs(pid):  # noqa: ASYNC110 - it is no child of ours: there is nothing to wait on
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_voice_that_is_not_in_the_package_is_a_named_error() -> None:
    async with EspeakTTS(voice="en-gb") as voice:
        with pytest.raises(EspeakError, match="en-gb"):
            await spoken(voice, "Hello.")
        assert voice.process.pid is not None  # refusing is not dying


async def test_a_process_that_cannot_start_is_a_named_error() -> None:
    for command in (["/nonexistent/espeak"], [sys.executable, "-c", "raise SystemExit(3)"]):
        process = EspeakProcess(command)
        with pytest.raises(EspeakError):
            await process.start()
        await process.aclose()


@pytest.mark.parametrize("then", ["input()", "sys.stdin.read()"], ids=["dies", "hangs"])
async def test_a_process_that_gives_no_sentence_is_given_up(then: str) -> None:
    ready = espeak_child.HEADER.pack(0, espeak_child.READY, 5) + b"22050"
    program = f"import sys; sys.stdout.buffer.write({ready!r}); sys.stdout.flush(); {then}"
    process = EspeakProcess([sys.executable, "-c", program], stall_timeout_s=0.2)
    with pytest.raises(EspeakError, match="3 times"):
        async for _ in process.speak(Utterance("Hello.")):
            pytest.fail("it has no audio to give")
    await process.aclose()
    assert not issubclass(EspeakError, ChildDied)


def test_a_line_is_rendered_with_rate_pitch_and_gap() -> None:
    plain, fast, spaced = (
        render("one two three", voice="en-us+f3", **how)  # type: ignore[arg-type]
        for how in ({}, {"rate": 300}, {"gap": 10})
    )
    assert is_speech(plain)
    assert len(fast) < len(plain) < len(spaced)
    with pytest.raises(EspeakError, match="no voice"):
        render("one", voice="xx")
