"""A recording cut into pieces of speech, a block at a time. Blocking, for a thread."""

from collections.abc import Callable, Iterator

from asr.framing import Windows
from asr.recording import Recording, mixed
from asr.segmenter import WINDOW, Pcm, Segment, Segmenter, SegmenterOptions
from asr.silero import Probabilities, Silero


class Cutter:
    """One channel, cut into segments; any number of samples at a time. Pure, given its VAD."""

    def __init__(
        self,
        options: SegmenterOptions | None = None,
        vad: Callable[[Pcm], Probabilities] | None = None,
    ) -> None:
        self._segmenter = Segmenter(options)
        self._vad = vad or Silero()
        self._windows = Windows()
        self.samples = 0
        """Heard so far."""

    def push(self, samples: Pcm) -> Iterator[Segment]:
        self.samples += len(samples)
        return self._cut(self._windows.push(samples))

    def finish(self) -> Iterator[Segment]:
        """The last window is filled up with silence."""
        yield from self._cut(self._windows.finish())
        segment = self._segmenter.flush()
        if segment is not None:
            yield segment

    def _cut(self, audio: Pcm) -> Iterator[Segment]:
        for number, probability in enumerate(self._vad(audio)):
            window = audio[number * WINDOW : (number + 1) * WINDOW]
            segment = self._segmenter.push(window, float(probability))
            if segment is not None:
                yield segment


class Reading:
    """A recording being read and cut, each channel for itself or all as one."""

    def __init__(
        self, recording: Recording, channels: int | None, options: SegmenterOptions
    ) -> None:
        """`channels`: None to hear all of them as one."""
        self.recording = recording
        self._mix = channels is None
        self._cutters = [Cutter(options) for _ in range(channels or 1)]
        self._blocks = recording.blocks()
        self._ended = False

    @property
    def position(self) -> int:
        """Samples read."""
        return self._cutters[0].samples

    def next_pieces(self) -> list[tuple[int, Segment]] | None:
        """What a block completes, with its channel, in order of time; None after the end."""
        if self._ended:
            return None
        block = next(self._blocks, None)
        if block is None:
            self._ended = True
            found = [(i, s) for i, cutter in enumerate(self._cutters) for s in cutter.finish()]
        else:
            heard = mixed(block) if self._mix else block
            found = [
                (i, segment)
                for i, cutter in enumerate(self._cutters)
                for segment in cutter.push(heard[i])
            ]
        return sorted(found, key=lambda piece: piece[1].onset)
