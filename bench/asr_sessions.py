"""Paced sessions on one recogniser: how long each waits for its words, and whether any are missing.

    python -m bench.asr_sessions            1, 4, 16 and 64 sessions, two minutes each arm
    python -m bench.asr_sessions --quick    1 and 4 sessions, six seconds

Every session speaks at the wall clock's pace: sentences by espeak-ng that the rehearsal model
knows, with pauses. The production segmenter cuts them; its voice activity is the script's (who
speaks when is known), so that only the recogniser is measured. Both arms give word times:

- *engine*: `asr.engine.Engine`, batches across sessions, right-sized windows;
- *lock*: faster-whisper's `transcribe`, one model behind a lock; the same folder, beam and
  temperatures.

Time to final is counted from the segmenter's cut, which comes `vad_wait_s` after the last voiced
sample. After the speech each arm gets `--drain` seconds to finish; what is missing then is
`unfinished`. Accounting is by samples: `lost` are voiced samples in no segment with an outcome,
`doubled` stand in two.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import jiwer
import numpy as np
from faster_whisper import WhisperModel
from scipy.signal import resample_poly
from whisper_normalizer.english import EnglishTextNormalizer

from asr import rehearsal
from asr.engine import Engine
from asr.errors import Overloaded, RecognitionFailed
from asr.recognition import Audio
from asr.segmenter import SAMPLE_RATE, WINDOW, Pcm, Segment, Segmenter, SegmenterOptions
from asr.whisper import TEMPERATURES
from bench.human_speech import trimmed
from tts.espeak import render

SENTENCES = (
    "I worked as a nurse for five years.",
    "My strongest skill is public speaking.",
    "We finished on time, and the customer stayed with us.",
    "In five years I would like to manage a larger team.",
    "I worked as a teacher for two years.",
    "I would like to manage a team.",
)
VOICES = ("en-us+m3", "en-us+f3")
ARMS = ["engine", "lock"]
PAUSES_S = (0.6, 2.0)

Recognise = Callable[[Audio, int], Awaitable[str]]
"""(audio, session) -> text; raises `RecognitionFailed`, of which `Overloaded` is one."""


@dataclass(frozen=True)
class Speech:
    """What one session says."""

    pcm: Pcm
    voiced: np.ndarray
    """For each window, whether somebody speaks."""
    text: str


@dataclass
class Piece:
    start: int
    """Of the segment's core, in samples; as `end`."""
    end: int
    outcome: str = "unfinished"
    """Or `given`, `refused`, `failed`."""
    text: str = ""
    final_s: float = 0.0
    vad_wait_s: float = 0.0


@dataclass
class Session:
    speech: Speech
    pieces: list[Piece] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    arm: str
    sessions: int
    segments: int
    given: int
    refused: int
    failed: int
    unfinished: int
    final_p50_ms: float
    final_p95_ms: float
    worst_of_median: float
    """Highest median of a session by the median of all medians."""
    lost: int
    doubled: int
    word_errors: int
    words: int
    cpu_s: float
    counts: dict[str, Any]


# --- speech ---------------------------------------------------------------------------------------
def clips() -> list[tuple[str, Pcm]]:
    made = []
    for text in SENTENCES:
        for voice in VOICES:
            slow = resample_poly(render(text, voice=voice).astype(np.float64), 2, 3)
            pcm = np.asarray(np.clip(slow, -32768, 32767), np.int16)
            made.append((text, trimmed(pcm)))
    return made


def speech(said: Sequence[tuple[str, Pcm]], seconds: float, seed: int) -> Speech:
    """Sentences and pauses; the last sentence is whole, and silence follows it."""
    rng = random.Random(seed)
    parts, voiced, texts = [], [], []
    windows = 0
    while windows * WINDOW < seconds * SAMPLE_RATE:
        text, pcm = rng.choice(said)
        for loud, part in ((False, _silence(rng.uniform(*PAUSES_S))), (True, _whole(pcm))):
            parts.append(part)
            voiced += [loud] * (len(part) // WINDOW)
        texts.append(text)
        windows = len(voiced)
    parts.append(_silence(1.0))
    voiced += [False] * (len(parts[-1]) // WINDOW)
    return Speech(np.concatenate(parts), np.array(voiced), " ".join(texts))


def _silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * SAMPLE_RATE / WINDOW) * WINDOW, np.int16)


def _whole(pcm: Pcm) -> Pcm:
    return np.pad(pcm, (0, -len(pcm) % WINDOW))


# --- sessions -------------------------------------------------------------------------------------
async def talk(number: int, session: Session, recognise: Recognise, drain_s: float) -> None:
    """Say it all at the wall clock's pace, each segment recognised as it is cut."""
    segmenter, began = Segmenter(), time.monotonic() + random.Random(number).random()
    asked = []
    for i, voiced in enumerate(session.speech.voiced):
        await asyncio.sleep(began + (i + 1) * WINDOW / SAMPLE_RATE - time.monotonic())
        window = session.speech.pcm[i * WINDOW : (i + 1) * WINDOW]
        segment = segmenter.push(window, float(voiced))
        if segment is not None:
            piece = Piece(segment.core_start, segment.core_end)
            piece.vad_wait_s = (segmenter.position - segment.voice_end) / SAMPLE_RATE
            session.pieces.append(piece)
            asked.append(asyncio.create_task(ask(number, piece, segment, recognise)))
    if asked:
        _, late = await asyncio.wait(asked, timeout=drain_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def ask(number: int, piece: Piece, segment: Segment, recognise: Recognise) -> None:
    cut = time.monotonic()
    try:
        piece.text = await recognise(np.divide(segment.audio, 32_768, dtype=np.float32), number)
        piece.outcome = "given"
    except Overloaded:
        piece.outcome = "refused"
    except RecognitionFailed:
        piece.outcome = "failed"
    piece.final_s = time.monotonic() - cut


def by_engine(engine: Engine) -> Recognise:
    async def recognise(audio: Audio, session: int) -> str:
        return (await engine.recognise(audio, language="en", source=session)).text

    return recognise


def by_lock(model: WhisperModel) -> Recognise:
    lock = asyncio.Lock()

    def transcribe(audio: Audio) -> str:
        segments, _ = model.transcribe(
            audio,
            language="en",
            beam_size=1,
            best_of=1,
            temperature=list(TEMPERATURES),
            condition_on_previous_text=False,
            without_timestamps=True,
            word_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)

    async def recognise(audio: Audio, session: int) -> str:
        async with lock:
            return await asyncio.to_thread(transcribe, audio)

    return recognise


# --- figures --------------------------------------------------------------------------------------
def accounts(speech: Speech, pieces: Sequence[Piece]) -> tuple[int, int]:
    """Voiced samples in no segment that has an outcome, and samples in two segments."""
    times = np.zeros(len(speech.voiced), int)
    for piece in pieces:
        if piece.outcome != "unfinished":
            times[piece.start // WINDOW : piece.end // WINDOW] += 1
    lost = int((speech.voiced & (times == 0)).sum()) * WINDOW
    return lost, int(np.maximum(times - 1, 0).sum()) * WINDOW


def word_errors(sessions: Sequence[Session]) -> tuple[int, int]:
    plain = EnglishTextNormalizer()
    said = [plain(session.speech.text) for session in sessions]
    heard = [plain(" ".join(piece.text for piece in session.pieces)) for session in sessions]
    found = jiwer.process_words(said, heard)
    return (
        found.substitutions + found.deletions + found.insertions,
        found.hits + found.substitutions + found.deletions,
    )


def row(arm: str, sessions: Sequence[Session], cpu_s: float, counts: dict[str, Any]) -> Row:
    pieces = [piece for session in sessions for piece in session.pieces]
    outcomes = [piece.outcome for piece in pieces]
    given = [piece.final_s * 1000 for piece in pieces if piece.outcome == "given"]
    medians = [
        statistics.median(times)
        for session in sessions
        if (times := [piece.final_s for piece in session.pieces if piece.outcome == "given"])
    ]
    books = [accounts(session.speech, session.pieces) for session in sessions]
    errors, words = word_errors(sessions)
    return Row(
        arm=arm,
        sessions=len(sessions),
        segments=len(pieces),
        given=outcomes.count("given"),
        refused=outcomes.count("refused"),
        failed=outcomes.count("failed"),
        unfinished=outcomes.count("unfinished"),
        final_p50_ms=round(float(np.quantile(given, 0.5)), 1) if given else 0.0,
        final_p95_ms=round(float(np.quantile(given, 0.95)), 1) if given else 0.0,
        worst_of_median=round(max(medians) / statistics.median(medians), 2) if medians else 0.0,
        lost=sum(lost for lost, _ in books),
        doubled=sum(doubled for _, doubled in books),
        word_errors=errors,
        words=words,
        cpu_s=round(cpu_s, 2),
        counts=counts,
    )


def table(rows: Sequence[Row]) -> str:
    head = (
        "sessions  arm     segments  given  refused  unfinished   final p50    p95 ms"
        "  worst/median  lost  doubled  errors/words   CPU s"
    )
    lines = [
        f"{r.sessions:8}  {r.arm:6}  {r.segments:8}  {r.given:5}  {r.refused:7}  {r.unfinished:10}"
        f"  {r.final_p50_ms:10.1f} {r.final_p95_ms:9.1f}  {r.worst_of_median:12.2f}  {r.lost:4}"
        f"  {r.doubled:7}  {r.word_errors:6}/{r.words:<6} {r.cpu_s:6.1f}"
        for r in rows
    ]
    return "\n".join([head, *lines])


# --- the run --------------------------------------------------------------------------------------
async def run(
    arm: str, said: Sequence[tuple[str, Pcm]], n: int, seconds: float, drain_s: float
) -> Row:
    sessions = [Session(speech(said, seconds, seed)) for seed in range(n)]
    counts: dict[str, Any] = {}
    if arm == "engine":
        with Engine.load(rehearsal.MODEL_DIR, device="cpu", floor_s=rehearsal.FLOOR_S) as engine:
            cpu_s = await _all(sessions, by_engine(engine), drain_s)
            counts = asdict(engine.counts)
    else:
        model = WhisperModel(str(rehearsal.MODEL_DIR), device="cpu", cpu_threads=1)
        cpu_s = await _all(sessions, by_lock(model), drain_s)
    return row(arm, sessions, cpu_s, counts)


async def _all(sessions: Sequence[Session], recognise: Recognise, drain_s: float) -> float:
    """CPU seconds of the process meanwhile, the sessions' own pacing included."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    async with asyncio.TaskGroup() as group:
        for number, session in enumerate(sessions):
            group.create_task(talk(number, session, recognise, drain_s))
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two small rounds (for CI)")
    parser.add_argument("--sessions", type=int, nargs="+", help="instead of 1 4 16 64")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--seconds", type=float, help="of speech in each session")
    parser.add_argument("--drain", type=float, default=10.0, help="seconds to finish in")
    options = parser.parse_args()
    sizes = options.sessions or ([1, 4] if options.quick else [1, 4, 16, 64])
    seconds = options.seconds or (6.0 if options.quick else 120.0)
    said = clips()
    rows: list[Row] = []
    for turn, n in enumerate(sizes):
        for arm in options.arms if turn % 2 == 0 else options.arms[::-1]:
            rows.append(asyncio.run(run(arm, said, n, seconds, options.drain)))
            print(table(rows[-1:]), flush=True)
    print(f"\nVAD's wait, apart: {SegmenterOptions().cut_s:.2f} s by the segmenter's setting\n")
    print(table(rows))
    ours, theirs = ([r for r in rows if r.arm == arm] for arm in ARMS)
    print(
        json.dumps(
            {
                "name": "asr_sessions",
                "figures": [asdict(r) for r in ours],
                "baseline": [asdict(r) for r in theirs],
                "ratio": {
                    f"final_p95_at_{a.sessions}": round(b.final_p95_ms / a.final_p95_ms, 1)
                    for a, b in zip(ours, theirs, strict=False)  # one arm may be left out
                    if a.final_p95_ms
                },
                "n": {str(r.sessions): r.segments for r in ours},
                "seconds": seconds,
                "cores": len(os.sched_getaffinity(0)),
            }
        )
    )


if __name__ == "__main__":
    main()
