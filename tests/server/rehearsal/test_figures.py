import io
import json
from pathlib import Path

import av
import numpy as np
import pytest
from rich.console import Console

from agent import events as ev
from agent.moves import NextQuestion
from server.rehearsal import check, evidence, figures
from server.rehearsal.evidence import Left
from server.rehearsal.run import Cast, Options, cast, to_come
from server.rehearsal.script import ALL_DEMANDS, NEEDS_STAND_IN, Performance, UnknownQuestion

PARTS = cast(Options())


def run(*events: ev.Event, parts: Cast = PARTS) -> check.Run:
    return check.Run(plan=parts.plan, script=parts.script, events=events, report={}, stock={})


def turn(number: int, delay: float | None, reply: float) -> list[ev.Event]:
    name = f"c{number}"
    settled = ev.TurnSettled(
        at=1, turn_id=name, text="a", t0=0, t1=1, end_of_turn_delay=delay, source="spoken"
    )
    moved = ev.MoveHeard(
        at=2, reply_id=f"r{number}", turn_id=name, move=NextQuestion(), reply_delay=reply
    )
    return [settled, moved]


def test_the_gap_is_the_decision_and_the_reply_of_the_same_turn() -> None:
    found = figures.latency(run(*turn(1, 0.5, 0.2), *turn(2, None, 0.4)), 1.234)
    assert found["gap_ms"] == {"p50": 700, "p95": 700, "worst": 700, "n": 1}
    assert found["reply_ms"]["n"] == 2 and found["reply_ms"]["p50"] == 300
    assert found["turns"][1] == {"turn_id": "c2", "end_of_turn_ms": None, "reply_ms": 400}
    assert found["report_after_s"] == 1.23


def test_percentiles_are_of_what_was_measured() -> None:
    assert figures.percentiles([n / 1000 for n in range(1, 101)])["p95"] == 95
    assert figures.percentiles([0.3])["p95"] == 300
    assert figures.percentiles([]) == {"p50": None, "p95": None, "worst": None, "n": 0}


def test_the_longest_answer_spans_its_turns_segments() -> None:
    def segment(turn_id: str, t0: float, t1: float) -> ev.SegmentHeard:
        return ev.SegmentHeard(at=t1, segment_id="s1", turn_id=turn_id, text="a", t0=t0, t1=t1)

    events = [segment("c1", 0, 5), segment("c2", 10, 20), segment("c2", 30, 52)]
    assert figures.longest_answer(events) == 42
    assert figures.longest_answer([]) == 0


def test_the_table_shows_every_figure() -> None:
    summary = figures.of(run(*turn(1, 0.5, 0.2)), 1.0, 200.0)
    screen = io.StringIO()
    Console(file=screen, width=120).print(figures.table(summary))
    for text in ("word error rate", "deletions", "EnglishTextNormalizer", "gap ms", "p50 700"):
        assert text in screen.getvalue()
    json.dumps(summary)


# --- the cast


def test_the_default_cast_is_strict_and_demands_everything() -> None:
    assert PARTS.strict and not PARTS.by_text
    assert PARTS.script.demands == ALL_DEMANDS


def test_a_real_model_is_not_asked_for_the_stand_ins_mistakes() -> None:
    parts = cast(Options(model="http://127.0.0.1:9/v1"))
    assert not parts.strict
    assert not NEEDS_STAND_IN & set(parts.script.demands)
    assert "rejoin" in parts.script.demands


def test_chinese_and_text_rehearsals_are_typed() -> None:
    for options in (Options(lang="zh"), Options(text=True)):
        parts = cast(options)
        assert parts.by_text and parts.strict
        assert not [step for step in parts.script.steps() if step.say]


def test_answers_from_a_file_are_for_the_plans_questions(tmp_path: Path) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text("answers: {warm_up: [{steps: [{say: Yes.}]}]}\n", encoding="utf-8")
    parts = cast(Options(answers=file))
    assert not parts.strict and parts.script.spoken("warm_up") == "Yes."
    file.write_text("answers: {hobby: [{steps: [{say: Yes.}]}]}\n", encoding="utf-8")
    with pytest.raises(UnknownQuestion, match="hobby"):
        cast(Options(answers=file))


def test_what_is_to_come_shrinks_as_it_happens() -> None:
    performance = Performance(PARTS.script)
    first = to_come(performance, set())
    assert first == [
        "a refused move",
        "a model stall",
        "a barge-in",
        "a drop and rejoin",
        "the end button",
        "the skip button",
    ]
    performance.take("conflict")
    left = to_come(performance, {"move_refused", "model_failed"})
    assert left == ["a drop and rejoin", "the end button", "the skip button"]


# --- what is left behind


def left(audio: bytes | None = None) -> Left:
    said = {"speaker": "candidate", "text": "We finished", "t0": 105.0, "interrupted": False}
    asked = {"speaker": "interviewer", "text": "What is", "t0": 40.0, "interrupted": True}
    joined = ev.CallJoined(at=1.0, channel="web", epoch=1).model_dump()
    return Left(
        interview={},
        report={"status": "complete"},
        transcript={"utterances": [asked, said]},
        entries=[{"seq": 1, "epoch": 1, "hash": "0", "event": joined}],
        audio=audio,
    )


def test_everything_is_written_and_an_old_recording_is_removed(tmp_path: Path) -> None:
    evidence.write(left(b"OggS"), {"turns": []}, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "report.json",
        "transcript.json",
        "transcript.txt",
        "events.jsonl",
        "interview.ogg",
        "latency.json",
    }
    text = (tmp_path / "out" / "transcript.txt").read_text(encoding="utf-8")
    assert text == "[0:00] interviewer: What is —\n[1:05] candidate: We finished\n"
    evidence.write(left(), {"turns": []}, tmp_path / "out")
    assert not (tmp_path / "out" / "interview.ogg").exists()


def test_the_log_is_read_back_as_events() -> None:
    assert left().events == [ev.CallJoined(at=1.0, channel="web", epoch=1)]


def test_the_candidates_channel_is_the_left_one() -> None:
    rate = 48000
    t = np.arange(rate) / rate
    tone = (8000 * np.sin(2 * np.pi * 300 * t)).astype(np.int16)
    stereo = np.stack((tone, np.zeros(rate, np.int16)), axis=1).reshape(1, -1)
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as out:
        stream = out.add_stream("libopus", rate=rate, layout="stereo")
        frame = av.AudioFrame.from_ndarray(stereo, format="s16", layout="stereo")
        frame.rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    found = evidence.recording(file.getvalue(), 1000.0)
    assert found.started_at == 1000.0 and found.rate == rate
    assert np.abs(found.samples).max() > 4000
    assert abs(len(found.samples) - rate) < rate // 10
