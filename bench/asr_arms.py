"""Four ways to hear one stream, on one model object, on a virtual clock.

Every arm is a program of one thread that takes audio as it arrives and calls the model; here the
audio is there already. The clock stands still while an arm waits for audio, which is skipped, and
runs with the CPU seconds that it computes: those of the model (really called), of the VAD, of
features and of its own bookkeeping, but not those of the benchmark's. So an arm that falls behind
is late by as much as it would be on one free core, others on this machine move nothing, and a
minute of speech takes no minute. `bench.asr_latency --paced` runs some in real time beside it.

- *ours*: `asr.segmenter`, `asr.backlog`, `asr.whisper`, `asr.emission` as `asr.stream` and
  `asr.engine` put them together, with one worker. Its audio thread waits for no recognition.
- *local-agreement*: whisper_streaming with its voice activity controller (0.5 s of silence end an
  utterance). Since whatever came after the last pass would be missing, one more pass is made at the
  end; `last_pass=False` is the program as it is.
- *whisper-live*: a WhisperLive client with `vad_filter`. It recognises again at once; with
  `every_s` it waits, which costs less.
- *stream-adapter*: LiveKit's `StreamAdapter`: a VAD's end, then the whole utterance, of which at
  most a minute is kept. No captions.

VAD is Silero as faster-whisper bundles it for all, beam 1, temperature 0.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from asr.backlog import Backlog, Job, Limits
from asr.emission import Emitter
from asr.errors import Overloaded
from asr.listening import ListeningOptions
from asr.overhearing import Cadence, patience
from asr.recognition import Outcome, Piece, Priority, Recognition, always
from asr.segmenter import SAMPLE_RATE, WINDOW, Segmenter
from asr.silero import Silero
from bench.asr_policies import GrowingBuffer, LocalAgreement
from bench.asr_script import Clip, Pcm, Script
from bench.asr_stage import (
    Clock,
    CpuClock,
    Ends,
    Final,
    Loaded,
    Run,
    StillClock,
    as_float,
    transcriber,
    windows,
)

ARMS = ("ours", "local-agreement", "whisper-live", "stream-adapter")
FRAME = 4096
"""Samples that a WhisperLive client sends at a time."""


def run(arm: str, model: Loaded, clip: Clip, clock: Clock | None = None, **options: Any) -> Run:
    """One clip through one arm, with its cost; virtual time unless a clock is given."""
    model.meter.say(Script(clip, model.words))
    before = model.meter.cpu_s
    heard = _ARMS[arm](model, clip, clock or CpuClock(model.meter), **options)
    heard.cpu_s = model.meter.cpu_s - before
    heard.counted = model.meter.counted
    return heard


def said(model: Loaded, clip: Clip) -> list[str]:
    """What a perfect recogniser hears."""
    return [model.meter.text(word.token) for word in Script(clip, model.words).words]


# --- ours -----------------------------------------------------------------------------------------
class _Ours:
    """`asr.stream` and `asr.engine` with two clocks: the audio's, and that of the one worker."""

    def __init__(
        self, model: Loaded, every_s: float | None, instant: bool, cuts_s: Sequence[float]
    ) -> None:
        """`cuts_s`: when the segments will be cut, for this worker runs ahead of the audio."""
        self._model = model
        self._instant = instant
        self._cadence = Cadence(every_s)
        self._cuts_s = cuts_s
        self._segmenter = Segmenter()
        self._emitter = Emitter(language="en", final_after_s=ListeningOptions.final_after_s)
        self._backlog = Backlog(Limits(workers=1))
        self._working: list[tuple[Job, Outcome]] = []
        self._free_at = self._begun_cpu_s = 0.0
        self._places: dict[Job, tuple[int, float]] = {}  # (number of its segment, when asked for)
        self._pieces = 0
        self._interim: Job | None = None
        self._decided_s = self._ready_s = 0.0
        self.run = Run("ours")

    @property
    def patience(self) -> int:
        """Windows that need not be heard one by one: as in `asr.service.stream`."""
        return patience(self._segmenter, self._cadence)

    def hear(self, window: Pcm, probability: float) -> None:
        at = (self._segmenter.position + WINDOW) / SAMPLE_RATE
        self.serve(at)
        segment = self._segmenter.push(window, probability)
        if segment is not None:
            self._emitter.cut(self._pieces)
            self._decided_s = at
            self._ask(segment.audio, Priority.FINAL, at)
            self._pieces += 1
        self._overhear(at)
        self.serve(at)
        self._emit(at)

    def _overhear(self, at: float) -> None:
        if self._interim is not None:
            return
        audio = self._cadence.take(self._segmenter)
        if audio is not None:
            self._interim = self._ask(audio, Priority.INTERIM, at)

    def _ask(self, pcm: Pcm, priority: Priority, at: float) -> Job | None:
        final = priority is Priority.FINAL
        piece = Piece(as_float(pcm), "en", words=final, wanted=always if final else self._wanted)
        job = Job(piece, priority, source="stream", bucket=self._model.ours.bucket(piece))
        try:
            dropped = self._backlog.admit(job, at)
        except Overloaded:
            return None
        if dropped is not None:
            self._interim = None
        self._places[job] = (self._pieces, at)
        return job

    def serve(self, until: float) -> None:
        """What the worker does by then."""
        while self._free_at <= until:
            self._deliver()
            jobs = self._backlog.take()
            if not jobs:
                return
            self._free_at = max(self._free_at, *(self._places[job][1] for job in jobs))
            self._begun_cpu_s = self._model.meter.cpu_s
            outcomes = self._model.ours.decode_many([job.piece for job in jobs])
            for job, outcome in zip(jobs, outcomes, strict=True):
                if not isinstance(outcome, Recognition) and job.priority is Priority.FINAL:
                    raise outcome
                self._working.append((job, outcome))
            self._free_at = self._worked_until()

    def _worked_until(self) -> float:
        took_s = self._model.meter.cpu_s - self._begun_cpu_s
        return self._free_at + (0.0 if self._instant else took_s)

    def _wanted(self) -> bool:
        """Of the interim that is in work: its segment is not cut by now."""
        now = self._worked_until()
        return not any(self._free_at <= cut_s <= now for cut_s in self._cuts_s)

    def _deliver(self) -> None:
        if not self._working:
            return
        self._backlog.finished()
        done, self._working = self._working, []
        for job, outcome in done:
            piece, _ = self._places.pop(job)
            if not isinstance(outcome, Recognition):
                self._interim = None  # given up
            elif job.priority is Priority.FINAL:
                self._emitter.heard(piece, outcome.text)
                self._ready_s = self._free_at
                self.run.said += outcome.text.split()
            else:
                self._interim = None
                if piece == self._pieces:  # else it was cut meanwhile
                    self._emitter.overheard(outcome.text)
        self._emit(self._free_at)

    def _emit(self, at: float) -> None:
        emission = self._emitter.due(
            speaking=self._segmenter.open,
            silence_s=self._segmenter.silence_s,
            is_backchannel=lambda text: False,
        )
        if emission is None:
            return
        if emission.kind == "final":
            self.run.finals.append(Final(self._decided_s, self._ready_s, at))
        else:
            self.run.captions_s.append(at)


def _ours(model: Loaded, clip: Clip, clock: Clock, *, every_s: float | None = 1.0) -> Run:
    with model.meter.aside():
        cuts_s = _cuts_s(clip)
    silero, stream = Silero(), _Ours(model, every_s, isinstance(clock, StillClock), cuts_s)
    held: list[Pcm] = []
    for heard, window in windows(clip):
        clock.until(heard / SAMPLE_RATE)
        held.append(window)
        if len(held) < stream.patience:
            continue
        for one, probability in zip(held, silero(np.concatenate(held)), strict=True):
            stream.hear(one, float(probability))
        held.clear()
        if _over(stream.run, clip):
            break
    stream.serve(float("inf"))
    return stream.run


def _cuts_s(clip: Clip) -> list[float]:
    """When the segmenter will cut, whatever is recognised."""
    segmenter, heard = Segmenter(), list(windows(clip))
    probabilities = Silero()(np.concatenate([window for _, window in heard]))
    return [
        at / SAMPLE_RATE
        for (at, window), probability in zip(heard, probabilities, strict=True)
        if segmenter.push(window, float(probability)) is not None
    ]


# --- whisper_streaming ----------------------------------------------------------------------------
def _local_agreement(
    model: Loaded,
    clip: Clip,
    clock: Clock,
    *,
    every_s: float = 1.0,
    last_pass: bool = True,
) -> Run:
    found = Run("local-agreement")
    policy = LocalAgreement(transcriber(model.shared, words=True, vad=False))
    ends, audio = Ends(silence_s=0.5, pad_s=0.1), as_float(clip.pcm)
    given = fresh = 0  # samples up to which the policy has been given audio; since the last pass
    for heard, window in windows(clip):
        clock.until(heard / SAMPLE_RATE)
        event, spoke = ends.hear(window), ends.speaking
        if event is not None and spoke:
            policy.begin(event / SAMPLE_RATE)
            given = event
        if event is None and not spoke:
            continue
        upto = heard if spoke else max(event or heard, given)
        policy.insert(audio[given:upto])
        fresh, given = fresh + upto - given, upto
        if not spoke:
            words = policy.step() if last_pass else []
            found.said += [w.text.strip() for w in [*words, *policy.finish()]]
            found.finals.append(Final(heard / SAMPLE_RATE, clock.now(), clock.now()))
            fresh = 0
        elif fresh > every_s * SAMPLE_RATE and clock.now() < (heard + WINDOW) / SAMPLE_RATE:
            # It has caught up with the audio: a pass takes all that has come.
            fresh = 0
            found.said += [w.text.strip() for w in policy.step()]
            found.captions_s.append(clock.now())
        if _over(found, clip):
            break
    return found


# --- WhisperLive ----------------------------------------------------------------------------------
def _whisper_live(
    model: Loaded,
    clip: Clip,
    clock: Clock,
    *,
    every_s: Callable[[float], float] = lambda at: 0.0,
    to_final: bool = True,
) -> Run:
    """`every_s`: seconds between two passes, by the time; `to_final=False` ends with the first pass
    that heard all."""
    found = Run("whisper-live")
    policy = GrowingBuffer(transcriber(model.shared, words=False, vad=True))
    audio, sent, ready_s = as_float(clip.pcm), 0, 0.0
    while True:
        now = clock.now()
        arrived = min(int(now * SAMPLE_RATE) // FRAME * FRAME, len(audio))
        for start in range(sent, arrived, FRAME):
            policy.insert(audio[start : start + FRAME])
        sent = arrived
        calls = model.meter.counted.calls
        wait = policy.step()
        if model.meter.counted.calls > calls:
            found.captions_s.append(clock.now())
        if sent >= clip.speech_end and not ready_s and model.meter.counted.calls > calls:
            ready_s = clock.now()
        if ready_s and (not policy.open or not to_final):
            break
        clock.until(max(clock.now() + max(wait, 0.01), now + every_s(now)))
    found.said = " ".join([*policy.final, policy.open]).split()
    found.finals.append(Final(clip.speech_s, ready_s, clock.now()))
    return found


# --- LiveKit's StreamAdapter ----------------------------------------------------------------------
def _stream_adapter(
    model: Loaded,
    clip: Clip,
    clock: Clock,
    *,
    silence_s: float = 0.55,
    prefix_s: float = 0.5,
    longest_s: float = 60.0,
) -> Run:
    found = Run("stream-adapter")
    recognise = transcriber(model.shared, words=False, vad=False)
    ends, audio, start = Ends(silence_s, prefix_s), as_float(clip.pcm), 0
    for heard, window in windows(clip):
        clock.until(heard / SAMPLE_RATE)
        event = ends.hear(window)
        if event is None:
            continue
        if ends.speaking:
            start = event
            continue
        after = min(heard, start + round((longest_s + prefix_s) * SAMPLE_RATE))
        for passage in recognise(audio[start:after], "") or ():
            found.said += passage.text.split()
        found.finals.append(Final(heard / SAMPLE_RATE, clock.now(), clock.now()))
        if _over(found, clip):
            break
    return found


def _over(found: Run, clip: Clip) -> bool:
    """The final after the last voiced sample has been given."""
    return bool(found.finals) and found.finals[-1].decided_s >= clip.speech_s


_ARMS: dict[str, Callable[..., Run]] = {
    "ours": _ours,
    "local-agreement": _local_agreement,
    "whisper-live": _whisper_live,
    "stream-adapter": _stream_adapter,
}
