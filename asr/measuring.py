"""What a model loses by windows shorter than Whisper's thirty seconds, and what they save.

The reference is what the model itself hears in 30 s: what is lost by shortening, and not how good
the model is. Speech is given; each piece is recognised in every window, one after the other, so
that a machine that is busy for a while is so for all of them.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from asr import guards
from asr.recognition import Audio, Piece, Recognition
from asr.segmenter import SAMPLE_RATE
from asr.whisper import LONGEST_WINDOW_S, WINDOWS_S, window_s
from asr.windows import LanguageCheck, Margin, Window

TOLERANCE = 0.02
"""Share of words that may differ from the 30 s window's."""
MARGINS_S = (0.0, 0.5, 1.0)
UNDERSTOOD = 0.5
"""Share of wrong words in 30 s from which the speech says nothing of the model's windows."""

Progress = Callable[[int, int], None]
"""Called with the recognitions that are done, and those in all."""


class Windowed(Protocol):
    """`asr.whisper.Whisper`, as far as it is measured."""

    def decode_in(self, piece: Piece, window_s: float) -> Recognition: ...


@dataclass(frozen=True)
class Speech:
    """Some sentences, cut as the engine gets them."""

    pieces: Sequence[Audio]
    said: str | None = None
    """The words, where they are known."""


@dataclass
class _Heard:
    """What became of one speech in one kind of window."""

    texts: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, model: Windowed, piece: Piece, window_s: float) -> None:
        began = time.perf_counter()
        self.texts.append(model.decode_in(piece, window_s).text)
        self.seconds += time.perf_counter() - began

    @property
    def units(self) -> list[str]:
        return guards.units(" ".join(self.texts))


def measure(
    model: Windowed, speech: Sequence[Speech], language: str, progress: Progress
) -> LanguageCheck:
    """Every window and every margin over all of the speech; raises `HearingError`."""
    pieces = sum(len(one.pieces) for one in speech)
    steps = pieces * (len(WINDOWS_S) + len(MARGINS_S))
    done = count(1)
    by_floor: dict[float, list[_Heard]] = {floor: [] for floor in WINDOWS_S}
    by_margin: dict[float, list[_Heard]] = {margin: [] for margin in MARGINS_S}
    for one in speech:
        for heard in (*by_floor.values(), *by_margin.values()):
            heard.append(_Heard())
        for audio in one.pieces:
            length = len(audio) / SAMPLE_RATE
            windows: list[tuple[_Heard, float]] = [
                (heard[-1], window_s(length, floor)) for floor, heard in by_floor.items()
            ]
            windows += [(h[-1], min(length + m, LONGEST_WINDOW_S)) for m, h in by_margin.items()]
            for heard_here, window in windows:
                heard_here.add(model, Piece(audio, language), window)
                progress(next(done), steps)
    return _judged(speech, language, by_floor, by_margin)


def _judged(
    speech: Sequence[Speech],
    language: str,
    by_floor: dict[float, list[_Heard]],
    by_margin: dict[float, list[_Heard]],
) -> LanguageCheck:
    pieces = sum(len(one.pieces) for one in speech)
    whole = by_floor[LONGEST_WINDOW_S]
    reference = [one.units for one in whole]
    said = [guards.units(one.said) for one in speech if one.said is not None]
    known = len(said) == len(speech)
    full = sum(one.seconds for one in whole)
    windows = tuple(
        Window(
            window_s=int(floor),
            disagreement=_share(reference, heard),
            error_rate=_share(said, heard) if known else None,
            seconds=round(sum(one.seconds for one in heard) / pieces, 4),
            cost=round(sum(one.seconds for one in heard) / full, 3),
        )
        for floor, heard in by_floor.items()
    )
    margins = tuple(
        Margin(margin_s=margin, disagreement=_share(reference, heard))
        for margin, heard in by_margin.items()
    )
    floor_s, reason = recommended(windows, sum(map(len, reference)))
    return LanguageCheck(
        language=language,
        unit="character" if language in ("zh", "yue", "ja") else "word",
        pieces=pieces,
        units=sum(map(len, reference)),
        windows=windows,
        margins=margins,
        floor_s=floor_s,
        reason=reason,
    )


def recommended(windows: Sequence[Window], units: int) -> tuple[float | None, str]:
    """The shortest window that, with all longer ones, loses next to nothing; and why it is that."""
    whole = windows[-1]
    if not units:
        return None, "It hears no words in this speech."
    if whole.error_rate is not None and whole.error_rate > UNDERSTOOD:
        return None, (
            f"It does not understand this speech: {whole.error_rate:.0%} are wrong even in"
            f" {whole.window_s} s. Measure with recordings of people."
        )
    good = whole
    for window in reversed(windows):
        if window.disagreement > TOLERANCE:
            break
        good = window
    return float(good.window_s), (
        f"{good.disagreement:.1%} differ from what it hears in {whole.window_s} s"
        f" (at most {TOLERANCE:.0%}), for {good.cost:.0%} of the time."
    )


def _share(expected: Sequence[Sequence[str]], heard: Iterable[_Heard]) -> float:
    wrong = sum(errors(a, b.units) for a, b in zip(expected, heard, strict=True))
    return round(wrong / max(1, sum(map(len, expected))), 4)


def errors(expected: Sequence[str], heard: Sequence[str]) -> int:
    """Substitutions, insertions and deletions between the two, at least."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(expected, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]
