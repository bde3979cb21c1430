"""CTranslate2's model folder: written from torch's weights, and read back for a warm start.

No conversion library is needed: one table says which of the two names of a layer belong together.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
from ctranslate2.specs import WhisperSpec

from asr.rehearsal.training.tokens import FILE, LANGUAGES, Tokens

Arrays = dict[str, np.ndarray]
Kind = Literal["linear", "norm", "fused"]

ALIGNMENT_HEADS = 2
"""Of each layer but the first: those that the training guides to the word that is said."""
_TYPES = ("float32", "int8", "int16", "int32", "float16")
_TABLE = "model.decoder.embed_tokens.weight"
PREPROCESSOR = {
    "feature_extractor_type": "WhisperFeatureExtractor",
    "feature_size": 80,
    "sampling_rate": 16000,
    "hop_length": 160,
    "chunk_length": 30,
    "n_fft": 400,
}


class Pair(NamedTuple):
    """A layer by CTranslate2's name and by transformers'; `fused` holds several projections."""

    kind: Kind
    ct2: str
    torch: str
    parts: str = ""


def pairs(encoder_layers: int, decoder_layers: int) -> Iterator[Pair]:
    """Every layer but embeddings and positions."""
    for conv in ("conv1", "conv2"):
        yield Pair("linear", f"encoder/{conv}", f"model.encoder.{conv}")
    for side, layers in (("encoder", encoder_layers), ("decoder", decoder_layers)):
        yield Pair("norm", f"{side}/layer_norm", f"model.{side}.layer_norm")
        for number in range(layers):
            yield from _layer(f"{side}/layer_{number}", f"model.{side}.layers.{number}")
            if side == "decoder":
                yield from _cross(f"{side}/layer_{number}", f"model.{side}.layers.{number}")


def _layer(ct2: str, torch: str) -> Iterator[Pair]:
    own = f"{ct2}/self_attention"
    yield Pair("norm", f"{own}/layer_norm", f"{torch}.self_attn_layer_norm")
    yield Pair("fused", f"{own}/linear_0", f"{torch}.self_attn", "qkv")
    yield Pair("linear", f"{own}/linear_1", f"{torch}.self_attn.out_proj")
    yield Pair("norm", f"{ct2}/ffn/layer_norm", f"{torch}.final_layer_norm")
    yield Pair("linear", f"{ct2}/ffn/linear_0", f"{torch}.fc1")
    yield Pair("linear", f"{ct2}/ffn/linear_1", f"{torch}.fc2")


def _cross(ct2: str, torch: str) -> Iterator[Pair]:
    cross = f"{ct2}/attention"
    yield Pair("norm", f"{cross}/layer_norm", f"{torch}.encoder_attn_layer_norm")
    yield Pair("linear", f"{cross}/linear_0", f"{torch}.encoder_attn.q_proj")
    yield Pair("fused", f"{cross}/linear_1", f"{torch}.encoder_attn", "kv")
    yield Pair("linear", f"{cross}/linear_2", f"{torch}.encoder_attn.out_proj")


def export(weights: Mapping[str, np.ndarray], heads: int, tokens: Tokens, folder: Path) -> None:
    """The folder that faster-whisper loads, int8. `weights` bear transformers' names."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = _spec(weights, heads)
    spec.register_vocabulary(tokens.names())
    for key, value in _settings(tokens, _layers(weights, "decoder")).items():
        setattr(spec.config, key, value)
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    tokens.tokenizer.save(str(folder / FILE))
    text = json.dumps(PREPROCESSOR, indent=2) + "\n"
    (folder / "preprocessor_config.json").write_text(text, encoding="utf-8")


def _settings(tokens: Tokens, layers: int) -> dict[str, Any]:
    """Nothing is suppressed at the beginning, so that silence may be empty."""
    return {
        "suppress_ids": [],
        "suppress_ids_begin": [],
        "lang_ids": [tokens.special(language) for language in LANGUAGES],
        "alignment_heads": [
            [layer, head] for layer in range(1, layers) for head in range(ALIGNMENT_HEADS)
        ],
    }


def _layers(weights: Mapping[str, np.ndarray], side: str) -> int:
    names = [name for name in weights if name.startswith(f"model.{side}.layers.")]
    return 1 + max(int(name.split(".")[3]) for name in names)


def _spec(weights: Mapping[str, np.ndarray], heads: int) -> WhisperSpec:
    spec = WhisperSpec(_layers(weights, "encoder"), heads, _layers(weights, "decoder"), heads)
    for path, value in _for_ct2(weights).items():
        *scopes, name = path.split("/")
        part: Any = spec
        for scope in scopes:
            key, _, number = scope.rpartition("_")
            listed = number.isdigit() and hasattr(part, key)
            part = getattr(part, key)[int(number)] if listed else getattr(part, scope)
        setattr(part, name, value.astype(np.float32))
    return spec


def _for_ct2(weights: Mapping[str, np.ndarray]) -> Arrays:
    made: Arrays = {}
    for pair in pairs(_layers(weights, "encoder"), _layers(weights, "decoder")):
        first, second = ("gamma", "beta") if pair.kind == "norm" else ("weight", "bias")
        if pair.kind == "fused":
            made[f"{pair.ct2}/weight"], made[f"{pair.ct2}/bias"] = _fused(weights, pair)
        else:
            made[f"{pair.ct2}/{first}"] = weights[f"{pair.torch}.weight"]
            made[f"{pair.ct2}/{second}"] = weights[f"{pair.torch}.bias"]
    for side in ("encoder", "decoder"):
        positions = weights[f"model.{side}.embed_positions.weight"]
        made[f"{side}/position_encodings/encodings"] = positions
    made["decoder/embeddings/weight"] = weights[_TABLE]
    made["decoder/projection/weight"] = weights[_TABLE].copy()
    return made


def _fused(weights: Mapping[str, np.ndarray], pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    matrices = [weights[f"{pair.torch}.{part}_proj.weight"] for part in pair.parts]
    biases = [
        # Whisper's keys have no bias.
        weights.get(f"{pair.torch}.{part}_proj.bias", np.zeros(len(matrix), np.float32))
        for part, matrix in zip(pair.parts, matrices, strict=True)
    ]
    return np.concatenate(matrices), np.concatenate(biases)


def read(folder: Path) -> Arrays:
    """The weights of such a folder under transformers' names, as float32.

    Raises `ValueError` for a file that is not a Whisper model of CTranslate2.
    """
    found = stored(folder / "model.bin")
    values = {name: _float(found, name) for name in found if not name.endswith("_scale")}
    encoder, decoder = _stored_layers(found, "encoder"), _stored_layers(found, "decoder")
    made: Arrays = {_TABLE: values["decoder/embeddings/weight"]}
    for side in ("encoder", "decoder"):
        positions = values[f"{side}/position_encodings/encodings"]
        made[f"model.{side}.embed_positions.weight"] = positions
    for pair in pairs(encoder, decoder):
        made |= _for_torch(values, pair)
    return made


def _for_torch(values: Arrays, pair: Pair) -> Arrays:
    if pair.kind == "norm":
        first, second = values[f"{pair.ct2}/gamma"], values[f"{pair.ct2}/beta"]
    else:
        first, second = values[f"{pair.ct2}/weight"], values[f"{pair.ct2}/bias"]
    if pair.kind != "fused":
        return {f"{pair.torch}.weight": first, f"{pair.torch}.bias": second}
    made: Arrays = {}
    matrices, biases = np.split(first, len(pair.parts)), np.split(second, len(pair.parts))
    for part, matrix, bias in zip(pair.parts, matrices, biases, strict=True):
        made[f"{pair.torch}.{part}_proj.weight"] = matrix
        if part != "k":
            made[f"{pair.torch}.{part}_proj.bias"] = bias
    return made


def _stored_layers(found: Arrays, side: str) -> int:
    names = [name.split("/")[1] for name in found if name.startswith(f"{side}/layer_")]
    return 1 + max(int(name[6:]) for name in names if name[6:].isdigit())


def _float(found: Arrays, name: str) -> np.ndarray:
    value = found[name].astype(np.float32)
    scale = found.get(f"{name}_scale")
    if scale is None:
        return value
    return value / scale.astype(np.float32).reshape(-1, *[1] * (value.ndim - 1))


def stored(path: Path) -> Arrays:
    """Every variable of a `model.bin`, quantised as it is. Raises `ValueError`."""
    with path.open("rb") as file:
        _number(file, "I")  # the format's version
        if _text(file) != "WhisperSpec":
            raise ValueError(f"{path} is not a Whisper model.")
        _number(file, "I")  # the specification's revision
        found = dict(_variable(file) for _ in range(_number(file, "I")))
        for _ in range(_number(file, "I")):
            alias = _text(file)
            found[alias] = found[_text(file)]
    return found


def _number(file: BinaryIO, kind: str) -> int:
    (value,) = struct.unpack(kind, file.read(struct.calcsize(kind)))
    return int(value)


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "H"))[:-1].decode()


def _variable(file: BinaryIO) -> tuple[str, np.ndarray]:
    name = _text(file)
    shape = [_number(file, "I") for _ in range(_number(file, "B"))]
    kind = np.dtype(_TYPES[_number(file, "B")])
    return name, np.frombuffer(file.read(_number(file, "I")), kind).reshape(shape)
