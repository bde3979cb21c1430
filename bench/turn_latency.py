"""How long a candidate waits for the interviewer, and how fast it stops when talked over.

    python bench/turn_latency.py [--quick] [--arms ours ...] [--seed N] [--json-only]

Human speech is joined into answers with labelled pauses and played, in real time, to AgentSessions
as LiveKit makes them and as Viva does, around the same recogniser, model and voice of fixed delay.
Each arm runs at several settings of its `min_delay`; since whoever waits less cuts more people off,
arms are compared where they cut off equally often: along each arm's own curve, linearly between
its two neighbouring settings, and never beyond its ends. All arms run at the same time, shuffled,
so that a busy machine is busy for all; how late the event loop ran is among the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from agent.session import TurnTaking
from bench import human_speech
from bench.human_speech import Answer, Clip, NoSpeech, Pcm
from bench.latency_figures import (
    Outcome,
    Point,
    Spread,
    at_rate,
    ending,
    quantile,
    shared_rates,
    spread,
    stopped,
)
from bench.latency_sessions import (
    ARMS,
    DEFAULT,
    LIFTED,
    LONG_LINE,
    OURS,
    SILENCE,
    TUNED,
    Setting,
    Talk,
    talk,
)
from bench.latency_stubs import Delays
from tts.espeak import render

MAX_DELAY = 2.5
"""LiveKit's default with a turn detector, and ours."""
OWN = {DEFAULT: 0.3, TUNED: 0.0, LIFTED: 0.3, SILENCE: 0.0, OURS: TurnTaking().min_delay}
"""Each arm's own `min_delay`; the others in `CURVES` are there to draw its curve."""
CURVES = {
    DEFAULT: (0.3, 0.8),
    TUNED: (0.0, 0.3, 0.6, 1.0),
    LIFTED: (0.3, 0.8),
    SILENCE: (0.0, 0.8),
    OURS: (0.3, 0.5, 0.8, 1.2),
}
MM_HMM = "Mm-hmm."
TALK_OVER_AFTER_S = 4.0
"""Into a line: later than LiveKit's default echo warm-up of 3 s, in which nothing stops it."""
STOP_WITHIN_S = 3.0
SENTENCES = (
    "I worked on the billing service for about two years.",
    "We moved the reports to a queue so that nobody had to wait.",
    "The hardest part was finding out which table was locked.",
    "I wrote the tests before I touched the old code.",
    "Our team had four people and one of them was new.",
    "In the end the requests took a tenth of the time.",
    "I asked the customer which of the two they really needed.",
    "We measured it again after the release and it held.",
    "The first design failed because the cache was never cleared.",
    "After that I taught two colleagues how to read the traces.",
)


@dataclass(frozen=True)
class Job:
    """One session to hold; `run` gets what it is measured with."""

    label: str
    seconds: float
    run: Callable[[], Awaitable[None]]


class Bench:
    """The sessions of one run, and what came of them."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._delays = Delays()
        self.lags: list[float] = []
        """How late each 20 ms tick of the event loop came. Seconds."""
        self.failed = 0

    # --- jobs ------------------------------------------------------------------------------------
    def endings(self, settings: Sequence[Setting], answers: Sequence[Answer]) -> Measured:
        """Every answer at every setting."""
        measured = Measured({s: Outcome(s.arm, s.min_delay, s.max_delay) for s in settings})
        for setting, outcome in measured.outcomes.items():
            measured.jobs += [
                Job(setting.name, a.seconds, partial(self._answer, setting, a, outcome))
                for a in answers
            ]
        return measured

    def stops(self, arms: Sequence[str], sounds: Sequence[Pcm], words: str | None) -> Stops:
        """Every sound said over a line of every arm, at the arm's own setting."""
        result = Stops({arm: [] for arm in arms})
        for arm in arms:
            setting = Setting(arm, OWN[arm], MAX_DELAY)
            result.jobs += [
                Job(arm, TALK_OVER_AFTER_S, partial(self._over, setting, pcm, words, result))
                for pcm in sounds
            ]
        return result

    async def _answer(self, setting: Setting, answer: Answer, outcome: Outcome) -> None:
        async with talk(setting, self._delays, self._folder) as running:
            await _opened(running)
            running.say(answer.pcm)
            await asyncio.sleep(answer.seconds)
            await _answered(running, answer.seconds, setting.max_delay + 3.0)
        trace, calls = running.trace, running.trace.calls
        outcome.endings.append(ending(answer, trace.began, trace.decisions, trace.starts))
        outcome.recogniser += calls.recogniser
        outcome.recognised_s += calls.recognised_s
        outcome.model += calls.model
        outcome.heard += calls.heard

    async def _over(self, setting: Setting, pcm: Pcm, words: str | None, result: Stops) -> None:
        async with talk(
            setting, self._delays, self._folder, words=words, opening=LONG_LINE
        ) as running:
            while not running.trace.starts:  # noqa: ASYNC110 - no event of ours to wait for
                await asyncio.sleep(0.02)
            await asyncio.sleep(TALK_OVER_AFTER_S)
            running.say(pcm)
            await asyncio.sleep(STOP_WITHIN_S + 0.5)
        trace = running.trace
        result.times[setting.arm].append(stopped(trace.sounds, trace.began, within=STOP_WITHIN_S))

    # --- running ---------------------------------------------------------------------------------
    async def run(self, jobs: Iterable[Job]) -> None:
        """All of them, some at a time, the long ones first; each answer meets all arms in a row."""
        rng = random.Random(self._options.seed)
        waiting = sorted(jobs, key=lambda job: (-job.seconds, rng.random()))
        total, done = len(waiting), 0
        slots = asyncio.Semaphore(self._options.sessions)
        ticking = asyncio.create_task(self._tick())
        begun = time.monotonic()

        async def one(job: Job) -> None:
            nonlocal done
            async with slots:
                try:
                    async with asyncio.timeout(job.seconds + 60):
                        await job.run()
                except Exception as error:  # one session of hundreds; it is counted and named
                    self.failed += 1
                    self._progress(f"a session of {job.label} failed: {error!r}\n")
            done += 1
            end = "\n" if done % 50 == 0 else ""
            seconds = time.monotonic() - begun
            self._progress(f"\r  {done} of {total} sessions, {seconds:.0f} s {end}")

        async with asyncio.TaskGroup() as group:
            for job in waiting:
                group.create_task(one(job))
                await asyncio.sleep(0.05)  # sessions do not begin in step
        ticking.cancel()
        self._progress("\n")

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.02
            await asyncio.sleep(0.02)
            self.lags.append(loop.time() - due)

    def _progress(self, text: str) -> None:
        if not self._options.json_only and (sys.stderr.isatty() or text.endswith("\n")):
            print(text, end="", file=sys.stderr, flush=True)

    def lag_ms(self, share: float) -> float:
        return round(quantile(sorted(self.lags) or [0.0], share) * 1000, 1)


class Measured:
    """Answers' outcomes by setting, and the jobs that fill them."""

    def __init__(self, outcomes: dict[Setting, Outcome]) -> None:
        self.outcomes = outcomes
        self.jobs: list[Job] = []

    def of(self, arm: str) -> list[Outcome]:
        return [o for s, o in self.outcomes.items() if s.arm == arm and not s.rendered]


class Stops:
    """By arm, when its voice stopped after each sound; None where it went on."""

    def __init__(self, times: dict[str, list[float | None]]) -> None:
        self.times = times
        self.jobs: list[Job] = []

    def json(self, arm: str) -> dict[str, object]:
        times = self.times[arm]
        found = spread(times)
        stops = sum(t is not None for t in times)
        return {"n": len(times), "stopped": stops, "s": found and found.json()}


async def _opened(running: Talk) -> None:
    """The opening has been said."""
    loop = asyncio.get_running_loop()
    sounds = running.trace.sounds
    while not sounds or loop.time() - sounds[-1][1] < 0.6:  # noqa: ASYNC110 - silence has no event
        await asyncio.sleep(0.05)


async def _answered(running: Talk, seconds: float, patience: float) -> None:
    """The end was decided on and its reply sounds, or patience is at its end."""
    loop, trace = asyncio.get_running_loop(), running.trace
    end = trace.began + seconds
    while loop.time() < end + patience:
        decided = [at for at in trace.decisions if at >= end]
        if decided and any(at >= decided[0] for at in trace.starts):
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.1)


# --- material ------------------------------------------------------------------------------------
def synthetic() -> list[Clip]:
    """The embedded voice's sentences, as the recordings are."""
    clips = []
    for text in SENTENCES:
        slow = resample_poly(render(text).astype(np.float64), 2, 3)
        pcm = np.asarray(np.clip(slow, -32768, 32767), np.int16)
        clips.append(Clip(text, human_speech.trimmed(pcm)))
    return clips


# --- tables --------------------------------------------------------------------------------------
def _cell(value: Spread | None) -> str:
    return "      –      " if value is None else f"{value.p50:6.2f} {value.p95:6.2f}"


def endings_table(title: str, measured: Measured) -> str:
    lines = [
        f"\n{title}",
        f"{'arm, min/max delay':<46}{'cut off':>8}{'inside':>8}{'between':>8}"
        f"{'decision p50, p95':>19}{'after p50, p95':>16}{'sum p50, p95':>15}"
        f"{'missed':>8}{'asr':>6}{'model':>11}",
    ]
    for setting, o in measured.outcomes.items():
        lines.append(
            f"{setting.name:<46}{o.false_rate:>8.1%}{o.rate('inside'):>8.1%}"
            f"{o.rate('between'):>8.1%}      {_cell(o.decision)}   {_cell(o.after)}  "
            f"{_cell(o.total)}{o.missed:>8}{o.recogniser:>6}{o.model:>6}/{o.heard}"
        )
    return "\n".join(lines)


def _figure(outcome: Outcome, name: str) -> float | None:
    """One of `FIGURES`."""
    part, statistic = name.split("_")
    found: Spread | None = getattr(outcome, part)
    return None if found is None else float(getattr(found, statistic))


FIGURES = (
    "decision_p50",
    "decision_mean",
    "after_p50",
    "after_p95",
    "after_mean",
    "total_p50",
    "total_p95",
    "total_mean",
)


def curve(outcomes: Sequence[Outcome], figure: str) -> list[Point]:
    return [(o.false_rate, y) for o in outcomes if (y := _figure(o, figure)) is not None]


def equal(measured: Measured, arms: Sequence[str]) -> list[dict[str, Any]]:
    """Every figure of every arm at the same false cut-offs; None where its curve does not run."""
    drawn = {arm: curve(measured.of(arm), "total_p50") for arm in arms}
    compared = [drawn[arm] for arm in (TUNED, OURS) if len(drawn.get(arm, ())) > 1]
    if len(compared) < 2:
        return []
    own = next(o for o in measured.of(OURS) if o.min_delay == OWN[OURS]).false_rate
    rates = sorted({round(own, 4), *(round(r, 4) for r in shared_rates(compared))}, reverse=True)
    rows = []
    for rate in rates:
        for arm in arms:
            figures = {
                name: _rounded(at_rate(curve(measured.of(arm), name), rate)) for name in FIGURES
            }
            rows.append({"false_cut_offs": rate, "arm": arm, **figures})
    return rows


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def equal_table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "\nAt equal false cut-offs (linear between an arm's neighbouring settings; – is beyond"
        " its curve). Seconds.",
        f"{'cut off':>8}  {'arm':<28}" + "".join(f"{name:>15}" for name in FIGURES),
    ]
    for row in rows:
        cells = "".join(
            f"{'–' if row[name] is None else format(row[name], '.3f'):>15}" for name in FIGURES
        )
        lines.append(f"{row['false_cut_offs']:>8.1%}  {row['arm']:<28}{cells}")
    return "\n".join(lines)


def stops_table(title: str, stops: Stops, *, wanted: bool) -> str:
    lines = [f"\n{title}"]
    for arm, times in stops.times.items():
        found, count = spread(times), sum(t is not None for t in times)
        what = "stopped" if wanted else "stopped falsely"
        when = f", p50 {found.p50:.2f} s, p95 {found.p95:.2f} s" if found and wanted else ""
        lines.append(f"  {arm:<28}{count} of {len(times)} {what}{when}")
    return "\n".join(lines)


# --- the run -------------------------------------------------------------------------------------
async def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything, printed as it comes; returns what goes into the line of JSON."""

    def say(text: str) -> None:
        if not options.json_only:
            print(text, flush=True)

    rng = random.Random(options.seed)
    clips = human_speech.load(options.speech)
    whole = human_speech.sentences(clips)
    quick: bool = options.quick
    count, lengths = (5, (5.0, 12.0)) if quick else (options.answers, human_speech.ANSWERS_S)
    answers = human_speech.answers(whole, count, rng, lengths_s=lengths)
    arms = [arm for arm in ARMS if arm in options.arms]
    settings = [
        Setting(arm, delay, MAX_DELAY)
        for arm in arms
        for delay in CURVES[arm]
        if not quick or delay == CURVES[arm][1]
    ]
    if OURS in arms and not quick:
        settings.append(Setting(OURS, OWN[OURS], MAX_DELAY, rendered=True))
    pauses = [pause for one in answers for pause in one.pauses]
    say(
        f"{len(answers)} answers of {min(a.seconds for a in answers):.0f}–"
        f"{max(a.seconds for a in answers):.0f} s from {len(whole)} recordings, {len(pauses)}"
        f" inner pauses ({sum(p.kind == 'inside' for p in pauses)} inside a sentence);"
        f" {len(settings)} settings, {options.sessions} sessions at once;"
        f" load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    bench = Bench(options, folder)
    human = bench.endings(settings, answers)
    speech = human_speech.answers(synthetic(), 3 if quick else 10, rng, lengths_s=(5.0, 20.0))
    espeak = bench.endings([Setting(arm, OWN[arm], MAX_DELAY) for arm in arms], speech)
    times = 3 if quick else options.barge_ins
    barge = bench.stops(arms, [rng.choice(whole).pcm for _ in range(times)], None)
    bursts = bench.stops(arms, human_speech.bursts(clips, times, rng), MM_HMM)
    noises = bench.stops(arms, human_speech.noises(times, rng), "")
    await bench.run([*human.jobs, *espeak.jobs, *barge.jobs, *bursts.jobs, *noises.jobs])
    say(endings_table("Human speech. Seconds; model: calls begun/replies heard", human))
    rows = equal(human, arms)
    if rows:
        say(equal_table(rows))
    say(endings_table("espeak-ng (the turn detector does not know its ends)", espeak))
    say(stops_table("Talked over by a sentence", barge, wanted=True))
    say(stops_table("Talked over by 0.15–0.4 s of voice, heard as “mm-hmm”", bursts, wanted=False))
    say(stops_table("Talked over by noise, heard as nothing", noises, wanted=False))
    say(f"\nLoop lag p50 {bench.lag_ms(0.5)} ms, p99 {bench.lag_ms(0.99)} ms")
    return {
        "name": "turn_latency",
        "quick": quick,
        "figures": _figures(OURS, human, rows, barge, bursts, noises)
        | {
            "settings": [o.json() for o in human.outcomes.values()],
            "rendered_before": [o.json() for s, o in human.outcomes.items() if s.rendered],
            "espeak": [o.json() for o in espeak.outcomes.values()],
            "equal_false_cut_offs": rows,
            "loop_lag_ms": {"p50": bench.lag_ms(0.5), "p99": bench.lag_ms(0.99)},
            "sessions_failed": bench.failed,
            "delays_s": vars(bench._delays),
        },
        "baseline": {
            arm: _figures(arm, human, rows, barge, bursts, noises) for arm in arms if arm != OURS
        },
        "ratio": _ratio(rows),
        "n": {
            "answers": len(answers),
            "pauses": len(pauses),
            "espeak_answers": len(speech),
            "barge_ins": times,
            "bursts": times,
            "noises": times,
        },
    }


def _figures(
    arm: str,
    human: Measured,
    rows: Sequence[dict[str, Any]],
    barge: Stops,
    bursts: Stops,
    noises: Stops,
) -> dict[str, Any]:
    if arm not in barge.times:
        return {}
    own = [o.json() for o in human.of(arm) if o.min_delay == OWN[arm]]
    return {
        "own_setting": own[0] if own else None,
        "equal": [row for row in rows if row["arm"] == arm],
        "barge_in": barge.json(arm),
        "false_stops": {"bursts": bursts.json(arm), "noises": noises.json(arm)},
    }


def _ratio(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Ours over LiveKit's tuned arm, at each rate of false cut-offs that both reach."""
    by_rate: dict[float, dict[str, dict[str, Any]]] = {}
    for row in rows:
        by_rate.setdefault(row["false_cut_offs"], {})[row["arm"]] = row
    found = {}
    for rate, arms in by_rate.items():
        ours, tuned = arms.get(OURS, {}), arms.get(TUNED, {})
        found[str(rate)] = {
            name: round(ours[name] / tuned[name], 3)
            for name in FIGURES
            if ours.get(name) is not None and tuned.get(name)
        }
    return {"ours_to_livekit_tuned": found}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under a minute: that it runs")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), metavar="ARM")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--answers", type=int, default=40)
    parser.add_argument("--barge-ins", type=int, default=20, help="of each kind, for each arm")
    parser.add_argument("--sessions", type=int, default=26, help="at once")
    parser.add_argument("--speech", type=Path, default=human_speech.FOLDER, metavar="FOLDER")
    parser.add_argument("--json-only", action="store_true", help="print the last line only")
    options = parser.parse_args()
    if options.quick:
        options.arms = [arm for arm in options.arms if arm in (TUNED, OURS)]
        options.sessions = 30
    return options


def main() -> None:
    options = arguments()
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("livekit").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = asyncio.run(measure(options, Path(folder)))
        except NoSpeech as missing:
            if options.quick:  # a machine without the recordings still passes its checks
                sys.exit(print(f"skipped: {missing}"))
            sys.exit(str(missing))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
