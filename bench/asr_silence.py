"""Sound without a word in it: how many words a recogniser commits, where none was said.

    python -m bench.asr_silence             thirty minutes of each kind of sound
    python -m bench.asr_silence --kinds white pink --keep part1.jsonl     and --join part*.jsonl
    python -m bench.asr_silence --quick     one minute of each, our arms (for CI)

The kinds are of `bench/noises.py`, at levels from barely audible to speech. Time is counted in
samples, so it runs as fast as the machine computes. Arms:

- *engine*: the service's path: Silero, segmenter, `asr.engine.Engine`, the guards of `asr.heard`;
- *bypass*: the same, with a VAD that takes everything for speech: only the guards are left;
- *transcribe*: faster-whisper's own, as it comes, on the whole recording; language and folder ours;
- *filtered*: that one with its `vad_filter`.

*Babble* and *backwards* are speech to any VAD, so the words are the guards' to stop. The last row
is what the guards must not harm: sentences that the model knows, said by two voices.
"""

import argparse
import asyncio
import json
import os
import resource
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel

from asr import guards, rehearsal
from asr.cutting import Cutter
from asr.engine import Engine
from asr.heard import HeardSegment, judge
from asr.recognition import Recognition
from asr.segmenter import SAMPLE_RATE, WINDOW, Pcm, Segment
from bench import noises
from bench.kept import keep, kept
from bench.paced_speech import clips, word_errors

OURS = ("engine", "bypass")
ARMS = (*OURS, "transcribe", "filtered")
BABBLE_VOICES = ("en-us+m1", "en-us+m3", "en-us+m7", "en-us+f2", "en-us+f3", "en-us+f4")
AT_ONCE = 8
"""Segments that are asked for before the first is answered."""
NO_HURRY_S = 1e9
"""Nothing is refused for its wait: this counts words, on a machine however busy."""


@dataclass(frozen=True)
class Row:
    kind: str
    arm: str
    seconds: float
    opened: int
    """Segments that were taken for speech; for faster-whisper, those that it gave."""
    recognised: int
    committed: int
    """Segments whose words would stand in a transcript."""
    words: int
    dropped: dict[str, int] = field(default_factory=dict)
    """Segments by the guard that kept them out."""
    cpu_s: float = 0.0


def kinds() -> dict[str, noises.Sound]:
    voices = [pcm for _, pcm in clips(BABBLE_VOICES)]
    return {
        "silence": noises.silence,
        "white": noises.white,
        "pink": noises.pink,
        "hum 50 Hz": noises.hum(50),
        "hum 60 Hz": noises.hum(60),
        "tones": noises.tones,
        "chords": noises.chords,
        "clicks": noises.clicks,
        "clipped": noises.clipped,
        "babble": noises.babble(voices),
        "backwards": noises.backwards(voices),
    }


# --- ours -----------------------------------------------------------------------------------------
def everything_is_speech(samples: Pcm) -> np.ndarray:
    return np.ones(len(samples) // WINDOW, np.float32)


def cut(sound: Sequence[Pcm], *, bypass: bool) -> Iterator[Segment]:
    cutter = Cutter(vad=everything_is_speech if bypass else None)
    for stretch in sound:
        yield from cutter.push(stretch)
    yield from cutter.finish()


async def heard(engine: Engine, segments: Sequence[Segment]) -> list[HeardSegment]:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(segment: Segment) -> HeardSegment:
        async with turn:
            audio = np.divide(segment.audio, 32_768, dtype=np.float32)
            found = await engine.recognise(audio, language="en")
        return judged(segment, found)

    return await asyncio.gather(*(one(segment) for segment in segments))


def judged(segment: Segment, found: Recognition) -> HeardSegment:
    return judge(segment, found, language="en", low_confidence_logprob=-0.7, stream_started_at=0.0)


def row(kind: str, arm: str, seconds: float, told: Sequence[HeardSegment], cpu_s: float) -> Row:
    committed = [one for one in told if one.text]
    return Row(
        kind=kind,
        arm=arm,
        seconds=seconds,
        opened=len(told),
        recognised=sum(one.verdict != "failed" for one in told),
        committed=len(committed),
        words=sum(len(guards.units(one.text)) for one in committed),
        dropped=dict(Counter(str(one.dropped_reason) for one in told if one.verdict == "dropped")),
        cpu_s=round(cpu_s, 2),
    )


def ours(engine: Engine, kind: str, arm: str, sound: Sequence[Pcm]) -> Row:
    before = _cpu_s()
    told = asyncio.run(heard(engine, list(cut(sound, bypass=arm == "bypass"))))
    return row(kind, arm, _seconds(sound), told, _cpu_s() - before)


# --- the baseline ---------------------------------------------------------------------------------
def theirs(model: WhisperModel, kind: str, arm: str, sound: Sequence[Pcm]) -> Row:
    before = _cpu_s()
    audio = np.concatenate(sound).astype(np.float32) / 32_768
    found, _ = model.transcribe(audio, language="en", vad_filter=arm == "filtered")
    texts = [segment.text for segment in found]
    said = [text for text in texts if guards.units(text)]
    return Row(
        kind=kind,
        arm=arm,
        seconds=_seconds(sound),
        opened=len(texts),
        recognised=len(texts),
        committed=len(said),
        words=sum(len(guards.units(text)) for text in said),
        cpu_s=round(_cpu_s() - before, 2),
    )


# --- what the guards must not harm ----------------------------------------------------------------
def control(engine: Engine) -> dict[str, int]:
    """Sentences of the model's own grammar: what was said, what was heard, what the guards took."""
    said, got, dropped = [], [], 0
    for text, pcm in clips():
        quiet = np.zeros(SAMPLE_RATE // 2 // WINDOW * WINDOW, np.int16)
        told = asyncio.run(heard(engine, list(cut([quiet, pcm, quiet], bypass=False))))
        said.append(text)
        got.append(" ".join(one.text for one in told if one.text))
        dropped += sum(one.verdict == "dropped" for one in told)
    errors, words = word_errors(said, got)
    return {"sentences": len(said), "words": words, "errors": errors, "dropped_segments": dropped}


# --- the run --------------------------------------------------------------------------------------
def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _seconds(sound: Sequence[Pcm]) -> float:
    return sum(map(len, sound)) / SAMPLE_RATE


def table(rows: Sequence[Row]) -> str:
    head = "kind       arm         seconds  opened  recognised  committed  words   CPU s  dropped"
    lines = [
        f"{r.kind:9}  {r.arm:10}  {r.seconds:7.0f}  {r.opened:6}  {r.recognised:10}"
        f"  {r.committed:9}  {r.words:5}  {r.cpu_s:6.1f}  "
        + ", ".join(f"{reason} {n}" for reason, n in sorted(r.dropped.items()))
        for r in rows
    ]
    return "\n".join([head, *lines])


def measured(options: argparse.Namespace, engine: Engine) -> Iterator[Row]:
    arms = options.arms or (OURS if options.quick else ARMS)
    seconds = 60 * (options.minutes or (1.0 if options.quick else 30.0))
    model = WhisperModel(str(rehearsal.MODEL_DIR), device="cpu", cpu_threads=1)
    known = kinds()
    if unknown := set(options.kinds or ()) - set(known):
        raise SystemExit(f"no such sound: {', '.join(unknown)}; there are {', '.join(known)}")
    for seed, kind in enumerate(known):
        if options.kinds and kind not in options.kinds:
            continue
        sound = noises.stretches(known[kind], seconds, seed)
        for arm in arms:
            mine = arm in OURS
            yield ours(engine, kind, arm, sound) if mine else theirs(model, kind, arm, sound)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one minute, our arms (for CI)")
    parser.add_argument("--minutes", type=float, help="of each kind, instead of 30")
    parser.add_argument("--kinds", nargs="+", help="instead of all")
    parser.add_argument("--arms", nargs="+", choices=ARMS)
    parser.add_argument("--keep", type=Path, help="file to add the rows to")
    parser.add_argument("--join", type=Path, nargs="+", help="such files: a table of all of them")
    options = parser.parse_args()
    rows: list[Row] = kept(options.join, Row) if options.join else []
    with Engine.load(
        rehearsal.MODEL_DIR, device="cpu", floor_s=rehearsal.FLOOR_S, max_wait_s=NO_HURRY_S
    ) as engine:
        for found in measured(options, engine) if not options.join else ():
            keep(options.keep, [found])
            rows.append(found)
            print(table([found]).splitlines()[1], flush=True)
        harmed = control(engine)
    print("\n" + table(rows))
    print(f"\nsentences that the model knows, through the same guards: {harmed}")
    arms = list(dict.fromkeys(r.arm for r in rows))
    print(
        json.dumps(
            {
                "name": "asr_silence",
                "figures": [asdict(r) for r in rows if r.arm in OURS],
                "baseline": [asdict(r) for r in rows if r.arm not in OURS],
                "words": {arm: sum(r.words for r in rows if r.arm == arm) for arm in arms},
                "control": harmed,
                "n": {arm: sum(r.opened for r in rows if r.arm == arm) for arm in arms},
                "seconds_each": sorted({r.seconds for r in rows}),
                "cores": len(os.sched_getaffinity(0)),
            }
        )
    )


if __name__ == "__main__":
    main()
