"""Voices' folders that sherpa-onnx loads and runs, made here: a tone as long as the text's tokens.

No weights: each graph counts the tokens that it is given, so a test that knows the tokens knows how
many samples come out. A Piper voice takes espeak-ng's phonemes, the others characters of a lexicon.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_Inputs = Sequence[tuple[str, int, Sequence[int | None]]]
Fault = Literal["", "nan", "silence", "breaks_at_exclamation"]

RATE = 22_050
SAMPLES_A_TOKEN = 800
IPA = "_^$ " + "".join(
    dict.fromkeys("abcdefghijklmnopqrstuvwxyzæðŋɐɑɔəɚɛɜɡɪɹɾʃʊʌʒˈˌːθɕχ123456789-,.;:?")
)
CHINESE = "你好我来问几个题请介绍一下最近的项目团队谢"
_MARKS = ",.?!，。？！"
_INT, _FLOAT = TensorProto.INT64, TensorProto.FLOAT


def piper(
    folder: Path,
    *,
    fault: Fault = "",
    speakers: int = 1,
    taught_by: str = "en-us",
    rate: int = RATE,
) -> Path:
    """Two tokens for each phoneme and three more: see `piper_samples`."""
    folder.mkdir(parents=True)
    symbols = [*IPA, "!"]  # the last: a graph may break at it
    inputs: _Inputs = [
        ("input", _INT, [1, None]),
        ("input_lengths", _INT, [1]),
        ("scales", _FLOAT, [3]),
    ]
    about = {
        "sample_rate": rate,
        "n_speakers": speakers,
        "language": "English",
        "comment": "piper",
        "voice": taught_by,
    }
    known = len(symbols) - (fault == "breaks_at_exclamation")
    nodes = [*_counted("input", known), *_tone("output", "fast", fault)]
    scale = helper.make_node("Gather", ["scales", "one"], ["fast"])
    _save(folder / "voice.onnx", [scale, *nodes], inputs, "output", about, fault)
    _write_tokens(folder, symbols)
    (folder / "voice.onnx.json").write_text(f'{{"espeak": {{"voice": "{taught_by}"}}}}')
    return folder


def piper_samples(phonemes: str) -> int:
    return SAMPLES_A_TOKEN * (2 * len(phonemes) + 3)


def kokoro(folder: Path) -> Path:
    """Chinese by its lexicon, English by phonemes; two speakers."""
    folder.mkdir(parents=True)
    inputs: _Inputs = [
        ("tokens", _INT, [1, None]),
        ("style", _FLOAT, [1, 4]),
        ("speed", _FLOAT, [1]),
    ]
    about = {
        "sample_rate": 24_000,
        "version": 2,
        "n_speakers": 2,
        "has_espeak": 1,
        "style_dim": "510,1,4",
        "voice": "en-us",
    }
    nodes = [
        helper.make_node("Reciprocal", ["speed"], ["slow"]),
        helper.make_node("Squeeze", ["slow"], ["fast"]),
        *_counted("tokens", 1000),
        *_tone("audio", "fast", ""),
    ]
    _save(folder / "model.onnx", nodes, inputs, "audio", about, "")
    (folder / "voices.bin").write_bytes(np.zeros(2 * 510 * 4, np.float32).tobytes())
    _write_tokens(folder, [*IPA, *CHINESE, *_MARKS[3:]])
    _write_lexicon(folder / "lexicon-zh.txt")
    (folder / "lexicon-us-en.txt").write_text("hello h e l o\n")
    return folder


def matcha(folder: Path) -> Path:
    """Chinese by its lexicon: a graph that gives a frame for each token, and a vocoder."""
    folder.mkdir(parents=True)
    inputs: _Inputs = [
        ("x", _INT, [1, None]),
        ("x_length", _INT, [1]),
        ("noise_scale", _FLOAT, [1]),
        ("length_scale", _FLOAT, [1]),
    ]
    about = {
        "sample_rate": RATE,
        "version": 1,
        "n_speakers": 1,
        "jieba": 1,
        "use_eos_bos": 0,
        "pad_id": 0,
    }
    mel = [
        helper.make_node("Cast", ["x"], ["frames"], to=_FLOAT),
        helper.make_node("Unsqueeze", ["frames", "first"], ["mel"]),
    ]
    _save(folder / "model-steps-3.onnx", mel, inputs, "mel", about, "")
    frames: _Inputs = [("mel", _FLOAT, [1, 1, None])]
    vocoder = [helper.make_node("Squeeze", ["mel", "first"], ["flat"]), *_counted("flat", 0)]
    _save(
        folder / "vocos-22khz-tiny.onnx",
        [*vocoder, helper.make_node("Identity", ["whole"], ["fast"]), *_tone("audio", "fast", "")],
        frames,
        "audio",
        {"model_type": "hifigan", "sample_rate": RATE},
        "",
    )
    _write_tokens(folder, ["_", *map(_syllable, CHINESE), *_MARKS])
    _write_lexicon(folder / "lexicon.txt", syllables=True)
    return folder


def _counted(tokens: str, known: int) -> list[onnx.NodeProto]:
    """`samples`: how many tokens there are, times `SAMPLES_A_TOKEN`; an unknown one is an error."""
    shape = helper.make_node("Shape", [tokens], ["shape"])
    count = helper.make_node("Gather", ["shape", "one"], ["count"])
    samples = helper.make_node("Mul", ["count", "per_token"], ["samples"])
    if not known:
        return [shape, count, samples]
    table = np.zeros(known, np.float32)
    constant = helper.make_node("Constant", [], ["table"], value=numpy_helper.from_array(table))
    # The looked-up zeros are added to the tone, or the look-up would be optimised away.
    looked_up = helper.make_node("Gather", ["table", tokens], ["looked_up"])
    return [constant, looked_up, shape, count, samples]


def _tone(output: str, length: str, fault: Fault) -> list[onnx.NodeProto]:
    """A steady tone of `samples` times `length`, shaped as a model's output."""
    make = helper.make_node
    return [
        make("Cast", ["samples"], ["samples_f"], to=_FLOAT),
        make("Mul", ["samples_f", length], ["scaled"]),
        make("Round", ["scaled"], ["rounded"]),
        make("Cast", ["rounded"], ["total"], to=_INT),
        make("Squeeze", ["total"], ["end"]),
        make("Range", ["zero", "end", "one"], ["times"]),
        make("Cast", ["times"], ["times_f"], to=_FLOAT),
        make("Mul", ["times_f", "step"], ["phase"]),
        make("Sin", ["phase"], ["wave"]),
        make("Mul", ["wave", "loudness"], ["loud"]),
        make("Reshape", ["loud", "out_shape"], [output]),
    ]


def _save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: _Inputs,
    output: str,
    about: Mapping[str, Any],
    fault: Fault,
) -> None:
    loudness = {"nan": float("nan"), "silence": 0.0}.get(fault, 0.3)
    constants = {
        "zero": np.int64(0),
        "one": np.int64(1),
        "first": np.array([1], np.int64),
        "whole": np.float32(1),
        "per_token": np.int64(SAMPLES_A_TOKEN),
        "step": np.float32(0.1),
        "loudness": np.float32(loudness),
        "out_shape": np.array([1, 1, -1], np.int64),
    }
    graph = helper.make_graph(
        list(nodes),
        "tone",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(output, _FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {name: str(value) for name, value in about.items()})
    onnx.save(model, str(path))


def _write_tokens(folder: Path, symbols: Sequence[str]) -> None:
    lines = [f"{symbol} {number}\n" for number, symbol in enumerate(symbols)]
    (folder / "tokens.txt").write_text("".join(lines), encoding="utf-8")


def _write_lexicon(path: Path, *, syllables: bool = False) -> None:
    lines = [f"{char} {_syllable(char) if syllables else char}\n" for char in CHINESE]
    path.write_text("".join(lines), encoding="utf-8")


def _syllable(char: str) -> str:
    """Stands for its pinyin: what matters is that it is longer than one character."""
    return f"zh{CHINESE.index(char)}"
