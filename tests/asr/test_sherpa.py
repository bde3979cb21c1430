"""SenseVoice and Paraformer through the real sherpa-onnx: models of their shape, whose tokens are
tones.
"""

import asyncio
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asr.engine import Engine
from asr.errors import (
    DeviceUnavailable,
    HearingError,
    ModelDamaged,
    RecognitionFailed,
    UnknownLanguage,
)
from asr.recognition import Audio, Outcome, Piece, Recognition
from asr.service.client import RemoteRecogniser
from asr.sherpa import Sherpa
from asr.stt import WhisperSTT
from tests.asr.hearing import Ear, LoudnessVAD
from tests.asr.services import TOKEN, served
from tests.asr.tiny_sherpa import paraformer, sense_voice, silence, spoken


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sense_voice(tmp_path_factory.mktemp("models") / "sensevoice")


@pytest.fixture(scope="module")
def model(folder: Path) -> Sherpa:
    return Sherpa(folder)


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    with Engine.load(folder, device="cpu") as loaded:
        yield loaded


def text(outcome: Outcome) -> str:
    assert isinstance(outcome, Recognition)
    return outcome.text


def as_pcm(audio: Audio) -> np.ndarray:
    return (audio * 32_767).astype(np.int16)


def test_what_is_said_is_heard_without_the_models_tags(model: Sherpa) -> None:
    heard = model.decode(spoken("你", "好", "，", "▁hel", "lo"), language="zh-CN")
    assert heard.text == "你好， hello"
    assert (heard.language, heard.no_speech_prob, heard.temperature) == ("zh", 0.0, 0.0)
    assert heard.avg_logprob is None


def test_words_are_characters_in_chinese_and_stand_where_they_were(model: Sherpa) -> None:
    audio = np.concatenate([silence(0.72), spoken("你", "，", "好", "▁hel", "lo")])
    heard = model.decode(audio, language="zh")
    assert [word.text for word in heard.words] == ["你，", "好", "hello"]
    starts = [word.start_s for word in heard.words]
    assert starts == pytest.approx([0.72, 1.44, 1.80], abs=0.07)  # a frame
    assert all(word.probability is None and word.end_s >= word.start_s for word in heard.words)
    assert heard.words[-1].end_s <= len(audio) / 16_000
    assert not model.decode(audio, language="zh", words=False).words


def test_paraformer_too_with_its_own_way_to_write_words(tmp_path: Path) -> None:
    model = Sherpa(paraformer(tmp_path))
    assert (model.compute_type, model.device) == ("float32", "cpu")
    heard = model.decode(spoken("你", "好", "▁hel", "lo", "好"), language="zh")
    assert heard.text == "你好 hello 好"
    assert [word.text for word in heard.words] == ["你", "好", "hello", "好"]
    assert [word.start_s for word in heard.words] == [0.0, 0.36, 0.72, 1.44]
    assert model.decode(silence(2), language="zh").text == ""


def test_pieces_of_a_batch_keep_their_own_texts_and_errors(model: Sherpa) -> None:
    outcomes = model.decode_many(
        [
            Piece(spoken("你"), "zh"),
            Piece(np.zeros(0, np.float32), "zh"),
            Piece(spoken("好", "你", "，"), "zh"),
            Piece(np.full(1600, np.nan, np.float32), "zh"),
            Piece(spoken("好"), "fr"),
            Piece(silence(1), "yue"),
            Piece(np.zeros(31 * 16_000, np.float32), "zh"),
        ]
    )
    kinds = [type(one).__name__ for one in outcomes]
    assert [text(outcomes[i]) for i in (0, 2, 5)] == ["你", "好你，", ""]
    assert [kinds[i] for i in (1, 3, 4, 6)] == [
        "RecognitionFailed",
        "RecognitionFailed",
        "UnknownLanguage",
        "RecognitionFailed",
    ]


@pytest.mark.parametrize("samples", [1, 100, 399, 400, 4000])
def test_a_snippet_shorter_than_the_model_looks_at_is_no_fault(model: Sherpa, samples: int) -> None:
    assert model.decode(np.zeros(samples, np.float32), language="zh").text == ""


async def test_sessions_share_batches_in_the_engine(engine: Engine) -> None:
    said = {"a": "你", "b": "好", "c": "▁hel"}
    tasks = [
        asyncio.create_task(engine.recognise(spoken(said[who]), language="zh", source=who))
        for who in said
        for _ in range(4)
    ]
    heard = [r.text for r in await asyncio.gather(*tasks)]
    assert heard == [t for t in ("你", "好", "hel") for _ in range(4)]
    counts = engine.counts
    assert (counts.given, counts.items, counts.failed) == (12, 12, 0)
    assert counts.batches < 12
    with pytest.raises(UnknownLanguage, match="does not know the language 'fr'"):
        await engine.recognise(spoken("你"), language="fr")


async def test_a_batch_that_the_library_swallows_is_tried_in_halves_and_loses_nothing(
    tmp_path: Path,
) -> None:
    """It prints the model's error and gives empty texts, which would be words lost in silence."""
    with Engine.load(sense_voice(tmp_path, at_most=2), device="cpu", workers=1) as engine:
        pieces = [Piece(spoken(token), "zh") for token in ("你", "好", "你", "好")]
        with pytest.raises(RuntimeError, match="nothing back"):
            Sherpa(tmp_path).decode_many(pieces)
        tasks = [
            asyncio.create_task(engine.recognise(piece.audio, language="zh", source=n))
            for n, piece in enumerate(pieces * 4)
        ]
        heard = [r.text for r in await asyncio.gather(*tasks)]
    assert heard == ["你", "好"] * 8
    assert engine.counts.retried > 0


async def test_a_candidate_is_heard_in_mandarin(engine: Engine) -> None:
    ear = Ear(WhisperSTT(engine, language="zh", vad=LoudnessVAD()))
    await ear.play(as_pcm(np.concatenate([silence(1), spoken("你", "好", "你"), silence(1)])))
    await ear.end()
    assert ear.finals == ["你好你"]
    (segment,) = ear.segments
    assert (segment.verdict, segment.confidence, segment.language) == ("ok", None, "zh")
    assert segment.words[0].start_s == pytest.approx(1.0, abs=0.1)


async def test_a_loop_of_the_model_is_dropped(engine: Engine) -> None:
    ear = Ear(WhisperSTT(engine, language="zh", vad=LoudnessVAD()))
    await ear.play(as_pcm(np.concatenate([silence(1), spoken(*["你"] * 12), silence(1)])))
    await ear.end()
    assert ear.finals == []
    assert {segment.dropped_reason for segment in ear.segments} == {"repetition"}


async def test_the_service_hears_with_it_and_has_no_confidence_to_tell(engine: Engine) -> None:
    async with served(engine) as (_, url):
        remote = await asyncio.to_thread(lambda: RemoteRecogniser(url, token=TOKEN))
        try:
            assert (remote.model, remote.compute_type) == ("sensevoice", "int8")
            heard = await remote.recognise(spoken("你", "好"), language="zh")
        finally:
            await asyncio.to_thread(remote.close)
    assert (heard.text, heard.avg_logprob) == ("你好", None)
    assert [word.probability for word in heard.words] == [None, None]


def test_the_extra_that_is_missing_is_named_with_the_way_to_install_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sherpa_onnx", None)
    with pytest.raises(DeviceUnavailable, match=r"pip install -e '\.\[sherpa\]'"):
        Engine.load(folder, device="cpu")


def test_without_cuda_in_the_library_the_model_goes_to_the_cpu(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="asr.sherpa"):
        model = Sherpa(folder, device="cuda")
    assert model.device == "cpu"
    assert "on the CPU only" in caplog.text
    assert text(model.decode_many([Piece(spoken("你"), "zh")])[0]) == "你"


@pytest.mark.parametrize("file", ["tokens.txt", "model.int8.onnx"])
def test_a_file_that_is_missing_is_named(file: str, tmp_path: Path) -> None:
    (sense_voice(tmp_path) / file).unlink()
    with pytest.raises(HearingError, match=r"tokens\.txt|model\.bin"):
        Engine.load(tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<blank> 0\n你 1\n", r"names no token 2, and the model has 15"),
        ("你 好 1\n", "not a list of tokens"),
        ("only words\n", "not a list of tokens"),
        ("", "names no token 0"),
    ],
)
def test_tokens_of_another_model_are_found_out_before_they_are_needed(
    content: str, reason: str, tmp_path: Path
) -> None:
    (sense_voice(tmp_path) / "tokens.txt").write_text(content, encoding="utf-8")
    with pytest.raises(ModelDamaged, match=reason):
        Sherpa(tmp_path)


def test_paraformers_tokens_end_a_sentence(tmp_path: Path) -> None:
    tokens = paraformer(tmp_path) / "tokens.txt"
    tokens.write_text(tokens.read_text(encoding="utf-8").replace("</s>", "<x>"), encoding="utf-8")
    with pytest.raises(ModelDamaged, match="has no </s>"):
        Sherpa(tmp_path)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"lang_zh": None}, "lack lang_zh"),
        ({"vocab_size": None}, "lack vocab_size"),
        ({"lfr_window_size": "x"}, "lfr_window_size in its metadata is 'x'"),
        ({"with_itn": "-1"}, "with_itn in its metadata is '-1'"),
        ({"neg_mean": "1,2"}, "neg_mean in its metadata is not 560 numbers"),
        ({"inv_stddev": ",".join(["x"] * 560)}, "inv_stddev in its metadata is not"),
    ],
)
def test_metadata_over_which_the_library_would_end_the_process_are_refused(
    metadata: dict[str, str | None], reason: str, tmp_path: Path
) -> None:
    sense_voice(tmp_path, metadata=metadata)
    with pytest.raises(ModelDamaged, match=reason):
        Sherpa(tmp_path)


def test_a_file_cut_short_anywhere_is_refused(folder: Path, tmp_path: Path) -> None:
    sense_voice(tmp_path)
    whole = (folder / "model.int8.onnx").read_bytes()
    for size in (0, 1, 10, len(whole) // 2, len(whole) - 5000, len(whole) - 1):
        (tmp_path / "model.int8.onnx").write_bytes(whole[:size])
        with pytest.raises(ModelDamaged):
            Sherpa(tmp_path)


def test_a_file_with_the_right_metadata_and_no_graph_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    """What the library itself finds out comes as a sentence too."""
    sense_voice(tmp_path)
    whole = (folder / "model.int8.onnx").read_bytes()
    (tmp_path / "model.int8.onnx").write_bytes(whole.replace(b"MatMul", b"NatNul"))
    with pytest.raises(ModelDamaged, match=r"does not load.*viva models fetch"):
        Sherpa(tmp_path)


def test_a_model_that_does_not_compute_is_found_out_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ModelDamaged, match="does not compute"):
        Sherpa(sense_voice(tmp_path, at_most=1))


async def test_a_piece_that_fails_alone_is_an_error_and_no_silence(tmp_path: Path) -> None:
    model = Sherpa(sense_voice(tmp_path, at_most=2))
    with Engine(model) as engine:
        model._recogniser = Broken()
        with pytest.raises(RecognitionFailed, match="nothing back"):
            await engine.recognise(spoken("你"), language="zh")


class Broken:
    """A recogniser whose results stay as they were made, as after a swallowed error."""

    class _Stream:
        class result:
            text, lang, tokens, timestamps = "", "", (), ()

        def accept_waveform(self, rate: int, audio: Audio) -> None: ...

    def create_stream(self) -> _Stream:
        return self._Stream()

    def decode_streams(self, streams: list[_Stream]) -> None: ...
