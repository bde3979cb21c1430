"""Models are found on this machine without a network, and only whole ones are taken."""

from pathlib import Path

import pytest

from asr import rehearsal
from asr.errors import ModelDamaged, ModelMissing, UnknownModel
from asr.models import SHERPA, WHISPER, default_model, kind_of, resolve


def test_a_model_that_is_not_here_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="viva models fetch large-v3-turbo"):
        resolve("large-v3-turbo", tmp_path)
    with pytest.raises(ModelMissing, match="viva models fetch someone/whisper-ct2"):
        resolve("someone/whisper-ct2", tmp_path)


def test_an_unknown_name_lists_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("largest", "a/b/c", "../x", "/nowhere/x"):
        with pytest.raises((UnknownModel, ModelMissing), match="large-v3-turbo"):
            resolve(name, tmp_path)


def test_a_folder_is_taken_as_it_is_and_must_be_whole(tmp_path: Path) -> None:
    assert resolve(str(rehearsal.MODEL_DIR), tmp_path) == rehearsal.MODEL_DIR
    assert resolve("rehearsal", tmp_path) == rehearsal.MODEL_DIR
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelDamaged, match=r"model\.bin"):
        resolve(str(tmp_path), tmp_path)


def test_the_default_fits_the_device() -> None:
    assert default_model("cuda") == "large-v3-turbo"
    assert default_model("cpu") == "small"


def test_the_files_tell_what_kind_of_model_a_folder_is(tmp_path: Path) -> None:
    assert kind_of(rehearsal.MODEL_DIR) is WHISPER
    (tmp_path / "model.onnx").touch()
    with pytest.raises(ModelDamaged, match=r"sherpa-onnx recogniser: tokens\.txt missing"):
        kind_of(tmp_path)
    (tmp_path / "tokens.txt").touch()
    assert kind_of(tmp_path) is SHERPA
    with pytest.raises(ModelMissing):
        kind_of(tmp_path / "nowhere")
