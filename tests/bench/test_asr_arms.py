"""Every arm hears all of a short answer; the meter forces what is decoded, and counts it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr import rehearsal
from bench import asr_answers, asr_cost, asr_latency, random_whisper
from bench.asr_arms import ARMS, run, said
from bench.asr_runs import Clips, Heard, by_kind
from bench.asr_script import SAMPLE_RATE, Clip, Script
from bench.asr_stage import Ends, Loaded, StillClock, transcriber
from bench.asr_table import Table
from bench.kept import keep, kept


@pytest.fixture(scope="module")
def model() -> Loaded:
    return Loaded.load("rehearsal", rehearsal.MODEL_DIR, rehearsal.FLOOR_S)


@pytest.fixture(scope="module")
def clip() -> Clip:
    return asr_answers.answer(asr_answers.sentences(None)[:4], 4.0, "fluent", 0)


ARMS_IN_TURN = ["ours, captions", "ours, finals"]
FEW_PASSES: dict[str, dict[str, Any]] = {
    "local-agreement": {"every_s": 2.0},
    "whisper-live": {"every_s": lambda at: 2.0, "to_final": False},
}


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_hears_all_that_is_said_and_gives_a_final(
    model: Loaded, clip: Clip, arm: str
) -> None:
    heard = run(arm, model, clip, StillClock(), **FEW_PASSES.get(arm, {}))
    assert heard.said == said(model, clip)
    final = heard.finals[-1]
    assert clip.speech_s <= final.decided_s <= final.ready_s <= final.given_s
    assert heard.cpu_s > 0


def test_captions_cost_ours_calls_and_finals_do_not_need_them(model: Loaded, clip: Clip) -> None:
    with_captions = run("ours", model, clip, StillClock(), every_s=1.0)
    without = run("ours", model, clip, StillClock(), every_s=None)
    assert with_captions.counted.calls > without.counted.calls
    assert with_captions.said == without.said


def test_the_program_as_it_is_loses_what_came_after_its_last_pass(
    model: Loaded, clip: Clip
) -> None:
    whole = run("local-agreement", model, clip, StillClock(), every_s=2.0)
    program = run("local-agreement", model, clip, StillClock(), every_s=2.0, last_pass=False)
    assert program.counted.calls == whole.counted.calls - 1
    assert program.said == whole.said[: len(program.said)]


def test_decoding_is_as_long_as_the_audio_whatever_the_weights_make_of_it(
    model: Loaded, clip: Clip
) -> None:
    model.meter.say(Script(clip, model.words))
    sound = np.divide(clip.pcm, 32_768, dtype=np.float32)
    passages = transcriber(model.shared, words=True, vad=False)(sound, "")
    assert model.meter.counted.steps == round(3 * len(sound) / SAMPLE_RATE)
    assert (model.meter.counted.calls, model.meter.counted.encoder_s) == (1, 30.0)
    words = [word for passage in passages or () for word in passage.words]
    wanted = Script(clip, model.words).words
    assert len(passages or ()) == len(clip.sentences)
    for word, want in zip(words, wanted, strict=True):
        assert word.start_s == pytest.approx(want.start / SAMPLE_RATE, abs=0.05)


def test_known_steps_are_replayed_only_where_that_is_asked_for(model: Loaded, clip: Clip) -> None:
    for _ in range(5):
        run("ours", model, clip, StillClock(), every_s=None)
    assert model.meter.counted.replayed == 0
    model.meter.replay = True
    try:
        heard = run("ours", model, clip, StillClock(), every_s=None)
    finally:
        model.meter.replay = False
    assert heard.counted.replayed > 0
    assert heard.said == said(model, clip)
    assert heard.cpu_s > 0


def test_times_of_steps_are_told_to_another_process(model: Loaded, clip: Clip) -> None:
    other = Loaded.load("rehearsal", rehearsal.MODEL_DIR, rehearsal.FLOOR_S)
    run("ours", model, clip, StillClock(), every_s=None)
    other.meter.learn(json.loads(json.dumps(model.meter.measured)))
    other.meter.replay, other.meter.known_after = True, 1
    heard = run("ours", other, clip, StillClock(), every_s=None)
    assert heard.counted.replayed == 3 * heard.counted.calls  # encoder, decoder, alignment
    assert heard.said == said(other, clip)


def test_an_end_is_told_after_the_silence_that_was_asked_for(clip: Clip) -> None:
    ends, told = Ends(silence_s=0.5, pad_s=0.1), []
    for start in range(0, len(clip.pcm) - 511, 512):
        event = ends.hear(clip.pcm[start : start + 512])
        if event is not None:
            told.append((event, start + 512))
    (begin, _), (end, heard) = told
    assert abs(begin - clip.sentences[0][0]) < SAMPLE_RATE / 4
    assert abs(end - clip.speech_end) < SAMPLE_RATE / 4
    assert 0.4 < (heard - clip.speech_end) / SAMPLE_RATE < 0.8


def test_random_weights_load_and_cost_every_arm_its_calls(tmp_path: Path, clip: Clip) -> None:
    shape = random_whisper.Shape(1, 2, 64, ((0, 0),))
    random_whisper.write(shape, tmp_path / "tiny")
    noise = Loaded.load("noise", tmp_path / "tiny", 10.0)
    heard = run("ours", noise, clip, StillClock(), every_s=None)
    assert heard.said == said(noise, clip)
    assert heard.counted.encoder_s == 10.0 * heard.counted.calls


def test_the_tables_compare_like_with_like(model: Loaded, clip: Clip) -> None:
    arms, given = ["ours, captions", "ours, finals", "stream-adapter"], Clips("fluent", 4.0, [clip])
    found = list(asr_cost.measure(model, given, arms))
    cost = [asr_cost.row(clips) for clips in by_kind(found)]
    assert {row.missing for row in cost} == {0.0}
    assert list(asr_cost.ratios(cost)) == ["rehearsal, fluent, 4 s: stream-adapter to ours, finals"]
    late = [asr_latency.row(c) for c in by_kind(asr_latency.measure(model, given, arms, 5.0))]
    assert list(asr_latency.ratios(late)) == [
        "rehearsal, fluent, 4 s: stream-adapter to ours, final"
    ]
    assert "ours, finals" in asr_cost.table(cost)
    assert "ours, finals" in asr_latency.table(late)


def test_parts_that_were_kept_are_joined_clip_by_clip(
    model: Loaded, clip: Clip, tmp_path: Path
) -> None:
    parts = [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
    found = []
    for first, part in enumerate(parts):
        given = Clips("fluent", 4.0, [clip], first)
        heard = list(asr_cost.measure(model, given, ARMS_IN_TURN))
        keep(part, heard)
        found += heard
    joined = kept(parts, Heard)
    assert joined == found
    assert [one.clip for one in joined] == [0, 0, 1, 1]
    assert [one.arm for one in joined] == [*ARMS_IN_TURN, *reversed(ARMS_IN_TURN)]
    assert [len(clips) for clips in by_kind(joined)] == [2, 2]
    keep(None, joined)  # nowhere


def test_a_table_is_as_wide_as_what_stands_in_it() -> None:
    table = Table[int](n=str, twice_that=lambda n: str(2 * n))
    assert table([7, 6000]) == "   n  twice that\n   7          14\n6000       12000"
