"""Models of SenseVoice's and Paraformer's shape, for the real sherpa-onnx: each tone is a token.

They have the inputs, outputs and metadata of the real ones and no weights worth the name: a frame's
score for a token is the loudness at the token's pitch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper, save

RATE = 16_000
MELS, STACKED, SHIFT = 80, 7, 6
FRAME_S = 0.06
TOKENS = (
    "<blank>",
    "<s>",
    "</s>",
    "你",
    "好",
    "▁hel",
    "lo",
    "，",
    "<|zh|>",
    "<|en|>",
    "<|nospeech|>",
    "<|NEUTRAL|>",
    "<|Speech|>",
    "<|withitn|>",
    "<|woitn|>",
)
PITCHES = {"你": 300.0, "好": 700.0, "▁hel": 1500.0, "lo": 3000.0, "，": 5500.0}
LANGUAGES = {"lang_auto": 0, "lang_zh": 1, "lang_en": 2, "lang_yue": 3, "lang_ja": 4, "lang_ko": 5}
QUIET = 4.0
"""Log energy below which a frame is silent."""


def tone(token: str, seconds: float = 0.36, level: float = 0.3) -> npt.NDArray[np.float32]:
    at = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * PITCHES[token] * at)).astype(np.float32)


def silence(seconds: float) -> npt.NDArray[np.float32]:
    return np.zeros(round(seconds * RATE), np.float32)


def spoken(*tokens: str) -> npt.NDArray[np.float32]:
    """Each with a pause behind it, so that the same one twice is two."""
    parts = [part for token in tokens for part in (tone(token, 0.24), silence(0.12))]
    return np.concatenate(parts)


def sense_voice(
    folder: Path, *, metadata: dict[str, str | None] | None = None, at_most: int = 1000
) -> Path:
    """A folder as sherpa-onnx publishes it; `metadata` puts others in place, None leaves out.

    A batch of more than `at_most` makes ONNX Runtime raise.
    """
    languages = np.stack([_one("<|zh|>")] * 2 + [_one("<|en|>")] + [_one("<|zh|>")] * 3)
    nodes = [
        helper.make_node("Slice", ["x", "none", "most", "none"], ["x_few"]),
        *_scores("x_few"),
        *_row("languages", "language", "tag"),
        *_row("emotions", "language", "emotion"),
        *_row("events", "language", "event"),
        *_row("itn", "text_norm", "itn_tag"),
        helper.make_node(
            "Concat", ["tag", "emotion", "event", "itn_tag", "scores"], ["logits"], axis=1
        ),
    ]
    tables = {
        "none": np.array([0], np.int64),
        "most": np.array([at_most], np.int64),
        "languages": languages,
        "emotions": np.stack([_one("<|NEUTRAL|>")] * 6),
        "events": np.stack([_one("<|Speech|>")] * 6),
        "itn": np.stack([_one("<|withitn|>"), _one("<|woitn|>")]),
    }
    inputs = [
        _float("x", ["N", "T", MELS * STACKED]),
        *(
            helper.make_tensor_value_info(name, TensorProto.INT32, ["N"])
            for name in ("x_length", "language", "text_norm")
        ),
    ]
    outputs = [_float("logits", ["N", "T4", len(TOKENS)])]
    about: dict[str, str | None] = {
        "model_type": "sense_voice_ctc",
        "normalize_samples": "0",
        "with_itn": "0",
        "without_itn": "1",
        **{name: str(number) for name, number in LANGUAGES.items()},
    }
    model = _model(nodes, inputs, outputs, tables)
    return _write(folder, model, about | (metadata or {}), "model.int8.onnx")


def paraformer(folder: Path, *, metadata: dict[str, str | None] | None = None) -> Path:
    """A token every six frames, each with its time; `</s>` where it is quiet."""
    nodes = [
        *_scores("speech", quiet="</s>"),
        helper.make_node("Slice", ["scores", "first", "last", "axis", "step"], ["logits"]),
        # One where a token is, then zeros: 18 to a token, three to a frame.
        helper.make_node("ArgMax", ["logits"], ["best"], axis=2, keepdims=0),
        helper.make_node("Equal", ["best", "eos"], ["over"]),
        helper.make_node("Not", ["over"], ["said"]),
        helper.make_node("Cast", ["said"], ["peak"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["peak", "axis2"], ["column"]),
        helper.make_node("Pad", ["column", "behind"], ["spread"]),
        helper.make_node("Reshape", ["spread", "flat"], ["peaks"]),
        helper.make_node("Pad", ["peaks", "one_more", "loud"], ["us_cif_peak"]),
        helper.make_node("ReduceSum", ["peak", "axis"], ["token_num"], keepdims=0),
        helper.make_node("Identity", ["us_cif_peak"], ["us_alphas"]),
    ]
    tables = {
        "first": np.array([2], np.int64),
        "last": np.array([2**31], np.int64),
        "axis": np.array([1], np.int64),
        "axis2": np.array([2], np.int64),
        "step": np.array([SHIFT], np.int64),
        "eos": np.array(TOKENS.index("</s>"), np.int64),
        "behind": np.array([0, 0, 0, 0, 0, 17], np.int64),
        "flat": np.array([0, -1], np.int64),
        "one_more": np.array([0, 0, 0, 1], np.int64),
        "loud": np.array(1, np.float32),
    }
    inputs = [
        _float("speech", ["N", "T", MELS * STACKED]),
        helper.make_tensor_value_info("speech_lengths", TensorProto.INT32, ["N"]),
    ]
    outputs = [
        _float("logits", ["N", "K", len(TOKENS)]),
        _float("token_num", ["N"]),
        _float("us_alphas", ["N", "P"]),
        _float("us_cif_peak", ["N", "P"]),
    ]
    about: dict[str, str | None] = {"model_type": "paraformer"}
    model = _model(nodes, inputs, outputs, tables)
    return _write(folder, model, about | (metadata or {}), "model.onnx")


def _scores(frames: str, quiet: str = "<blank>") -> list[Any]:
    return [
        helper.make_node("MatMul", [frames, "ears"], ["heard"]),
        helper.make_node("Add", ["heard", f"bias_{quiet}"], ["scores"]),
    ]


def _row(table: str, number: str, name: str) -> list[Any]:
    """A row of a table for each item of the batch, as one frame."""
    return [
        helper.make_node("Gather", [table, number], [f"{name}_flat"], axis=0),
        helper.make_node("Unsqueeze", [f"{name}_flat", "axis1"], [name]),
    ]


def _one(token: str) -> npt.NDArray[np.float32]:
    return np.eye(len(TOKENS), dtype=np.float32)[TOKENS.index(token)] * 100


def _ears() -> npt.NDArray[np.float32]:
    """(features, tokens): the mean over the stacked frames of the loudest band of each pitch."""

    def mel(hertz: float) -> float:
        return float(1127 * np.log(1 + hertz / 700))

    step = (mel(RATE / 2) - mel(20)) / (MELS + 1)
    ears = np.zeros((STACKED, MELS, len(TOKENS)), np.float32)
    for token, pitch in PITCHES.items():
        band = round((mel(pitch) - mel(20)) / step) - 1
        ears[:, band, TOKENS.index(token)] = 1 / STACKED
    return ears.reshape(STACKED * MELS, len(TOKENS))


def _bias(quiet: str) -> npt.NDArray[np.float32]:
    bias = np.full(len(TOKENS), -1000, np.float32)
    for token in PITCHES:
        bias[TOKENS.index(token)] = 0
    bias[TOKENS.index(quiet)] = QUIET
    return bias


def _float(name: str, shape: list[str | int]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _model(
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    tables: dict[str, npt.NDArray[Any]],
) -> ModelProto:
    constants: dict[str, npt.NDArray[Any]] = {
        "ears": _ears(),
        "bias_<blank>": _bias("<blank>"),
        "bias_</s>": _bias("</s>"),
        "axis1": np.array([1], np.int64),
        **tables,
    }
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "tiny",
        inputs,
        outputs,
        [numpy_helper.from_array(v, n) for n, v in constants.items() if n in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model


def _write(folder: Path, model: ModelProto, about: dict[str, str | None], file: str) -> Path:
    size = MELS * STACKED
    all_of = {
        "vocab_size": str(len(TOKENS)),
        "lfr_window_size": str(STACKED),
        "lfr_window_shift": str(SHIFT),
        "neg_mean": ",".join(["0"] * size),
        "inv_stddev": ",".join(["1"] * size),
        **about,
    }
    helper.set_model_props(model, {k: v for k, v in all_of.items() if v is not None})
    folder.mkdir(parents=True, exist_ok=True)
    save(model, str(folder / file))
    named = TOKENS if "lang_zh" in about else [t.replace("▁hel", "hel@@") for t in TOKENS]
    lines = [f"{token} {number}" for number, token in enumerate(named)]
    (folder / "tokens.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
