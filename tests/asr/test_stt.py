"""The stream, with a recogniser by script: in order, one final, never deaf, nothing lost."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import stt

from asr.errors import Overloaded
from asr.heard import HeardSegment
from asr.recognition import Audio, HeardWord, Priority, Recognition
from asr.stt import WhisperSTT
from tests.asr.hearing import Ear, LoudnessVAD, Script, ScriptedRecogniser, by_level, tone


def hearing(script: Script = by_level, **options: object) -> WhisperSTT:
    options = {"vad": LoudnessVAD(), "interim_every_s": None, "retry_after_s": 0.0, **options}
    return WhisperSTT(ScriptedRecogniser(script), language="en-US", **options)  # type: ignore[arg-type]


def recogniser(heard: WhisperSTT) -> ScriptedRecogniser:
    assert isinstance(heard.recogniser, ScriptedRecogniser)
    return heard.recogniser


async def test_one_final_after_the_pause_and_the_segment_before_it() -> None:
    heard = hearing()
    ear = Ear(heard)
    await ear.play(tone(0, 1.0), tone(500, 1.0), tone(0, 0.35))
    assert ear.log == ["segment ok w500", "preflight w500"]
    await ear.play(tone(0, 0.2))
    assert ear.log == ["segment ok w500", "preflight w500", "final w500"]
    assert heard.finals == 1
    assert heard.pending.settled
    await ear.end()
    assert ear.finals == ["w500"]


async def test_short_pauses_cut_segments_but_not_the_final() -> None:
    ear = Ear(hearing())
    await ear.play(tone(500, 1.0), tone(0, 0.3), tone(600, 1.0), tone(0, 0.3), tone(700, 0.5))
    assert [s.text for s in ear.segments] == ["w500", "w600"]
    assert ear.finals == []
    await ear.play(tone(0, 0.6))
    assert ear.finals == ["w500 w600 w700"]
    await ear.end()


async def test_results_that_come_out_of_order_are_told_in_order() -> None:
    release = asyncio.Event()

    class FirstIsSlow(ScriptedRecogniser):
        async def recognise(self, audio: Audio, **how: object) -> Recognition:  # type: ignore[override]
            answer = by_level(audio)
            if answer.text == "w500":
                await release.wait()
            return answer

    heard = WhisperSTT(
        FirstIsSlow(by_level), language="en", vad=LoudnessVAD(), interim_every_s=None
    )
    ear = Ear(heard)
    await ear.play(tone(500, 1.0), tone(0, 0.3), tone(600, 1.0), tone(0, 1.0))
    assert ear.log == []
    assert heard.pending.recognising == 2  # the second waits for the first
    assert not heard.pending.settled
    release.set()
    await ear.quiet()
    assert ear.told == ["segment ok w500", "segment ok w600", "final w500 w600"]
    await ear.end()


async def test_a_slow_recogniser_gives_one_final_not_a_torn_turn() -> None:
    heard = hearing()
    recogniser(heard).go.clear()
    ear = Ear(heard)
    await ear.play(tone(500, 1.0), tone(0, 0.3), tone(600, 1.0), tone(0, 2.0))
    assert ear.finals == []
    recogniser(heard).go.set()
    await ear.quiet()
    assert ear.finals == ["w500 w600"]
    await ear.end()


async def test_interims_show_the_open_speech_and_yield_to_finals() -> None:
    heard = hearing(interim_every_s=0.5)
    ear = Ear(heard)
    for _ in range(10):
        await ear.play(tone(500, 0.2))
    assert ear.log[0] == "interim w500"
    assert ear.log.count("interim w500") == 1  # the same text is not sent again
    assert Priority.FINAL not in recogniser(heard).asked
    await ear.play(tone(0, 1.0))
    assert ear.log[-1] == "final w500"
    await ear.end()


async def test_an_interim_that_is_refused_does_no_harm() -> None:
    def busy(audio: Audio, priority: Priority) -> Recognition | Exception:
        return Overloaded("busy") if priority is Priority.INTERIM else by_level(audio)

    ear = Ear(hearing(busy, interim_every_s=0.3))
    await ear.play(tone(500, 1.0), tone(0, 1.0))
    assert ear.told == ["segment ok w500", "final w500"]
    await ear.end()


@pytest.mark.parametrize("failure", [Overloaded("too much"), RuntimeError("engine bug")])
async def test_a_failure_is_tried_again_with_the_same_audio(failure: Exception) -> None:
    lengths: list[int] = []

    def once(audio: Audio, _: Priority) -> Recognition | Exception:
        lengths.append(len(audio))
        return failure if len(lengths) == 1 else by_level(audio)

    ear = Ear(hearing(once))
    await ear.play(tone(500, 1.0), tone(0, 1.0))
    assert ear.told == ["segment ok w500", "final w500"]
    assert lengths[0] == lengths[1]
    await ear.end()


@pytest.mark.parametrize("failure", [Overloaded("too much"), RuntimeError("engine bug")])
async def test_a_segment_lost_twice_is_reported_and_the_stream_goes_on(failure: Exception) -> None:
    def deaf_to_600(audio: Audio, _: Priority) -> Recognition | Exception:
        answer = by_level(audio)
        return failure if answer.text == "w600" else answer

    ear = Ear(hearing(deaf_to_600))
    pause = tone(0, 0.3)
    await ear.play(tone(500, 0.5), pause, tone(600, 0.5), pause, tone(700, 0.5), tone(0, 1.0))
    assert [(s.verdict, s.text) for s in ear.segments] == [
        ("ok", "w500"),
        ("failed", ""),
        ("ok", "w700"),
    ]
    assert str(failure) in str(ear.segments[1].dropped_reason)
    assert ear.finals == ["w500 w700"]
    await ear.end()


async def test_only_a_lost_segment_gives_no_event_without_text() -> None:
    ear = Ear(hearing(lambda _a, _p: Overloaded("too much")))
    await ear.play(tone(500, 1.0), tone(0, 1.0))
    assert ear.log == ["segment failed"]
    await ear.end()
    assert ear.events == []


async def test_a_vad_that_stops_is_started_again_and_the_stream_hears_on() -> None:
    heard = hearing(vad=LoudnessVAD(fail_at=60))
    errors: list[stt.STTError] = []
    heard.on("error", errors.append)
    ear = Ear(heard)
    await ear.play(tone(500, 0.5), tone(0, 1.0))
    await ear.play(tone(0, 1.0))
    for _ in range(50):
        await asyncio.sleep(0.01)
    await ear.play(tone(600, 0.5), tone(0, 1.0))
    assert ear.finals == ["w500", "w600"]
    assert [e.recoverable for e in errors] == [True]
    await ear.end()


async def test_a_listener_that_raises_does_not_make_the_stream_deaf() -> None:
    heard = hearing()

    def bad(_segment: HeardSegment) -> None:
        raise TypeError("a bug of the session")

    heard.on_segment(bad)
    ear = Ear(heard)
    await ear.play(tone(500, 0.5), tone(0, 1.0), tone(600, 0.5), tone(0, 1.0))
    assert ear.finals == ["w500", "w600"]
    await ear.end()


def only_500(text: str, agent_speaking: bool) -> bool:
    return agent_speaking and text == "w500"


async def test_a_backchannel_while_the_agent_speaks_is_reported_but_gives_no_event() -> None:
    heard = hearing(is_backchannel=only_500)
    heard.agent_speaking = True
    ear = Ear(heard)
    await ear.play(tone(500, 0.3), tone(0, 1.0))
    assert ear.log == ["segment backchannel w500"]
    assert heard.pending.settled
    await ear.end()
    assert ear.events == []


async def test_the_same_words_as_an_answer_are_a_turn() -> None:
    heard = hearing(is_backchannel=only_500)
    ear = Ear(heard)
    await ear.play(tone(500, 0.3), tone(0, 1.0))
    assert ear.told == ["segment ok w500", "final w500"]
    await ear.end()


async def test_a_backchannel_that_becomes_a_sentence_is_a_turn() -> None:
    heard = hearing(is_backchannel=only_500)
    heard.agent_speaking = True
    ear = Ear(heard)
    await ear.play(tone(500, 0.3), tone(0, 0.3))
    assert ear.log == []
    await ear.play(tone(600, 0.5), tone(0, 1.0))
    assert ear.told == ["segment ok w500", "segment ok w600", "final w500 w600"]
    await ear.end()


async def test_the_agent_having_paused_for_it_does_not_make_a_backchannel_a_turn() -> None:
    heard = hearing(is_backchannel=only_500)
    heard.agent_speaking = True
    ear = Ear(heard)
    await ear.play(tone(500, 0.3))
    heard.agent_speaking = False
    await ear.play(tone(0, 1.0))
    assert ear.log == ["segment backchannel w500"]
    heard.agent_speaking = False
    await ear.play(tone(500, 0.3), tone(0, 1.0))
    assert ear.told[1:] == ["segment ok w500", "final w500"]
    await ear.end()


async def test_invented_and_doubtful_words_are_told_apart() -> None:
    def script(audio: Audio, _: Priority) -> Recognition:
        answer = by_level(audio)
        match answer.text:
            case "w500":
                return replace(answer, avg_logprob=-1.5, no_speech_prob=0.9)
            case "w600":
                return replace(answer, avg_logprob=-0.9)
        return answer

    ear = Ear(hearing(script))
    await ear.play(tone(500, 0.5), tone(0, 1.0), tone(600, 0.5), tone(0, 1.0))
    assert [(s.verdict, s.text, s.dropped_reason) for s in ear.segments] == [
        ("dropped", "", "no_speech"),
        ("low_confidence", "w600", None),
    ]
    assert ear.segments[1].confidence == pytest.approx(np.exp(-0.9))
    assert ear.finals == ["w600"]
    await ear.end()


async def test_times_are_seconds_since_the_first_sample() -> None:
    def script(audio: Audio, _: Priority) -> Recognition:
        words = (HeardWord("w500", 0.0, 0.9, 0.9), HeardWord("end", 0.9, 1.1, 0.9))
        return Recognition("w500 end", "en", -0.1, 0.0, words)

    before = time.time()
    ear = Ear(hearing(script))
    await ear.play(tone(0, 3.2), tone(500, 0.64), tone(0, 1.0))
    (segment,) = ear.segments
    assert segment.start_s == pytest.approx(3.2, abs=0.033)
    assert segment.end_s == pytest.approx(3.84, abs=0.033)
    first, last = segment.words
    assert first.start_s == segment.start_s  # not the start of the silence before it
    assert last.end_s == segment.end_s
    assert before - 1 < segment.stream_started_at <= time.time()
    assert ear.stream.started_at == segment.stream_started_at
    await ear.end()


async def test_a_line_that_goes_dead_in_mid_word_gives_what_was_said() -> None:
    ears = hearing(stalled_after_s=60.0)
    ear = Ear(ears)
    await ear.play(tone(500, 1.0))
    assert ear.finals == []
    ears.stalled_after_s = 0.01
    async with asyncio.timeout(10):
        while not ear.finals:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    ears.stalled_after_s = 60.0
    assert ear.finals == ["w500"]
    await ear.play(tone(600, 1.0), tone(0, 1.0))
    assert ear.finals == ["w500", "w600"]
    await ear.end()


async def test_the_end_of_the_input_gives_the_last_words() -> None:
    ear = Ear(hearing())
    await ear.play(tone(500, 0.5), tone(0, 0.3), tone(600, 0.7))
    await ear.end()
    assert ear.finals == ["w500 w600"]


async def test_audio_of_another_rate_is_resampled_once_and_nothing_is_lost() -> None:
    ear = Ear(hearing(lambda a, _p: Recognition(f"{len(a)}", "en", -0.1, 0.0)))
    t = np.arange(48_000)
    speech = (8000 * np.sin(2 * np.pi * 300 * t / 48_000)).astype(np.int16)
    quiet = np.zeros(48_000, np.int16)
    await ear.play(quiet, speech, quiet, frame=960, rate=48_000)
    (segment,) = ear.segments
    assert segment.start_s == pytest.approx(1.0, abs=0.05)
    assert segment.end_s == pytest.approx(2.0, abs=0.05)
    await ear.end()


async def test_a_closed_stream_is_no_longer_pending() -> None:
    heard = hearing()
    recogniser(heard).go.clear()
    changes: list[bool] = []
    heard.on_change(lambda: changes.append(heard.pending.settled))
    ear = Ear(heard)
    await ear.play(tone(500, 1.0), tone(0, 0.3))
    assert not heard.pending.settled
    await ear.stream.aclose()
    assert heard.pending.settled
    assert changes[-1]


async def test_whole_files_are_refused_with_an_api_error() -> None:
    frame = rtc.AudioFrame(bytes(320), 16_000, 1, 160)
    with pytest.raises(Exception, match=r"use stream\(\)"):
        await hearing().recognize(frame)


async def test_no_sample_is_lost_or_doubled_between_frames_and_segments() -> None:
    rng = np.random.default_rng(3)
    script = [
        (int(v), float(s)) for v, s in zip(range(500, 560), rng.uniform(0.1, 2, 60), strict=True)
    ]
    audio = [p for v, s in script for p in (tone(v, s), tone(0, float(rng.uniform(0.1, 0.6))))]
    ear = Ear(hearing())
    await ear.play(*audio, frame=441)
    await ear.end()
    assert " ".join(ear.finals).split() == [f"w{v}" for v, _ in script]
