"""Two published ways to hear a stream with a recogniser of whole recordings, as policies over it.

Both keep a growing buffer and recognise all of it again and again. Pure: audio in, words out; the
recogniser is a function. Written here from the programs' behaviour, none of their code is in it.

- `LocalAgreement` is LocalAgreement-2 (Liu, Niehues and Spanakis 2020) as in whisper_streaming
  (Macháček, Dabre and Bojar 2023): what two passes in a row agree on is final; a buffer of over
  15 s is cut at the end of a finished passage.
- `GrowingBuffer` is a client of WhisperLive (Collabora): the last passage of a pass stays open, all
  before it are final, and the buffer begins after them; an open passage that is repeated often
  enough is final, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from asr.recognition import Audio

SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class Word:
    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Passage:
    """A segment of Whisper's: mostly a sentence."""

    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...] = ()
    no_speech_prob: float = 0.0


Recognise = Callable[[Audio, str], Sequence[Passage] | None]
"""(audio, prompt) -> passages; None where there is no speech in it."""


class LocalAgreement:
    NEAR_S = 1.0
    """A text that begins so near to what is final may repeat some of it."""
    LONGEST_REPEAT = 5
    PROMPT_CHARACTERS = 200

    def __init__(self, recognise: Recognise, *, trim_s: float = 15.0) -> None:
        self._recognise = recognise
        self._trim_s = trim_s
        self.begin(0.0)

    def begin(self, at_s: float) -> None:
        """A new utterance, `at_s` into the stream."""
        self._audio: list[Audio] = []
        self._offset_s = at_s
        self._final: list[Word] = []
        self._final_in_buffer: list[Word] = []
        self._before: list[Word] = []  # the last pass's words that are not final
        self._final_until_s = at_s

    @property
    def buffered_s(self) -> float:
        return sum(map(len, self._audio)) / SAMPLE_RATE

    def insert(self, audio: Audio) -> None:
        self._audio.append(audio)

    def step(self) -> list[Word]:
        """Recognise the buffer once more; the words that have become final by it."""
        audio = np.concatenate([np.zeros(0, np.float32), *self._audio])
        passages = self._recognise(audio, self._prompt()) or ()
        agreed = self._agree([w for p in passages for w in p.words])
        self._final += agreed
        if self.buffered_s > self._trim_s:
            self._trim([p.end_s + self._offset_s for p in passages])
        return agreed

    def finish(self) -> list[Word]:
        """What the last pass said and no other has confirmed."""
        return self._before

    def _prompt(self) -> str:
        """The end of what is final and no longer in the buffer."""
        gone = [w.text for w in self._final[:-1] if w.end_s <= self._offset_s]
        taken, length = 0, 0
        while taken < len(gone) and length < self.PROMPT_CHARACTERS:
            taken += 1
            length += len(gone[-taken]) + 1
        return "".join(gone[len(gone) - taken :])

    def _agree(self, heard: Sequence[Word]) -> list[Word]:
        new = self._unrepeated(
            [
                replace(w, start_s=w.start_s + self._offset_s, end_s=w.end_s + self._offset_s)
                for w in heard
            ]
        )
        same = 0
        while same < min(len(new), len(self._before)) and new[same].text == self._before[same].text:
            same += 1
        self._before = new[same:]
        self._final_in_buffer += new[:same]
        if same:
            self._final_until_s = new[same - 1].end_s
        return new[:same]

    def _unrepeated(self, words: list[Word]) -> list[Word]:
        """Without what was final before."""
        new = [w for w in words if w.start_s > self._final_until_s - 0.1]
        if not new or abs(new[0].start_s - self._final_until_s) >= self.NEAR_S:
            return new
        final = [w.text for w in self._final_in_buffer]
        for n in range(1, min(len(final), len(new), self.LONGEST_REPEAT) + 1):
            if final[-n:] == [w.text for w in new[:n]]:
                return new[n:]
        return new

    def _trim(self, ends_s: list[float]) -> None:
        """Cut at the last passage's end but one that is final."""
        if not self._final:
            return
        ends = [end for end in ends_s[:-1] if end <= self._final[-1].end_s]
        if ends:
            self._cut(ends[-1])

    def _cut(self, at_s: float) -> None:
        self._final_in_buffer = [w for w in self._final_in_buffer if w.end_s > at_s]
        audio = np.concatenate(self._audio)
        self._audio = [audio[int((at_s - self._offset_s) * SAMPLE_RATE) :]]
        self._offset_s = at_s


class GrowingBuffer:
    """WhisperLive's defaults of mid-2025."""

    LONGEST_S = 45.0
    TRIMMED_S = 30.0
    """So much is dropped, recognised or not, of a buffer that grew too long."""
    SHORTEST_S = 1.0
    """Less than this is not recognised."""
    LOOK_S = 0.1
    """Until the next look for more audio, and after a text that was the same again."""
    NO_SPEECH_S = 0.25
    NO_SPEECH_PROB = 0.45
    SAME_OUTPUT = 10
    """An open passage repeated more often than this is final."""

    def __init__(self, recognise: Recognise) -> None:
        self._recognise = recognise
        self._audio = np.zeros(0, np.float32)
        self._dropped_s = 0.0  # before the buffer
        self._done_s = 0.0  # recognised for good, from the stream's start
        self._previous = ""
        self._same = 0
        self._same_end_s: float | None = None
        self.final: list[str] = []
        self.open = ""
        """The caption of what is not final yet."""

    def insert(self, audio: Audio) -> None:
        if len(self._audio) > self.LONGEST_S * SAMPLE_RATE:
            self._dropped_s += self.TRIMMED_S
            self._audio = self._audio[int(self.TRIMMED_S * SAMPLE_RATE) :]
            self._done_s = max(self._done_s, self._dropped_s)
        self._audio = np.concatenate([self._audio, audio])

    @property
    def waiting(self) -> Audio:
        """What the next pass is given."""
        return self._audio[int(max(0.0, (self._done_s - self._dropped_s) * SAMPLE_RATE)) :]

    def step(self) -> float:
        """One pass, if there is enough to recognise; how long to wait before the next, seconds."""
        audio = self.waiting
        seconds = len(audio) / SAMPLE_RATE
        if seconds < self.SHORTEST_S:
            return self.LOOK_S
        passages = self._recognise(audio, "")
        if passages is None:
            self._done_s += seconds
            return self.NO_SPEECH_S
        return self._take(passages, seconds) if passages else 0.0

    def _take(self, passages: Sequence[Passage], seconds: float) -> float:
        last = passages[-1]
        spoken = last.no_speech_prob <= self.NO_SPEECH_PROB
        done = self._finish(passages[:-1], seconds) if spoken else 0.0
        self.open = last.text if spoken else ""
        wait = self._repeated(last)
        if self._same > self.SAME_OUTPUT:
            done = min(seconds, self._same_end_s or 0.0)
            if self.open.strip().lower() != (self.final[-1] if self.final else "").strip().lower():
                self.final.append(self.open)
            self.open, self._same, self._same_end_s = "", 0, None
        else:
            self._previous = self.open
        self._done_s += done
        return wait

    def _finish(self, passages: Sequence[Passage], seconds: float) -> float:
        """Passages with another one after them; up to where they reach in the buffer."""
        done = 0.0
        for passage in passages:
            end = min(seconds, passage.end_s)
            if passage.start_s < end and passage.no_speech_prob <= self.NO_SPEECH_PROB:
                self.final.append(passage.text)
                done = end
        return done

    def _repeated(self, last: Passage) -> float:
        if self.open and self.open.strip() == self._previous.strip():
            self._same += 1
            if self._same_end_s is None:  # of the first time: later ones may hold more
                self._same_end_s = last.end_s
            return self.LOOK_S
        self._same, self._same_end_s = 0, None
        return 0.0
