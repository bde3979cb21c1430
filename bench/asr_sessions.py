"""Paced sessions on one recogniser: how long each waits for its words, and whether any are missing.

    python -m bench.asr_sessions            1, 4, 16 and 64 sessions, two minutes in each arm; then
                                            the most that it serves well, and twice as many
    python -m bench.asr_sessions --quick    4 sessions, six seconds
    python -m bench.asr_sessions --arms engine segments stream --sessions 64 --no-search

In parts of a few minutes, whose tables are made together:

    python -m bench.asr_sessions --sessions 64 --no-search --keep 64.jsonl
    python -m bench.asr_sessions --sessions --only-search             # says what nominal is
    python -m bench.asr_sessions --sessions --nominal 90 --keep limit.jsonl
    python -m bench.asr_sessions --join 64.jsonl limit.jsonl

Every session speaks at the wall clock's pace (`bench/paced_speech.py`). Arms, all with word times:

- *engine*: `asr.engine.Engine`, batches across sessions, right-sized windows;
- *lock*: faster-whisper's `transcribe`, one model behind a lock; the same folder, beam and
  temperatures;
- *segments*: `viva asr` as a process, its client as in a server: the sessions cut;
- *stream*: `viva asr` hears and cuts, a connection for each session.

Time to final is counted from the segmenter's cut; the VAD's wait before it stands apart, and so
does the wait for a turn. After the speech each arm gets `--drain` seconds to finish; what is
missing then is unfinished. The accounts are by samples, end to end (`bench/paced_accounts.py`).

The search finds *nominal*: the most sessions whose finals are ready in 500 ms, 19 of 20. Then twice
as many come, once with the engine's doors (`asr/admission.py`), once with all of them let in.
`--model` is a folder of noise of true shape (`bench/random_whisper.py`), with which the limit is
reached at fewer sessions than this machine can speak for; without it the rehearsal's model.
"""

import argparse
import asyncio
import json
import os
import resource
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from asr.admission import AdmissionLimits
from asr.segmenter import SAMPLE_RATE, Pcm
from bench.kept import keep, kept
from bench.paced_accounts import HEAD, Row, Session, line, row
from bench.paced_arms import ARMS, OPEN, Arm
from bench.paced_model import Model
from bench.paced_sessions import everyone
from bench.paced_speech import clips, speech

Clips = Sequence[tuple[str, Pcm]]
NOMINAL_MS = 500.0
MOST = 1024
"""Sessions beyond which nobody looks."""


class Bench:
    def __init__(self, said: Clips, model: Model, drain_s: float) -> None:
        self._said = said
        self._model = model
        self._drain_s = drain_s

    def run(
        self,
        arm: str,
        n: int,
        seconds: float,
        *,
        admission: AdmissionLimits = OPEN,
        arrive_s: float = 1.0,
        role: str = "paced",
    ) -> Row:
        made = asyncio.run(self._run(arm, n, seconds, admission, arrive_s))
        found = replace(made, model=self._model.name, seconds=seconds, role=role)
        print(line(found), flush=True)
        return found

    async def _run(
        self, name: str, n: int, seconds: float, admission: AdmissionLimits, arrive_s: float
    ) -> Row:
        sessions = [Session(speech(self._said, seconds, seed)) for seed in range(n)]
        before = _cpu_s()
        async with ARMS[name](self._model, admission) as arm:
            if admission is not OPEN:
                await self._warm_up(arm)
            began = _cpu_s()
            await everyone(sessions, arm, arrive_s=arrive_s, drain_s=self._drain_s)
            here_s = _cpu_s() - began
        # A process that has ended tells what it used, from its start.
        used_s = _cpu_s() - before if arm.url else here_s
        return row(
            name,
            sessions,
            used_s,
            batches=arm.sizes(),
            counts=arm.counts(),
            words=not self._model.noise,
        )

    async def _warm_up(self, arm: Arm) -> None:
        """As after a day's first answers: what a second of speech costs is known."""
        for _, pcm in [*self._said, *self._said]:
            await arm.recognise(np.divide(pcm, 32_768, dtype=np.float32), -1)
        arm.batches.clear()

    def search(self, first: int, seconds: float) -> int:
        """The most sessions that are served in time."""
        good, bad = 0, MOST + 1
        n = first
        while bad - good > max(1, good // 16):
            served = self.run("engine", n, seconds)
            fine = served.final_ms[1] <= NOMINAL_MS and served.given == served.segments
            good, bad = (n, bad) if fine else (good, n)
            n = min(2 * good, MOST) if bad > MOST else (good + bad) // 2
            if good == MOST or n < 1:
                break
        return good

    def overload(self, nominal: int, seconds: float) -> list[Row]:
        """Nominal, and twice as many: with doors and without. They come within half of it."""
        arms = (
            ("nominal", nominal, OPEN),
            ("twice", 2 * nominal, AdmissionLimits()),
            ("twice_all_let_in", 2 * nominal, OPEN),
        )
        return [
            self.run("engine", n, seconds, admission=doors, arrive_s=seconds / 2, role=role)
            for role, n, doors in arms
        ]


def _cpu_s() -> float:
    """Of this process, the sessions' own pacing included, and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def ratios(rows: Sequence[Row]) -> dict[str, float]:
    """How much longer the lock's finals take, by number of sessions."""
    ours, theirs = ({r.sessions: r for r in rows if r.arm == arm} for arm in ("engine", "lock"))
    return {
        f"final_p95_at_{n}": round(theirs[n].final_ms[1] / ours[n].final_ms[1], 1)
        for n in ours
        if n in theirs and ours[n].final_ms[1]
    }


def told(rows: Sequence[Row]) -> dict[str, Any]:
    """Of the run at twice nominal."""
    found = {r.role: r for r in rows if r.role != "paced"}
    if not found:
        return {}
    nominal, twice = found["nominal"], found["twice"]
    return {
        "nominal": nominal.sessions,
        "admitted": twice.sessions,
        "turned_away": twice.turned_away,
        "p95_to_nominal": round(twice.final_ms[1] / nominal.final_ms[1], 2),
        "rows": {name: asdict(r) for name, r in found.items()},
    }


def measured(options: argparse.Namespace) -> Iterator[Row]:
    default = [4] if options.quick else [1, 4, 16, 64]
    sizes = default if options.sessions is None else options.sessions
    seconds = options.seconds or (6.0 if options.quick else 120.0)
    bench = Bench(clips(), Model.of(options.model), options.drain)
    print(HEAD)
    for turn, n in enumerate(sizes):
        for arm in options.arms if turn % 2 == 0 else options.arms[::-1]:
            yield bench.run(arm, n, seconds)
    if options.quick or options.no_search:
        return
    nominal = options.nominal
    if nominal is None:
        print(f"the most sessions with p95 up to {NOMINAL_MS:.0f} ms")
        nominal = bench.search(options.first, options.trial)
        print(f"nominal {nominal}", flush=True)
    if nominal and not options.only_search:
        yield from bench.overload(nominal, seconds)


def options_given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one small round (for CI)")
    parser.add_argument("--sessions", type=int, nargs="*", help="instead of 1 4 16 64")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=["engine", "lock"])
    parser.add_argument("--seconds", type=float, help="of speech in each session")
    parser.add_argument("--drain", type=float, default=10.0, help="seconds to finish in")
    parser.add_argument("--model", type=Path, help="a folder of noise, for all arms")
    parser.add_argument("--no-search", action="store_true", help="without nominal and twice that")
    parser.add_argument("--only-search", action="store_true", help="say what nominal is")
    parser.add_argument("--nominal", type=int, help="sessions, instead of a search")
    parser.add_argument("--first", type=int, default=16, help="sessions the search begins with")
    parser.add_argument("--trial", type=float, default=20.0, help="seconds of a search's step")
    parser.add_argument("--keep", type=Path, help="file to add the rows to")
    parser.add_argument("--join", type=Path, nargs="+", help="such files: a table of all of them")
    return parser.parse_args()


def main() -> None:
    options = options_given()
    rows: list[Row] = kept(options.join, Row) if options.join else []
    for found in measured(options) if not options.join else ():
        keep(options.keep, [found])
        rows.append(found)
    print(f"\nthe VAD's wait stands apart; a sample is 1/{SAMPLE_RATE} s")
    print("\n".join([HEAD, *map(line, rows)]))
    paced = [r for r in rows if r.role == "paced"]
    print(
        json.dumps(
            {
                "name": "asr_sessions",
                "model": sorted({r.model for r in rows}),
                "figures": [asdict(r) for r in paced if r.arm != "lock"],
                "baseline": [asdict(r) for r in paced if r.arm == "lock"],
                "ratio": ratios(paced),
                "overload": told(rows),
                "n": {f"{r.arm}_{r.sessions}": r.segments for r in paced},
                "seconds": sorted({r.seconds for r in rows}),
                "cores": len(os.sched_getaffinity(0)),
            }
        )
    )


if __name__ == "__main__":
    main()
