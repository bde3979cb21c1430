"""Windows are judged by what they lose against the model's own thirty seconds."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr import rehearsal
from asr.loading import load_model
from asr.measuring import MARGINS_S, TOLERANCE, Speech, errors, measure
from asr.recognition import Piece, Recognition
from asr.whisper import WINDOWS_S, Whisper
from asr.windows import FILE, LanguageCheck, ModelCheck, keep, recorded_floors, size_of

SAID = " ".join(f"w{n}" for n in range(50))


class Forgetful:
    """Loses words in windows shorter than it needs, all of them or as many as are given."""

    def __init__(self, needs_s: float, loses: int = 50, hears: str = SAID) -> None:
        self.needs_s, self.loses, self.hears = needs_s, loses, hears
        self.windows: list[float] = []

    def decode_in(self, piece: Piece, window_s: float) -> Recognition:
        self.windows.append(window_s)
        lost = self.loses if window_s < self.needs_s else 0
        return Recognition(" ".join(self.hears.split()[lost:]), piece.language, -0.1, 0.0)


def speech(seconds: float, said: str | None = SAID) -> Speech:
    return Speech([np.zeros(round(seconds * 16_000), np.float32)], said)


def measured(model: Forgetful, *given: Speech, language: str = "en") -> LanguageCheck:
    return measure(model, given or (speech(2.0),), language, lambda _done, _of: None)


@pytest.mark.parametrize("needs_s", WINDOWS_S)
def test_the_shortest_window_that_loses_nothing_is_recommended(needs_s: int) -> None:
    found = measured(Forgetful(needs_s))
    assert found.floor_s == needs_s
    losses = {one.window_s: one.disagreement for one in found.windows}
    assert losses == {w: float(w < needs_s) for w in WINDOWS_S}
    assert found.windows[-1].cost == 1.0


def test_a_word_in_fifty_is_tolerated_and_two_are_not() -> None:
    assert measured(Forgetful(30, loses=round(50 * TOLERANCE))).floor_s == 5
    assert measured(Forgetful(30, loses=2)).floor_s == 30


def test_a_short_window_between_bad_ones_is_luck() -> None:
    class Lucky(Forgetful):
        def decode_in(self, piece: Piece, window_s: float) -> Recognition:
            return super().decode_in(piece, 30 if window_s == 7 else window_s)

    assert measured(Lucky(15)).floor_s == 15


def test_a_piece_gets_the_window_that_holds_it_and_margins_end_right_behind_it() -> None:
    model = Forgetful(0)
    measured(model, speech(8.0))
    assert model.windows == [10, 10, 10, 12, 15, 20, 25, 30, *(8.0 + m for m in MARGINS_S)]
    found = measured(Forgetful(8.4), speech(8.0))
    assert {one.margin_s: one.disagreement for one in found.margins} == {0: 1.0, 0.5: 0.0, 1: 0.0}


def test_speech_that_is_not_understood_tells_nothing() -> None:
    for heard, reason in (("", "hears no words"), ("something else", "does not understand")):
        found = measured(Forgetful(0, hears=heard))
        assert found.floor_s is None
        assert reason in found.reason
    assert measured(Forgetful(0, hears="something else"), speech(2.0, said=None)).floor_s == 5


def test_error_rates_need_every_transcript_and_chinese_counts_characters() -> None:
    found = measured(Forgetful(0), speech(2.0), speech(1.0, said=None))
    assert {one.error_rate for one in found.windows} == {None}
    assert (found.unit, found.pieces, found.units) == ("word", 2, 100)
    found = measured(Forgetful(0, hears="我们好。"), speech(2.0, said="我们很好"), language="zh")
    assert (found.unit, found.units, found.windows[0].error_rate) == ("character", 3, 0.25)


WORDS = st.lists(st.sampled_from("abc"), max_size=8)


@settings(deadline=None)
@given(WORDS, WORDS)
def test_errors_are_a_distance(a: list[str], b: list[str]) -> None:
    assert errors(a, b) == errors(b, a)
    assert (errors(a, b) == 0) == (a == b)
    assert abs(len(a) - len(b)) <= errors(a, b) <= max(len(a), len(b))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(rehearsal.MODEL_DIR, tmp_path / "our-whisper")


def check_of(folder: Path, *languages: LanguageCheck) -> ModelCheck:
    return ModelCheck(
        model="our-whisper",
        bytes=size_of(folder),
        compute_type="int8",
        device="cpu",
        speech="espeak-ng",
        tolerance=TOLERANCE,
        languages=languages,
    )


def frames(model: object, language: str) -> int:
    assert isinstance(model, Whisper)
    return model.bucket(Piece(np.zeros(16_000, np.float32), language))[0]


def test_what_was_measured_is_used_for_its_language_unless_a_window_is_set(folder: Path) -> None:
    assert frames(load_model(folder, device="cpu"), "en") == 1000
    keep(folder, check_of(folder, measured(Forgetful(15), language="zh")))
    keep(folder, check_of(folder, measured(Forgetful(7))))
    assert recorded_floors(folder) == {"zh": 15.0, "en": 7.0}
    model = load_model(folder, device="cpu")
    assert [frames(model, one) for one in ("en", "en-GB", "zh")] == [700, 700, 1500]
    assert frames(load_model(folder, device="cpu", floor_s=30), "en") == 3000


def test_a_language_that_could_not_be_measured_keeps_the_default(folder: Path) -> None:
    keep(folder, check_of(folder, measured(Forgetful(0, hears=""))))
    assert recorded_floors(folder) == {}
    assert frames(load_model(folder, device="cpu"), "en") == 1000


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"bytes": 1, "languages": []}', "\ud800"])
def test_a_record_that_cannot_be_used_is_named_and_left_aside(
    content: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / FILE).write_bytes(content.encode(errors="surrogatepass"))
    with caplog.at_level(logging.WARNING, logger="asr.windows"):
        assert recorded_floors(folder) == {}
    assert "viva-check.json is not used" in caplog.text


@pytest.mark.parametrize("changed", [{"bytes": 1}, {"floor_s": 31.0}, {"floor_s": "ten"}])
def test_a_record_of_another_model_or_with_an_impossible_window_is_left_aside(
    changed: dict[str, object], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = keep(folder, check_of(folder, measured(Forgetful(7))))
    record = json.loads(file.read_text())
    (record if "bytes" in changed else record["languages"][0]).update(changed)
    file.write_text(json.dumps(record))
    with caplog.at_level(logging.WARNING, logger="asr.windows"):
        assert recorded_floors(folder) == {}
    assert "Measure again: viva models check" in caplog.text
