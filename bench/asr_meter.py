"""A CTranslate2 Whisper that really computes, is counted, and says what the script says.

It stands where faster-whisper keeps its model, so that `asr.whisper`, faster-whisper's `transcribe`
and programs built on it run unchanged:

- *Decoding is forced*: the end of text is suppressed, so that every call decodes `TOKENS_PER_S`
  tokens for each second of audio in its window, one by one, by the real decoder. Nobody gains by
  stopping early, nor loses by going on.
- *The words are the script's*, with their times, as of a recogniser that never errs: what the
  weights made of it is thrown away. Policies that wait until two texts agree then wait as briefly
  as they can, and none is punished for noise.
- *Features* are `asr.features.LogMel`'s for everybody: faster-whisper's own cost three times as
  much CPU, and waken BLAS's threads.
- *Counted*: calls (windows decoded), seconds of encoder windows, decoding steps, alignments.
- What this bookkeeping itself takes is left out of `cpu_s`.

One thread at a time, for a row's words belong to the last `encode`.
"""

import ast
import resource
import time
from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.feature_extractor import FeatureExtractor

from asr.features import LogMel
from asr.recognition import Audio
from bench.asr_rows import HeardAudio, Row, aligned, cut, result, with_times
from bench.asr_script import Script, decoded_tokens

FRAMES_PER_S = 100
LONGEST_FRAMES = 3000
KNOWN = 5
"""So many measured calls of a kind stand for the next ones, where repeats may be replayed."""


@dataclass
class Counted:
    calls: int = 0
    """Windows that were encoded and decoded."""
    encoder_s: float = 0.0
    """Seconds of all encoder windows."""
    steps: int = 0
    """Tokens decoded."""
    aligned: int = 0
    """Texts aligned for word times."""
    replayed: int = 0
    """Steps of the model that were not made again: see `Meter.replay`."""


@dataclass
class _Encoding:
    """What `encode` would give; computed when it is needed."""

    windows: Any
    real: Any = None


@dataclass
class _Clock:
    cpu_s: float = 0.0
    wall_s: float = 0.0


def cpu_seconds() -> float:
    """Of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Meter:
    """One for each loaded model; `attach` it once, then `say` a script before each run."""

    def __init__(self, whisper: WhisperModel) -> None:
        self.model = whisper.model
        self.counted = Counted()
        self.replay = False
        """Take the time of a step from equal ones measured before, instead of computing it."""
        self.known_after = KNOWN
        self._hf = whisper.hf_tokenizer
        self._eot = self._id("endoftext")
        self._no_times = self._id("notimestamps")
        self._log_mel = LogMel(whisper.feature_extractor)
        self._script: Script | None = None
        self._recent: deque[HeardAudio] = deque(maxlen=8)
        self._rows: list[Row] = []
        self._frames = LONGEST_FRAMES
        self._own = _Clock()  # the bookkeeping's
        self._replayed_s = 0.0
        self._measured: dict[Hashable, deque[float]] = defaultdict(lambda: deque(maxlen=KNOWN))
        self._turn = 0

    def attach(self, whisper: WhisperModel) -> None:
        """From now on this WhisperModel computes through the meter."""
        extractor = whisper.feature_extractor
        whisper.model = _Metered(self)
        whisper.feature_extractor = _Features(self, extractor)

    def say(self, script: Script) -> None:
        """Everything that comes is audio of this script."""
        self._script = script
        self._recent.clear()
        self.counted = Counted()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the process without the bookkeeping's; only differences mean anything."""
        return cpu_seconds() - self._own.cpu_s + self._replayed_s

    @property
    def own_wall_s(self) -> float:
        """Wall time that the bookkeeping took so far."""
        return self._own.wall_s

    @property
    def measured(self) -> dict[str, list[float]]:
        """CPU seconds of the last steps of each kind, for `learn` in another process."""
        return {repr(kind): list(times) for kind, times in self._measured.items()}

    def learn(self, measured: Mapping[str, Sequence[float]]) -> None:
        """Times of this model on this machine."""
        for kind, times in measured.items():
            self._measured[ast.literal_eval(kind)].extend(times)

    def words(self) -> list[int]:
        """Tokens that each are one word, and spell only letters."""
        found = []
        for token in range(self._eot):
            text = self._hf.decode([token])
            if text.startswith(" ") and text[1:].isalpha() and text[1:].islower():
                found.append(token)
        return found

    def text(self, token: int) -> str:
        return str(self._hf.decode([token])).strip()

    def features(self, audio: Audio) -> np.ndarray:
        made = self._log_mel(audio)
        with self.aside():
            tokens = self._script.heard(audio) if self._script else []
            self._recent.append(HeardAudio(made, len(audio) / 16_000, tokens))
        return made

    # What the model is asked.

    def encode(self, windows: Any, **options: Any) -> Any:
        with self.aside():
            array = np.asarray(windows)
            self._rows = [self._row(window) for window in array]
            self.counted.encoder_s += array.shape[0] * array.shape[2] / FRAMES_PER_S
            self._frames = array.shape[2]
            kind = ("encode", array.shape)
        if not self.replay:
            return self._timed(kind, lambda: self.model.encode(windows, **options))
        encoding = _Encoding(windows)
        if not self._replayed(kind):
            encoding.real = self._timed(kind, lambda: self.model.encode(windows, **options))
        return encoding

    def generate(self, encoded: Any, prompts: Sequence[Sequence[int]], **options: Any) -> Any:
        longest = max(row.seconds for row in self._rows)
        steps = decoded_tokens(longest)
        # CTranslate2 halves the length, or takes off the prompt but for its last token.
        options["max_length"] = max(2 * steps, len(prompts[0]) - 1 + steps)
        options["suppress_tokens"] = [*(options.get("suppress_tokens") or []), self._eot]
        self.counted.calls += len(prompts)
        self.counted.steps += steps * len(prompts)
        kind = ("generate", len(prompts), self._frames, steps, len(prompts[0]) // 16)
        if not self._replayed(kind):
            real = self._real(encoded)
            made = self._timed(
                kind, lambda: self.model.generate(real, [list(p) for p in prompts], **options)
            )
            if any(len(result.sequences_ids[0]) != steps for result in made):
                raise RuntimeError(f"decoding was not forced to {steps} tokens")
        with self.aside():
            timed = self._no_times not in prompts[0]
            return [result(self._tokens(row, timed)) for row in self._rows]

    def align(
        self,
        encoded: Any,
        start: Sequence[int],
        texts: Sequence[Sequence[int]],
        frames: Any,
        **options: Any,
    ) -> Any:
        self.counted.aligned += len(texts)
        longest = max(len(text) for text in texts)
        kind = ("align", len(texts), self._frames, longest)
        if not self._replayed(kind):
            real = self._real(encoded)
            self._timed(kind, lambda: self.model.align(real, start, texts, frames, **options))
        with self.aside():
            said = [row for row in self._rows if row.heard]
            rows = said if len(said) == len(texts) else self._rows[: len(texts)]
            return [aligned(row, text) for row, text in zip(rows, texts, strict=True)]

    # Its own.

    def _id(self, name: str) -> int:
        found = self._hf.token_to_id(f"<|{name}|>")
        if found is None:
            raise ValueError(f"the tokenizer has no <|{name}|>")
        return int(found)

    def _row(self, window: np.ndarray) -> Row:
        """Which audio a window was cut from, told by its first frames."""
        frames = window.shape[1]
        for heard in reversed(self._recent):
            same = np.flatnonzero((heard.features[:, :] == window[:, :1]).all(axis=0))
            for at in same:
                more = min(50, frames, heard.features.shape[1] - at)
                if (heard.features[:, at : at + more] == window[:, :more]).all():
                    return cut(heard, int(at) / FRAMES_PER_S, frames / FRAMES_PER_S)
        return Row(frames / FRAMES_PER_S, (), True)  # a warm-up

    def _tokens(self, row: Row, timed: bool) -> list[int]:
        if not timed:
            return [word.token for word in row.heard]
        return with_times(row, self._no_times + 1)

    def _real(self, encoded: Any) -> Any:
        if not isinstance(encoded, _Encoding):
            return encoded
        if encoded.real is None:  # a replayed encoder before a step that is not
            with self.aside():
                encoded.real = self.model.encode(encoded.windows)
        return encoded.real

    def _timed(self, kind: Hashable, work: Any) -> Any:
        before = cpu_seconds()
        made = work()
        self._measured[kind].append(cpu_seconds() - before)
        return made

    def _replayed(self, kind: Hashable) -> bool:
        known = self._measured[kind]
        if not self.replay or len(known) < self.known_after:
            return False
        self._turn += 1
        self._replayed_s += known[self._turn % len(known)]
        self.counted.replayed += 1
        return True

    @contextmanager
    def aside(self) -> Iterator[None]:
        cpu, wall = cpu_seconds(), time.perf_counter()
        try:
            yield
        finally:
            self._own.cpu_s += cpu_seconds() - cpu
            self._own.wall_s += time.perf_counter() - wall


class _Metered:
    """What faster-whisper takes for its CTranslate2 model."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.encode = meter.encode
        self.generate = meter.generate
        self.align = meter.align

    def __getattr__(self, name: str) -> Any:
        return getattr(self._meter.model, name)


class _Features:
    """What faster-whisper takes for its feature extractor."""

    def __init__(self, meter: Meter, like: FeatureExtractor) -> None:
        self._meter = meter
        self._like = like

    def __call__(self, audio: Audio, padding: int = 160, chunk_length: Any = None) -> np.ndarray:
        return self._meter.features(audio)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._like, name)


class TellingLogMel:
    """`asr.features.LogMel` as `asr.whisper` holds it, which tells the meter what it was given."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __call__(self, audio: Audio) -> np.ndarray:
        return self._meter.features(audio)
