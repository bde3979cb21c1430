"""Streams for one GPU: the most sessions whose finals are ready in 150 ms, 19 of 20.

    python -m bench.asr_gpu                     large-v3-turbo's shape, on CUDA; five minutes
    python -m bench.asr_gpu --device cpu --shape tiny --compute-types int8 --budget 60

Weights are noise of true shape (`bench/random_whisper.py`), written to a temporary folder, and each
call decodes three tokens for each second of audio. Sessions speak at the wall clock's pace, are
heard by Silero and cut in processes of their own (`bench/paced_processes.py`), as servers cut for
`viva asr`; the engine is in this one. Time to final is counted from the moment at which a segment's
last window had been spoken: the VAD's computing is in it, its wait for the pause stands apart.

Arms, in this run and on the same sound: *engine*, once for each of `--compute-types`, and *lock*,
faster-whisper's `transcribe`, one model behind a lock, in the first of them. The number of sessions
doubles until too many, then halves the gap, as long as the arm's share of `--budget` lasts.

What limits is told by the second line of each row: cores that each part used, the share of time in
which the engine's workers had a batch (1 is all of it), and the card's own utilisation.
"""

import argparse
import asyncio
import json
import os
import resource
import tempfile
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr.engine import MAX_BATCH
from asr.errors import HearingError, Overloaded
from bench import random_whisper
from bench.gpu_watch import Watch, card, watching
from bench.paced_accounts import HEAD, Row, Session, line, row
from bench.paced_arms import ARMS, OPEN, Arm
from bench.paced_model import Model
from bench.paced_processes import Clips, Spoken, converse, mouths
from bench.paced_speech import clips, speech

LIMIT_MS = 150.0
MOST = 2048
"""Sessions beyond which nobody looks."""
AROUND_S = 8.0
"""What a trial takes beside the speech: processes start, the last sentence ends."""
TOLD = [
    *("sessions", "segments", "given", "refused", "failed", "unfinished", "wait_ms", "final_ms"),
    *("vad_wait_ms", "accounts", "batches"),
]
"""Of a trial's row, in the last line."""
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
WORKERS = 2
"""The engine's own on CUDA."""


class Search:
    """The most that is fine: doubles until too many, then halves the gap, to a twelfth."""

    def __init__(self, first: int, most: int = MOST) -> None:
        self.good, self._bad = 0, most + 1
        self._most = most
        self._next = first

    def next(self) -> int | None:
        """None: it is found."""
        gap = self._bad - self.good
        return self._next if gap > max(1, self.good // 12) and self.good < self._most else None

    def learn(self, n: int, fine: bool) -> None:
        self.good, self._bad = (n, self._bad) if fine else (self.good, n)
        middle = (self.good + self._bad) // 2
        self._next = min(2 * n, self._most) if self._bad > self._most else middle


@dataclass(frozen=True)
class Shares:
    """Cores that each part used, on average, and how busy the workers and the card were."""

    loop: float
    """The engine's event loop."""
    workers: float
    """The engine's threads: features, prompts, the model's callers."""
    features: float
    """Of those."""
    other: float
    """Of this process: CTranslate2's own threads, and what unpickles segments."""
    ears: float
    """Silero, segmenter and pacing, in all their processes."""
    vad: float
    """Silero, of those."""
    busiest_ear: float
    late_p99_ms: float
    """Of the busiest pacing: windows behind the clock."""
    busy: float
    """Share of the time in which a worker had a batch; of all of them."""
    gpu: Watch


@dataclass(frozen=True)
class Trial:
    row: Row
    shares: Shares

    @property
    def fine(self) -> bool:
        r = self.row
        return r.final_ms[1] <= LIMIT_MS and 0 < r.given == r.segments

    def told(self) -> dict[str, Any]:
        return {name: getattr(self.row, name) for name in TOLD} | {"cores": asdict(self.shares)}


class Bench:
    def __init__(self, said: Clips, model: Model, seconds: float, ears: int) -> None:
        self._said = said
        self._model = model
        self._seconds = seconds
        self._ears = ears

    async def search(self, name: str, first: int, until: float) -> dict[str, Any]:
        """`until`: by the monotonic clock, no trial begins that would not end by then."""
        search, trials = Search(first), []
        async with ARMS[name](self._model, OPEN) as arm:
            await self._warm_up(arm)
            while (n := search.next()) is not None:
                if time.monotonic() + self._seconds + AROUND_S > until:
                    print(f"  {name}: no time for {n} sessions")
                    break
                trials.append(await self.trial(name, arm, n))
                search.learn(n, trials[-1].fine)
            counts = arm.counts()
        return {
            "arm": name,
            "compute_type": self._model.compute_type,
            "most": search.good,
            "found": n is None,
            "counts": counts,
            "trials": [trial.told() for trial in trials],
        }

    async def trial(self, name: str, arm: Arm, n: int) -> Trial:
        sessions = [Session(speech(self._said, self._seconds, seed)) for seed in range(n)]
        _cleared(arm)
        with mouths(self._said, n, self._seconds, 1.0, self._ears) as pipes, watching() as gpu:
            before = _Used.now()
            told = await converse(pipes, sessions, arm.recognise, drain_s=3.0)
            used = _Used.now() - before
        for session in sessions:
            for piece in session.pieces:
                piece.text = ""  # noise: not worth the time to compare it
        made = Trial(
            row(name, sessions, used.process_s, batches=arm.sizes(), counts={}, words=False),
            shares(used, told, arm, self._workers(name), gpu),
        )
        print(line(made.row))
        print(_line(made.shares), flush=True)
        return made

    def _workers(self, name: str) -> int:
        return 1 if name == "lock" else self._model.workers

    async def _warm_up(self, arm: Arm) -> None:
        """Batches of all sizes, for what is allocated and looked up at the first of each."""
        pcms = [np.divide(pcm, 32_768, dtype=np.float32) for _, pcm in self._said]
        most = (self._model.max_batch or MAX_BATCH[self._model.device]) * self._model.workers
        for size in [n for n in SIZES if n <= (most if arm.watched is not None else 1)]:
            asked = (arm.recognise(pcms[i % len(pcms)].copy(), i) for i in range(size))
            if any(isinstance(got, Overloaded) for got in await _all(asked)):
                break  # a machine so slow needs no larger batches


async def _all(asked: Iterable[Awaitable[Any]]) -> list[Any]:
    """What they give or raise; whatever is no error of the recogniser is raised here."""
    got = await asyncio.gather(*asked, return_exceptions=True)
    for one in got:
        if isinstance(one, BaseException) and not isinstance(one, HearingError):
            raise one
    return got


def _cleared(arm: Arm) -> None:
    arm.batches.clear()
    if arm.watched is not None:
        arm.watched.spans.clear()
        arm.watched.features_s.clear()


@dataclass(frozen=True)
class _Used:
    """CPU seconds of this process and of the event loop's thread; wall seconds."""

    process_s: float
    loop_s: float
    wall_s: float

    @classmethod
    def now(cls) -> "_Used":
        me = resource.getrusage(resource.RUSAGE_SELF)
        return cls(me.ru_utime + me.ru_stime, time.thread_time(), time.monotonic())

    def __sub__(self, before: "_Used") -> "_Used":
        return _Used(
            self.process_s - before.process_s,
            self.loop_s - before.loop_s,
            self.wall_s - before.wall_s,
        )


def shares(used: _Used, told: Sequence[Spoken], arm: Arm, workers: int, gpu: Watch) -> Shares:
    spans = arm.watched.spans if arm.watched is not None else []
    wall_s, workers_s = used.wall_s, sum(cpu for _, cpu in spans)
    return Shares(
        loop=round(used.loop_s / wall_s, 3),
        workers=round(workers_s / wall_s, 3),
        features=round(sum(arm.watched.features_s) / wall_s, 3) if arm.watched else 0.0,
        other=round((used.process_s - used.loop_s - workers_s) / wall_s, 3),
        ears=round(sum(one.cpu_s for one in told) / wall_s, 3),
        vad=round(sum(one.vad_s for one in told) / wall_s, 3),
        busiest_ear=round(max(one.cpu_s / one.wall_s for one in told), 3),
        late_p99_ms=round(1000 * max(one.late_p99_s for one in told), 2),
        busy=round(sum(took for took, _ in spans) / wall_s / workers, 3),
        gpu=gpu,
    )


def _line(s: Shares) -> str:
    return (
        f"  cores: loop {s.loop}, workers {s.workers} (features {s.features}),"
        f" other {s.other}; ears {s.ears} (VAD {s.vad}, busiest process {s.busiest_ear},"
        f" late p99 {s.late_p99_ms} ms); workers busy {s.busy};"
        f" card {s.gpu.utilisation} %, {s.gpu.memory_mib} MiB"
    )


def ratio(found: Sequence[dict[str, Any]]) -> float | None:
    """The engine's most streams, for one of the lock's."""
    most = {(one["arm"], one["compute_type"]): one["most"] for one in found}
    theirs = [n for (arm, _), n in most.items() if arm == "lock"]
    ours = [n for (arm, _), n in most.items() if arm != "lock"]
    return round(max(ours) / theirs[0], 1) if ours and theirs and theirs[0] else None


def measured(options: argparse.Namespace, folder: Path, said: Clips) -> list[dict[str, Any]]:
    """The first gets half of the time, each other an equal share of what is left then."""
    first_type = options.compute_types[0]
    runs = [(arm, first_type) for arm in options.arms]
    runs += [("engine", other) for other in options.compute_types[1:] if "engine" in options.arms]
    ends = time.monotonic() + options.budget
    found: list[dict[str, Any]] = []
    for left, (arm, compute_type) in zip(range(len(runs), 0, -1), runs, strict=True):
        model = Model(
            folder,
            options.floor,
            noise=True,
            device=options.device,
            compute_type=compute_type,
            workers=options.workers,
            max_batch=options.max_batch,
        )
        now = time.monotonic()
        bench = Bench(said, model, options.seconds, options.ears)
        first = options.first_lock if arm == "lock" else options.first
        print(f"{arm}, {compute_type}")
        share = 1 / left if found or left == 1 else 0.5
        found.append(asyncio.run(bench.search(arm, first, now + share * (ends - now))))
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--shape", choices=random_whisper.SHAPES, default="large-v3-turbo")
    parser.add_argument("--compute-types", nargs="+", default=["float16", "int8_float16"])
    parser.add_argument("--arms", nargs="+", choices=["engine", "lock"])
    parser.add_argument("--seconds", type=float, default=15.0, help="of speech in each session")
    parser.add_argument("--budget", type=float, default=300.0, help="seconds for all arms")
    parser.add_argument("--first", type=int, default=64, help="sessions the engine begins with")
    parser.add_argument("--first-lock", type=int, default=8, help="and the lock")
    parser.add_argument("--workers", type=int, default=WORKERS, help="batches at a time")
    parser.add_argument("--max-batch", type=int, default=0, help="0: the engine's own")
    parser.add_argument("--floor", type=float, default=10.0, help="the shortest window, seconds")
    parser.add_argument("--ears", type=int, default=max(1, cores // 2), help="processes that speak")
    options = parser.parse_args()
    options.arms = options.arms or ["engine", "lock"]
    return options


def main() -> None:
    options = _options()
    said = clips()
    print(card() or "no NVIDIA card")
    with tempfile.TemporaryDirectory() as root:
        began = time.monotonic()
        stored = "float16" if options.device == "cuda" else "int8"
        folder = random_whisper.folder(options.shape, Path(root), stored)
        print(f"weights of noise written in {time.monotonic() - began:.0f} s\n{HEAD}", flush=True)
        found = measured(options, folder, said)
    rows = {f"{one['arm']}_{one['compute_type']}": one for one in found}
    for name, one in rows.items():
        print(f"{name}: {one['most']} streams with p95 up to {LIMIT_MS:.0f} ms")
    print(
        json.dumps(
            {
                "name": "asr_gpu",
                "model": f"{options.shape}, random weights",
                "device": card() or options.device,
                "figures": {n: one for n, one in rows.items() if one["arm"] != "lock"},
                "baseline": {n: one for n, one in rows.items() if one["arm"] == "lock"},
                "ratio": ratio(found),
                "n": {n: sum(t["segments"] for t in one["trials"]) for n, one in rows.items()},
                "seconds": options.seconds,
                "workers": options.workers,
                "cores": len(os.sched_getaffinity(0)),
            }
        )
    )


if __name__ == "__main__":
    main()
