"""The accounts of paced sessions: what became of every sample that was sent, and how long it took.

Every sample of a session is in exactly one segment's core, or in the silence after the last one. A
core is what was recognised (refused, failed) and, before it, silence that was left out. `lost` are
samples in no core, or in one without an outcome; `doubled` stand in two; `unheard` are those that
were left out as silence though the script says that somebody spoke.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asr.segmenter import WINDOW
from bench.paced_speech import Speech, word_errors


@dataclass
class Piece:
    start: int
    """Of the segment's core, in samples; as `end`."""
    end: int
    heard_from: int
    """Where the sound that the recogniser got begins: before it there was silence."""
    outcome: str = "unfinished"
    """Or `given`, `refused`, `failed`."""
    text: str = ""
    final_s: float = 0.0
    """From the cut to the text."""
    wait_s: float | None = None
    """For its turn, if that can be told."""
    vad_wait_s: float = 0.0
    """From the last voiced sample to the cut."""


@dataclass
class Session:
    speech: Speech
    pieces: list[Piece] = field(default_factory=list)
    sent: int = 0
    """Samples."""
    turned_away: bool = False
    """It was told before it began that there is no room."""


@dataclass(frozen=True)
class Accounts:
    """In samples."""

    sent: int = 0
    recognised: int = 0
    refused: int = 0
    """Or failed: the session was told."""
    silence: int = 0
    lost: int = 0
    doubled: int = 0
    unheard: int = 0


@dataclass(frozen=True)
class Row:
    arm: str
    sessions: int
    turned_away: int
    segments: int
    given: int
    refused: int
    failed: int
    unfinished: int
    wait_ms: tuple[float, float] | None
    """p50 and p95: in the queue alone."""
    final_ms: tuple[float, float]
    worst_wait_ratio: float | None
    """Highest median wait of a session, by the median of all medians."""
    wait_medians_ms: tuple[float, float] | None
    """The same two: the median of all medians, and the highest."""
    worst_final_ratio: float
    """The same of times to final, the wait included."""
    vad_wait_ms: float
    """Median, and not in the others."""
    accounts: dict[str, int]
    word_errors: int | None
    """None: weights of noise know no words."""
    words: int
    cpu_s: float
    batches: dict[str, int]
    """How many batches there were of each size."""
    counts: dict[str, Any]
    model: str = "rehearsal"
    seconds: float = 0.0
    """Of speech in each session."""
    role: str = "paced"
    """Or what it is in the run at the limit: `nominal`, `twice`, `twice_all_let_in`."""


def accounts(session: Session) -> Accounts:
    times = np.zeros(session.sent, np.int8)
    heard, refused = np.zeros(session.sent, bool), np.zeros(session.sent, bool)
    last = 0
    for piece in session.pieces:
        last = max(last, piece.end)
        if piece.outcome != "unfinished":
            times[piece.start : piece.end] += 1
            mine = heard if piece.outcome == "given" else refused
            mine[piece.heard_from : piece.end] = True
    voiced = np.repeat(session.speech.voiced, WINDOW)[: session.sent]
    voiced = np.pad(voiced, (0, session.sent - len(voiced)))
    quiet = ~(heard | refused)
    missing = (times == 0) & (np.arange(session.sent) < last)
    return Accounts(
        sent=session.sent,
        recognised=int(heard.sum()),
        refused=int((refused & ~heard).sum()),
        silence=int((quiet & ~missing).sum()),
        lost=int(missing.sum()),
        doubled=int(np.maximum(times - 1, 0).sum()),
        unheard=int((quiet & ~missing & voiced).sum()),
    )


def row(
    arm: str,
    sessions: Sequence[Session],
    cpu_s: float,
    *,
    batches: dict[str, int],
    counts: dict[str, Any],
    words: bool = True,
) -> Row:
    inside = [session for session in sessions if not session.turned_away]
    pieces = [piece for session in inside for piece in session.pieces]
    outcomes = [piece.outcome for piece in pieces]
    errors, said = word_errors(
        [session.speech.text for session in inside],
        [" ".join(piece.text for piece in session.pieces) for session in inside],
    )
    vad_waits = [piece.vad_wait_s for piece in pieces]
    waits = _medians([_waits(session.pieces) for session in inside])
    finals = _medians([_finals(session.pieces) for session in inside])
    return Row(
        arm=arm,
        sessions=len(inside),
        turned_away=len(sessions) - len(inside),
        segments=len(pieces),
        given=outcomes.count("given"),
        refused=outcomes.count("refused"),
        failed=outcomes.count("failed"),
        unfinished=outcomes.count("unfinished"),
        wait_ms=_quantiles_ms(_waits(pieces)),
        final_ms=_quantiles_ms(_finals(pieces)) or (0.0, 0.0),
        worst_wait_ratio=_worst(waits),
        wait_medians_ms=waits and (round(1000 * waits[0], 2), round(1000 * waits[1], 2)),
        worst_final_ratio=_worst(finals) or 0.0,
        vad_wait_ms=round(1000 * statistics.median(vad_waits), 1) if vad_waits else 0.0,
        accounts=_sums(accounts(session) for session in inside),
        word_errors=errors if words else None,
        words=said,
        cpu_s=round(cpu_s, 2),
        batches=batches,
        counts=counts,
    )


def _waits(pieces: Iterable[Piece]) -> list[float]:
    return [one.wait_s for one in pieces if one.outcome == "given" and one.wait_s is not None]


def _finals(pieces: Iterable[Piece]) -> list[float]:
    return [one.final_s for one in pieces if one.outcome == "given"]


def _quantiles_ms(times: Sequence[float]) -> tuple[float, float] | None:
    if not times:
        return None
    low, high = (round(1000 * float(np.quantile(times, q)), 1) for q in (0.5, 0.95))
    return low, high


def _medians(times: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """The median of the sessions' medians, and the highest of them."""
    medians = [statistics.median(one) for one in times if one]
    return (statistics.median(medians), max(medians)) if medians else None


def _worst(medians: tuple[float, float] | None) -> float | None:
    return round(medians[1] / medians[0], 2) if medians and medians[0] else None


def _sums(books: Iterable[Accounts]) -> dict[str, int]:
    total = dict.fromkeys(vars(Accounts()), 0)
    for book in books:
        for name, samples in vars(book).items():
            total[name] += samples
    return total


HEAD = (
    "sessions  away  arm       segments  refused  unfinished  wait p50    p95  final p50    p95 ms"
    "  worst/median  batch  lost  doubled  unheard  errors/words    CPU s"
)


def line(r: Row) -> str:
    wait = "       -      -" if r.wait_ms is None else f"{r.wait_ms[0]:8.1f} {r.wait_ms[1]:6.1f}"
    worst = r.worst_final_ratio if r.worst_wait_ratio is None else r.worst_wait_ratio
    errors = "-" if r.word_errors is None else str(r.word_errors)
    books = r.accounts
    return (
        f"{r.sessions:8}  {r.turned_away:4}  {r.arm:8}  {r.segments:8}  {r.refused:7}"
        f"  {r.unfinished:10}  {wait}   {r.final_ms[0]:8.1f} {r.final_ms[1]:6.1f}   "
        f"  {worst:12.2f}  {_mean_batch(r.batches):5.2f}  {books['lost']:4}  {books['doubled']:7}"
        f"  {books['unheard']:7}  {errors:>6}/{r.words:<5}  {r.cpu_s:7.1f}"
    )


def _mean_batch(batches: dict[str, int]) -> float:
    many = sum(batches.values())
    return sum(int(size) * n for size, n in batches.items()) / many if many else 1.0
