"""A Whisper folder of true shape whose weights are noise: it costs what Whisper does, and is deaf.

    python -m bench.random_whisper base out/whisper-base-random
    python -m bench.random_whisper large-v3-turbo out/turbo --quantization float16

Layers, widths, mel bands, vocabulary size and alignment heads are those of OpenAI's models, so
every call takes as long as with trained weights. The text means nothing: a benchmark that uses it
has to say so, and must not let what comes out decide how much is computed.

The tokenizer is the rehearsal checkpoint's, filled up to Whisper's vocabulary, with the special
tokens and the languages at Whisper's places.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import WhisperSpec
from faster_whisper.tokenizer import _LANGUAGE_CODES

from asr import rehearsal

TEXT_TOKENS = 50_257
TIMESTAMPS = 1501
POSITIONS = 1500
"""Encoder positions: thirty seconds."""
LONGEST_TEXT = 448
PREPROCESSOR = "preprocessor_config.json"


@dataclass(frozen=True)
class Shape:
    layers: int
    heads: int
    """Of encoder and decoder alike."""
    width: int
    alignment_heads: tuple[tuple[int, int], ...]
    """(layer, head) of the decoder, as published with the model."""
    decoder_layers: int | None = None
    """None: as many as the encoder has."""
    mels: int = 80
    languages: int = 99
    """Since large-v3 there is Cantonese, too: 51,866 tokens and not 51,865."""


SHAPES = {
    "tiny": Shape(4, 6, 384, ((2, 2), (3, 0), (3, 2), (3, 3), (3, 4), (3, 5))),
    "base": Shape(
        6, 8, 512, ((3, 1), (4, 2), (4, 3), (4, 7), (5, 1), (5, 2), (5, 4), (5, 6))
    ),
    "small": Shape(
        12,
        12,
        768,
        ((5, 3), (5, 9), (8, 0), (8, 4), (8, 7), (8, 8), (9, 0), (9, 7), (9, 9), (10, 5)),
    ),
    "large-v3-turbo": Shape(
        32, 20, 1280, ((2, 4), (2, 11), (3, 3), (3, 6), (3, 11), (3, 14)), 4, 128, 100
    ),
}  # fmt: skip


def folder(shape: str, root: Path, quantization: str = "int8") -> Path:
    """The folder of `shape` under `root`, written if it is not there. Takes seconds."""
    path = root / f"whisper-{shape}-random{'' if quantization == 'int8' else f'-{quantization}'}"
    if not (path / "model.bin").is_file():
        partial = root / f".{path.name}"
        shutil.rmtree(partial, ignore_errors=True)
        write(SHAPES[shape], partial, quantization)
        shutil.rmtree(path, ignore_errors=True)
        partial.rename(path)
    return path


def write(shape: Shape, path: Path, quantization: str = "int8") -> None:
    """A folder that faster-whisper and `asr.whisper` load."""
    spec = _spec(shape, np.random.default_rng(0))
    specials = _specials(shape.languages)
    tokenizer = _tokenizer(specials)
    vocabulary = _vocabulary(tokenizer, specials)
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = [list(pair) for pair in shape.alignment_heads]
    spec.config.lang_ids = [vocabulary.index(token) for token in specials[2 : 2 + shape.languages]]
    spec.validate()
    # Not `optimize`, which first compares all matrices with each other: for seconds, in the large.
    spec.decoder.projection.weight = "decoder/embeddings/weight"
    spec._quantize(quantization)
    path.mkdir(parents=True)
    spec.save(str(path))
    (path / "tokenizer.json").write_text(json.dumps(tokenizer))
    sound = json.loads((rehearsal.MODEL_DIR / PREPROCESSOR).read_text())
    (path / PREPROCESSOR).write_text(json.dumps(sound | {"feature_size": shape.mels}))


# --- weights --------------------------------------------------------------------------------------
class _Noise:
    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def __call__(self, *size: int) -> np.ndarray:
        return self._rng.standard_normal(size, np.float32) * np.float32(0.02)

    def linear(self, spec: Any, outputs: int, inputs: int) -> None:
        spec.weight, spec.bias = self(outputs, inputs), np.zeros(outputs, np.float32)

    def convolution(self, spec: Any, outputs: int, inputs: int) -> None:
        spec.weight, spec.bias = self(outputs, inputs, 3), np.zeros(outputs, np.float32)


def _spec(shape: Shape, rng: np.random.Generator) -> WhisperSpec:
    below = shape.layers if shape.decoder_layers is None else shape.decoder_layers
    spec = WhisperSpec(shape.layers, shape.heads, below, shape.heads)
    noise, width = _Noise(rng), shape.width
    noise.convolution(spec.encoder.conv1, width, shape.mels)
    noise.convolution(spec.encoder.conv2, width, width)
    spec.encoder.position_encodings.encodings = noise(POSITIONS, width)
    spec.decoder.position_encodings.encodings = noise(LONGEST_TEXT, width)
    spec.decoder.embeddings.weight = noise(TEXT_TOKENS + len(_specials(shape.languages)), width)
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    for part in (spec.encoder, spec.decoder):
        _norm(part.layer_norm, width)
        for layer in part.layer:
            _layer(layer, noise, width)
    return spec


def _layer(layer: Any, noise: _Noise, width: int) -> None:
    _attention(layer.self_attention, noise, width, (3, 1))
    if hasattr(layer, "attention"):  # to the encoder's output
        _attention(layer.attention, noise, width, (1, 2, 1))
    _norm(layer.ffn.layer_norm, width)
    noise.linear(layer.ffn.linear_0, 4 * width, width)
    noise.linear(layer.ffn.linear_1, width, 4 * width)


def _attention(spec: Any, noise: _Noise, width: int, projections: tuple[int, ...]) -> None:
    """`projections`: how many matrices each linear holds, as (queries, keys, values) are joined."""
    _norm(spec.layer_norm, width)
    for linear, joined in zip(spec.linear, projections, strict=True):
        noise.linear(linear, joined * width, width)


def _norm(spec: Any, width: int) -> None:
    spec.gamma, spec.beta = np.ones(width, np.float32), np.zeros(width, np.float32)


# --- the vocabulary -------------------------------------------------------------------------------
def _specials(languages: int) -> list[str]:
    """In Whisper's order, from the end of text on."""
    names = ["endoftext", "startoftranscript", *_LANGUAGE_CODES[:languages]]
    names += ["translate", "transcribe", "startoflm", "startofprev"]
    names += ["nospeech", "notimestamps"]
    times = [f"{number * 0.02:.2f}" for number in range(TIMESTAMPS)]
    return [f"<|{name}|>" for name in [*names, *times]]


def _tokenizer(specials: Sequence[str]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((rehearsal.MODEL_DIR / "tokenizer.json").read_text())
    special = {token["content"] for token in read["added_tokens"]}
    known = {token: i for token, i in read["model"]["vocab"].items() if token not in special}
    filler = {f"<unused {number}>": number for number in range(len(known), TEXT_TOKENS)}
    if sorted(known.values()) != list(range(len(known))):
        raise ValueError("the rehearsal tokenizer's text tokens are not the first ones")
    read["model"]["vocab"] = known | filler
    like = read["added_tokens"][0]
    read["added_tokens"] = [
        {**like, "id": TEXT_TOKENS + i, "content": token} for i, token in enumerate(specials)
    ]
    return read


def _vocabulary(tokenizer: dict[str, Any], specials: Sequence[str]) -> list[str]:
    vocab: dict[str, int] = tokenizer["model"]["vocab"]
    return [*sorted(vocab, key=lambda token: vocab[token]), *specials]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quantization", default="int8", help="or float16")
    options = parser.parse_args()
    write(SHAPES[options.shape], options.folder, options.quantization)


if __name__ == "__main__":
    main()
