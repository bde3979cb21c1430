"""`viva models check` with real models: verified, loaded, measured, and what was found is used."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asr import rehearsal
from asr.measuring import Speech
from asr.models import REHEARSAL
from asr.windows import FILE, recorded_floors
from server import cli, manifest, model_check
from server.model_check import SENTENCES, Listening, check, recordings
from server.settings import load
from tests.asr.recordings import save
from tests.asr.speech import answer
from tests.asr.tiny_sherpa import sense_voice, spoken

Run = Callable[..., tuple[int, str, str]]
SAID = "I led a team of seven engineers."
AFTER = "I told my manager that the data was wrong."


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("VIVA_ASR_DEVICE", "cpu")

    def viva(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["viva", "models", "check", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), out, err

    return viva


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model as it was fetched."""
    path = shutil.copytree(rehearsal.MODEL_DIR, tmp_path / "models" / "small")
    files = {f.name: {"size": 0, "sha256": manifest.sha256(f)} for f in path.iterdir()}
    manifest.write(path, files, name="small")
    return path


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings, one with its transcript beside it and one to be given it."""
    folder = tmp_path_factory.mktemp("speech")
    save(folder / "a.wav", answer(0.5, SAID, 0.7))
    save(folder / "b.flac", answer(0.5, AFTER, 1.0, SAID, 0.7))
    (folder / "a.txt").write_text(SAID)
    (folder / "b.txt").write_text(f"{AFTER} {SAID}")
    return folder


def test_a_model_is_measured_and_the_window_is_kept_and_used(
    run: Run, folder: Path, speech: Path
) -> None:
    code, out, err = run("small", "--speech", speech, "--json")
    assert code == 0, err
    (found,) = json.loads(out)
    (english,) = found["windows"]["languages"]
    assert found["verified_files"] == len(manifest.read(folder)["files"])
    assert (english["language"], english["unit"], english["pieces"]) == ("en", "word", 3)
    assert [one["window_s"] for one in english["windows"]] == [5, 7, 10, 12, 15, 20, 25, 30]
    assert {one["error_rate"] for one in english["windows"]} == {0.0}
    assert english["floor_s"] == 5.0
    assert found["kept"] == str(folder / FILE)
    assert recorded_floors(folder) == {"en": 5.0}
    assert manifest.verify(folder)  # the record is no part of what was fetched


def test_the_rehearsals_model_gets_a_line_to_set_and_stays_as_it_is(
    run: Run, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVA_ASR_MODEL", REHEARSAL)
    code, _, err = run("--audio", speech / "a.wav")
    assert code == 0
    assert "en, by 1 pieces of recordings (7 words)" in err
    assert "differ by silence behind the speech: 0 s" in err
    assert "recommended: 5 s" in err
    assert "Not kept: it is a part of Viva. Set VIVA_ASR_WINDOW_S=5" in err
    assert not (rehearsal.MODEL_DIR / FILE).exists()


def test_a_folder_that_cannot_be_written_gets_the_line_too(
    folder: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: Path, found: object) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(model_check, "keep", refused)  # root may write anywhere
    listening = Listening(("en",), (speech / "a.wav",))
    settings = load(models_dir=folder.parent, asr_device="cpu")
    found = check("small", settings, listening, lambda *_: None)
    assert found.kept is None
    assert "cannot be written (Permission denied)" in found.why_not_kept


def test_speech_is_rendered_where_none_is_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SENTENCES, "en", (SAID,))
    monkeypatch.setitem(SENTENCES, "zh", ("你好。",))
    seen: list[tuple[str, int, int]] = []
    settings = load(models_dir=folder.parent, asr_device="cpu")
    found = check("small", settings, Listening(), lambda *one: seen.append(one)).found
    assert found is not None
    english, chinese = found.languages
    assert (english.pieces, english.floor_s, english.windows[-1].error_rate) == (2, 5.0, 0.0)
    assert (chinese.unit, chinese.floor_s) == ("character", None)  # it was not trained in it
    assert seen[-1] == ("zh", 22, 22)
    assert recorded_floors(folder) == {"en": 5.0}


def test_every_sentence_can_be_rendered() -> None:
    for language, sentences in SENTENCES.items():
        given = list(model_check._speech(language, ()))
        assert {one.said for one in given} == set(sentences)
        assert all(_sounds(one) for one in given)


def _sounds(speech: Speech) -> bool:
    (audio,) = speech.pieces
    return 1.0 < len(audio) / 16_000 < 10.0 and float(np.abs(audio).max()) > 0.05


def test_sensevoice_is_checked_and_has_no_window(run: Run, tmp_path: Path) -> None:
    sense_voice(tmp_path / "models" / "sensevoice")
    code, out, err = run("sensevoice", "--json", "--language", "zh")
    assert code == 0, err
    (found,) = json.loads(out)
    assert found["windows"] is None
    assert found["error_rates"]["zh"] > 0.5  # it knows tones only
    code, _, err = run("sensevoice", "--language", "zh", "--audio", recorded(tmp_path))
    assert code == 0, err
    assert "no window to choose" in err
    assert "zh: wrong of what was said: not known, without a transcript." in err


def recorded(folder: Path) -> Path:
    tones = (np.concatenate([spoken("你", "好")] * 4) * 20_000).astype(np.int16)
    return save(folder / "z.wav", np.concatenate([answer(0.3, SAID, 0.6), tones]))


def test_what_is_wrong_is_said_in_a_sentence(
    run: Run, folder: Path, speech: Path, tmp_path: Path
) -> None:
    def refused(*arguments: str | Path) -> str:
        code, _, err = run(*arguments)
        assert code == 1 and "Traceback" not in err
        return err

    (tmp_path / "empty").mkdir()
    (tmp_path / "c.wav").write_bytes(b"PK\x03\x04 no sound")
    save(tmp_path / "quiet.wav", np.zeros(16_000, np.int16))
    assert "viva models fetch base" in refused("base")
    assert "There is no folder" in refused(tmp_path / "nowhere")
    assert "missing" in refused(tmp_path / "empty")
    assert "does not know fr" in refused("small", "--language", "fr", "--audio", speech / "a.wav")
    assert "there are no recordings" in refused("small", "--speech", tmp_path / "empty")
    assert "there is no such folder" in refused("small", "--speech", tmp_path / "x")
    assert "c.wav: " in refused("small", "--audio", tmp_path / "c.wav")
    assert "no speech in it" in refused("small", "--audio", tmp_path / "quiet.wav")
    (folder / "model.bin").write_bytes(b"changed")
    assert "has changed on disk" in refused("small")
    (folder / manifest.NAME).unlink()
    assert "does not load" in refused("small")


def test_recordings_are_taken_in_order_and_nothing_else(speech: Path) -> None:
    assert [one.name for one in recordings(speech)] == ["a.wav", "b.flac"]
