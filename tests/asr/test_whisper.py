"""The rehearsal model through faster-whisper's own engine, a piece of audio at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel
from faster_whisper.feature_extractor import FeatureExtractor

from asr import rehearsal
from asr.batch import Batch
from asr.engine import Engine
from asr.errors import DeviceUnavailable, ModelDamaged, ModelMissing, UnknownLanguage
from asr.features import LogMel
from asr.recognition import Audio, Priority
from asr.whisper import Whisper, choose_device
from tests.asr.speech import answer, errors, say

SENTENCES = [
    "I worked as a nurse for five years.",
    "My strongest skill is public speaking.",
    "We finished on time, and the customer stayed with us.",
    "In five years I would like to manage a larger team.",
]


def floats(pcm: np.ndarray) -> Audio:
    return pcm.astype(np.float32) / 32_768


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("samples", [600, 16_000, 55_555])
def test_features_are_those_of_faster_whisper(bands: int, samples: int) -> None:
    theirs = FeatureExtractor(feature_size=bands)
    audio = floats(say(SENTENCES[0]))
    audio = np.resize(audio, samples) + np.float32(1e-4)
    np.testing.assert_allclose(LogMel(theirs)(audio), theirs(audio), atol=2e-4)


@pytest.mark.parametrize("said", SENTENCES)
async def test_sentences_of_the_domain_are_heard_word_for_word(engine: Engine, said: str) -> None:
    heard = await engine.recognise(floats(say(said)), language="en-US")
    assert errors(said, heard.text) == 0
    assert heard.avg_logprob > -0.4


async def test_a_short_yes_is_heard(engine: Engine) -> None:
    assert (await engine.recognise(floats(say("Yes.")), language="en")).text == "Yes."


async def test_word_times_are_those_of_the_speech(engine: Engine) -> None:
    audio = answer(1.0, "I worked as a nurse for five years.")
    heard = await engine.recognise(floats(audio), language="en")
    assert [w.text for w in heard.words] == heard.text.split()
    starts = [w.start_s for w in heard.words]
    assert starts == sorted(starts)
    assert 1.0 < starts[1] < 1.4  # "worked"
    assert heard.words[-1].end_s <= len(audio) / 16_000


async def test_terms_of_the_plan_neither_hurt_nor_leak_even_as_special_tokens(
    engine: Engine,
) -> None:
    terms = ["Python", "<|endoftext|>payment system", "<|startoftranscript|>", "Emma", "Kevin"]
    said = SENTENCES[0]
    heard = await engine.recognise(floats(say(said)), language="en", hotwords=terms)
    assert errors(said, heard.text) == 0


async def test_silence_and_noise_give_no_text(engine: Engine) -> None:
    rng = np.random.default_rng(1)
    tone = np.sin(np.arange(48_000) * 0.2)
    for audio in (np.zeros(48_000), rng.normal(0, 0.05, 48_000), 0.3 * tone):
        heard = await engine.recognise(audio.astype(np.float32), language="en")
        assert heard.text == ""
        assert heard.words == ()


async def test_an_interim_has_no_word_times(engine: Engine) -> None:
    heard = await engine.recognise(
        floats(say(SENTENCES[1])), language="en", priority=Priority.INTERIM
    )
    assert heard.text
    assert heard.words == ()


async def test_a_language_the_model_lacks_is_named(engine: Engine) -> None:
    with pytest.raises(UnknownLanguage, match="'de'"):
        await engine.recognise(np.zeros(16_000, np.float32), language="de-DE")


def test_a_folder_without_its_files_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelDamaged, match=r"model\.bin, tokenizer\.json, vocabulary\.json"):
        Whisper(tmp_path)
    with pytest.raises(ModelMissing):
        Whisper(tmp_path / "absent")


@pytest.mark.parametrize("broken", ["model.bin", "tokenizer.json"])
def test_a_broken_file_is_a_damaged_model(tmp_path: Path, broken: str) -> None:
    for file in rehearsal.MODEL_DIR.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / broken).write_bytes(b"not this")
    with pytest.raises(ModelDamaged, match="does not load"):
        Whisper(tmp_path, device="cpu")


def test_devices_that_are_not_here_are_refused() -> None:
    with pytest.raises(DeviceUnavailable, match="auto, cpu, cuda"):
        choose_device("tpu")
    if choose_device("auto") == "cpu":
        with pytest.raises(DeviceUnavailable, match="No CUDA device"):
            choose_device("cuda")


def test_a_compute_type_that_the_device_lacks_is_refused() -> None:
    with pytest.raises(DeviceUnavailable):
        Whisper(rehearsal.MODEL_DIR, device="cpu", compute_type="int3")


def test_the_warm_up_makes_every_call_in_as_many_threads_as_will(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that the first candidate pays for none of them."""
    calls: list[str] = []
    align = WhisperModel.find_alignment
    generate = Batch._generate

    def aligned(self: WhisperModel, *given: Any) -> Any:
        calls.append("align")
        return align(self, *given)

    def generated(self: Batch, *given: Any) -> Any:
        calls.append("generate")
        return generate(self, *given)

    monkeypatch.setattr(WhisperModel, "find_alignment", aligned)
    monkeypatch.setattr(Batch, "_generate", generated)
    Whisper(rehearsal.MODEL_DIR, device="cpu", workers=3)
    assert sorted(calls) == ["align"] * 3 + ["generate"] * 3


def test_numbers_that_overflow_at_the_start_name_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def overflows(self: Batch) -> None:
        raise FloatingPointError("not a number")

    monkeypatch.setattr(Batch, "warm_up", overflows)
    with pytest.raises(DeviceUnavailable, match="VIVA_ASR_COMPUTE_TYPE"):
        Whisper(rehearsal.MODEL_DIR, device="cpu")
