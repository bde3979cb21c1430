"""Pieces of audio through SenseVoice or Paraformer, by sherpa-onnx: for Mandarin, where Whisper is
weak. Loaded only where a setting names such a model; the library is an extra.

Both hear a piece in one pass, as long as it is: no window, no prompt (terms are not made use of),
no second try at another temperature, and no confidence. Blocking, without state: for any thread.

The library has two ways of its own to fail, neither of which may get through: it ends the whole
process where a file is not what it expects, so files are looked at first; and where the model
raises, it prints that and gives empty texts, which are told from silence here.
"""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr import guards
from asr.decoder import base_language, check_audio
from asr.errors import DeviceUnavailable, HearingError, ModelDamaged, UnknownLanguage
from asr.recognition import Audio, Outcome, Piece, Recognition
from asr.segmenter import SAMPLE_RATE
from asr.sherpa_folder import Folder, look_at
from asr.tokens import words_of

logger = logging.getLogger(__name__)

INSTALL = "Install it where Viva is installed, from its checkout: pip install -e '.[sherpa]'"
SHORTEST_S = 0.5
"""Shorter audio is filled up with silence: a model of frames of 60 ms has nothing to look at."""
BUCKET_S = 5.0
"""Pieces of about the same length are a batch: shorter ones are padded, which costs the same."""

_NO_SPEECH = "nospeech"


def library() -> Any:
    """sherpa-onnx; raises `DeviceUnavailable` with the way to install it."""
    try:
        import sherpa_onnx
    except ImportError as e:
        raise DeviceUnavailable(
            f"SenseVoice and Paraformer need sherpa-onnx, which cannot be loaded here ({e})."
            f" {INSTALL}"
        ) from e
    return sherpa_onnx


class Sherpa:
    """`asr.decoder.BatchDecoder` of such a model."""

    def __init__(
        self,
        model_dir: Path,
        *,
        name: str = "",
        device: str = "cpu",
        language: str = "",
    ) -> None:
        """`language`: the only one it is used for, where that is known; else the model finds out
        for each piece, where it can. A device that the library cannot use gives way to the CPU.
        """
        sherpa_onnx = library()
        folder = look_at(model_dir)
        self.name = name or model_dir.name
        self.compute_type = folder.compute_type
        self._folder = folder
        self._recogniser, self.device = _load(sherpa_onnx, folder, device, base_language(language))
        self._warm_up()

    def bucket(self, piece: Piece) -> int:
        if not self.knows(piece.language):
            raise UnknownLanguage(
                f"The model {self.name} does not know the language {piece.language!r}."
            )
        return math.ceil(len(piece.audio) / SAMPLE_RATE / BUCKET_S)

    def knows(self, language: str) -> bool:
        return base_language(language) in self._folder.languages

    def decode_many(self, pieces: Sequence[Piece]) -> list[Outcome]:
        """An outcome for each piece, in order. What it raises is a fault of the whole batch."""
        outcomes: dict[int, Outcome] = {}
        rows: dict[int, Any] = {}
        for at, piece in enumerate(pieces):
            try:
                check_audio(piece.audio)
                self.bucket(piece)
                rows[at] = self._stream(piece.audio)
            except HearingError as e:
                outcomes[at] = e
        if rows:
            self._recogniser.decode_streams(list(rows.values()))
            results = {at: row.result for at, row in rows.items()}
            self._check([*results.values()])
            outcomes |= {at: _recognition(r, pieces[at]) for at, r in results.items()}
        return [outcomes[at] for at in range(len(pieces))]

    def decode(
        self, audio: Audio, *, language: str, hotwords: Sequence[str] = (), words: bool = True
    ) -> Recognition:
        (outcome,) = self.decode_many([Piece(audio, language, tuple(hotwords), words)])
        if isinstance(outcome, HearingError):
            raise outcome
        return outcome

    def _stream(self, audio: Audio) -> Any:
        stream = self._recogniser.create_stream()
        missing = max(0, round(SHORTEST_S * SAMPLE_RATE) - len(audio))
        stream.accept_waveform(SAMPLE_RATE, np.pad(audio, (0, missing)))
        return stream

    def _check(self, results: Sequence[Any]) -> None:
        """A model that raised leaves its results as they were made: empty."""
        if self._folder.family == "sense_voice":
            failed = any(not result.lang for result in results)  # of silence it says so
        else:
            # Paraformer says nothing of silence, so only a piece by itself is believed to be it.
            failed = not any(map(_tokens_or_text, results)) and (
                len(results) > 1 or self.device != "cpu"
            )
        if failed:
            raise RuntimeError("sherpa-onnx gave nothing back; its own message is on the screen")

    def _warm_up(self) -> None:
        """The first call allocates. A second of noise, by itself and as a batch."""
        noise = np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE).astype(np.float32)
        rows = [self._stream(noise) for _ in range(3)]
        try:
            for batch in (rows[:1], rows[1:]):
                self._recogniser.decode_streams(batch)
                if self._folder.family == "sense_voice":  # Paraformer may find nothing in noise
                    self._check([row.result for row in batch])
        except (RuntimeError, IndexError) as e:
            raise ModelDamaged(f"The model {self.name} does not compute: {e}.") from e


def _load(sherpa_onnx: Any, folder: Folder, device: str, language: str) -> tuple[Any, str]:
    """The recogniser, and the device that it is on."""
    if device == "cuda" and not _has_cuda(sherpa_onnx):
        logger.warning("this sherpa-onnx computes on the CPU only: %s goes there", folder.model)
        device = "cpu"
    try:
        return _make(sherpa_onnx, folder, device, language), device
    except (
        Exception
    ) as e:  # ONNX Runtime's errors come as RuntimeError, and others of the binding's
        if device != "cpu":
            logger.warning("CUDA does not work for %s, which goes to the CPU: %s", folder.model, e)
            return _load(sherpa_onnx, folder, "cpu", language)
        raise ModelDamaged(
            f"The model in {folder.model.parent} does not load: {e}."
            " Fetch it again: viva models fetch"
        ) from e


def _make(sherpa_onnx: Any, folder: Folder, device: str, language: str) -> Any:
    common = {"tokens": str(folder.tokens), "provider": device, "num_threads": 1}
    if folder.family == "paraformer":
        return sherpa_onnx.OfflineRecognizer.from_paraformer(str(folder.model), **common)
    # The language belongs to the recogniser, not to a piece: one for each would be a copy of the
    # model for each.
    return sherpa_onnx.OfflineRecognizer.from_sense_voice(
        str(folder.model),
        language=language if language in folder.languages else "auto",
        use_itn=True,
        **common,
    )


def _has_cuda(sherpa_onnx: Any) -> bool:
    """The package index has those for the CPU; the ones for CUDA bring ONNX Runtime's provider."""
    return any((Path(sherpa_onnx.__file__).parent / "lib").glob("*onnxruntime_providers_cuda*"))


def _recognition(result: Any, piece: Piece) -> Recognition:
    language = base_language(piece.language)
    seconds = len(piece.audio) / SAMPLE_RATE
    text = guards.plain(result.text)
    timed = words_of(_tokens(result), result.timestamps, seconds) if piece.words else ()
    return Recognition(
        text=text,
        language=language,
        avg_logprob=None if text else 0.0,
        no_speech_prob=1.0 if _NO_SPEECH in result.lang else 0.0,
        words=timed,
    )


def _tokens(result: Any) -> list[str]:
    try:
        return list(result.tokens)
    except UnicodeDecodeError:  # a character in halves: the text is whole, its times are not
        return []


def _tokens_or_text(result: Any) -> bool:
    return bool(result.text or _tokens(result))
