"""The exported folder: what faster-whisper asks of it, and that nothing is lost on the way."""

import filecmp
import json
from pathlib import Path

import numpy as np
import pytest

from asr import rehearsal
from asr.models import check_files
from asr.rehearsal.training import weights
from asr.rehearsal.training.tokens import FILE, Tokens

HEADS = 4


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens.load(rehearsal.MODEL_DIR / FILE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tokens: Tokens) -> Path:
    """The committed checkpoint, read and written again."""
    out = tmp_path_factory.mktemp("exported") / "model"
    weights.export(weights.read(rehearsal.MODEL_DIR), HEADS, tokens, out)
    return out


def test_reading_and_writing_changes_no_byte_of_the_weights(folder: Path) -> None:
    for name in ("model.bin", "config.json", "vocabulary.json"):
        assert filecmp.cmp(rehearsal.MODEL_DIR / name, folder / name, shallow=False), name


def test_the_folder_is_whole_and_small(folder: Path) -> None:
    check_files(folder)
    assert sum(file.stat().st_size for file in rehearsal.MODEL_DIR.iterdir()) < 8_000_000


def test_nothing_is_suppressed_and_words_are_aligned_by_the_guided_heads(
    folder: Path, tokens: Tokens
) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert config["suppress_ids"] == config["suppress_ids_begin"] == []
    assert config["lang_ids"] == [tokens.special("en"), tokens.special("zh")]
    assert config["alignment_heads"] == [[1, 0], [1, 1], [2, 0], [2, 1]]


def test_the_vocabulary_is_the_tokenizer_s(folder: Path, tokens: Tokens) -> None:
    vocabulary = json.loads((folder / "vocabulary.json").read_text())
    assert vocabulary == tokens.names()
    assert len(vocabulary) == len(weights.read(folder)["model.decoder.embed_tokens.weight"])


def test_there_are_whisper_s_positions() -> None:
    read = weights.read(rehearsal.MODEL_DIR)
    assert len(read["model.encoder.embed_positions.weight"]) == 1500
    assert len(read["model.decoder.embed_positions.weight"]) == 448
    assert all(np.isfinite(values).all() for values in read.values())


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    name = b"TransformerSpec\0"
    content = b"\6\0\0\0" + len(name).to_bytes(2, "little") + name
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(ValueError, match="not a Whisper model"):
        weights.read(tmp_path)
