import shutil
from pathlib import Path

import pytest
import tiny_voices

from tts.espeak import VOICES
from tts.neural_folder import PHONEMES, find
from tts.neural_models import VoiceUnusable, resolve


def test_each_family_is_told_by_what_lies_in_the_folder(tmp_path: Path) -> None:
    piper = find(tiny_voices.piper(tmp_path / "p"))
    kokoro = find(tiny_voices.kokoro(tmp_path / "k"))
    matcha = find(tiny_voices.matcha(tmp_path / "m"))
    assert [one.family for one in (piper, kokoro, matcha)] == ["vits", "kokoro", "matcha"]
    assert (piper.model.name, piper.taught_by) == ("voice.onnx", "en-us")
    assert [one.name for one in kokoro.lexicons] == ["lexicon-us-en.txt", "lexicon-zh.txt"]
    assert matcha.vocoder and matcha.vocoder.name == "vocos-22khz-tiny.onnx"
    assert matcha.model.name == "model-steps-3.onnx"


def test_phonemes_are_what_espeak_speaks_in() -> None:
    assert PHONEMES == VOICES


def test_who_spells_a_text_depends_on_folder_and_language(tmp_path: Path) -> None:
    kokoro = find(tiny_voices.kokoro(tmp_path / "k"))
    assert kokoro.phonemes("en") == "en-us"
    assert kokoro.phonemes("zh") is None
    assert find(tiny_voices.matcha(tmp_path / "m")).phonemes("zh") is None
    huayan = find(tiny_voices.piper(tmp_path / "p", taught_by="cmn"))
    assert huayan.phonemes("zh") == "cmn"
    with pytest.raises(VoiceUnusable, match="speaks 'cmn', not 'en'"):
        huayan.phonemes("en")
    (kokoro.path / "lexicon-zh.txt").unlink()
    (kokoro.path / "lexicon-us-en.txt").unlink()
    with pytest.raises(VoiceUnusable, match="speaks no Chinese"):
        find(kokoro.path).phonemes("zh")


def test_rules_are_applied_in_their_authors_order(tmp_path: Path) -> None:
    folder = tiny_voices.matcha(tmp_path / "m")
    for name in ("number-zh.fst", "date-zh.fst", "other.fst", "phone-zh.fst", "rule.far"):
        (folder / name).touch()
    found = find(folder)
    assert [rule.name for rule in found.rules] == [
        "phone-zh.fst",
        "date-zh.fst",
        "number-zh.fst",
        "other.fst",
    ]
    assert [one.name for one in found.archives] == ["rule.far"]


def test_the_whole_model_goes_before_its_int8_one(tmp_path: Path) -> None:
    folder = tiny_voices.kokoro(tmp_path / "k")
    shutil.copy(folder / "model.onnx", folder / "model.int8.onnx")
    assert find(folder).model.name == "model.onnx"
    (folder / "model.onnx").unlink()
    assert find(folder).model.name == "model.int8.onnx"


@pytest.mark.parametrize("missing", ["tokens.txt", "vocos-22khz-tiny.onnx", "model-steps-3.onnx"])
def test_what_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    folder = tiny_voices.matcha(tmp_path / "m")
    (folder / missing).unlink()
    named = {"tokens.txt": "tokens.txt", "vocos-22khz-tiny.onnx": "needs one vocoder"}
    with pytest.raises(VoiceUnusable, match=named.get(missing, r"it has no \*\.onnx")):
        find(folder)


def test_two_vocoders_are_one_too_many(tmp_path: Path) -> None:
    folder = tiny_voices.matcha(tmp_path / "m")
    (folder / "vocoder").mkdir()
    (folder / "vocoder" / "hifigan_v2.onnx").touch()
    with pytest.raises(VoiceUnusable, match="it has 2"):
        find(folder)


def test_other_weights_make_another_voice(tmp_path: Path) -> None:
    folder = tiny_voices.piper(tmp_path / "p")
    before = find(folder).fingerprint
    with (folder / "voice.onnx").open("ab") as model:
        model.write(b"x")
    assert find(folder).fingerprint != before


def test_a_voice_is_found_by_name_or_by_path(tmp_path: Path) -> None:
    (tmp_path / "kokoro").mkdir()
    (tmp_path / "somebody--voice").mkdir()
    assert resolve("kokoro", tmp_path) == tmp_path / "kokoro"
    assert resolve("somebody/voice", tmp_path) == tmp_path / "somebody--voice"
    assert resolve(str(tmp_path / "nowhere"), tmp_path) == tmp_path / "nowhere"
    with pytest.raises(VoiceUnusable, match="There is no folder"):
        find(tmp_path / "nowhere")
    with pytest.raises(VoiceUnusable, match="viva models fetch piper-en"):
        resolve("piper-en", tmp_path)
    with pytest.raises(VoiceUnusable, match="Known: piper-en"):
        resolve("piper", tmp_path)
