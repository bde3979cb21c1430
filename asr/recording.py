"""A recording on disk, in any format PyAV reads, as blocks of samples at 16 kHz.

Rules:
- Memory is one block, however long the recording.
- What is wrong is said: `UnreadableRecording` if there is nothing to hear, `problems` if there is
  less to hear than there should be.
- A file opens nothing else: FFmpeg's playlists, which name other files and addresses, are refused.
- Time is the recording's own: where its timestamps leave a gap (a sender that is silent sends
  nothing), there is silence.
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import numpy.typing as npt

from asr.endings import announces_length, is_cut
from asr.errors import UnreadableRecording
from asr.segmenter import SAMPLE_RATE

Block = npt.NDArray[np.int16]
"""(channels, samples)"""

BLOCK_S = 10.0
GAP_S = 0.1
"""Timestamps jitter by less."""
LONGEST_GAP_S = 3600.0
"""A longer one is a timestamp gone wrong."""
SHORT_S = 1.0
"""A recording that ends this much before its announced end was cut short."""
MOST_CHANNELS = 64
RATES = range(2_000, 1_000_001)
"""In Hz. A damaged header may say one, and a second would become sixteen thousand."""
LONGEST_S = 24 * 3600.0
"""What goes on for longer is a file made to."""

_PLAYLISTS = {"concat", "concatf", "dash", "ffmetadata", "hls", "imf", "lavfi", "rtsp", "sap"}
_PLAYLISTS |= {"sdp", "tty", "webm_dash_manifest"}
_OTHERS = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"%PDF", "a PDF"),
    (b"Salted__", "encrypted (by openssl)"),
    (b"age-encryption.org/", "encrypted (by age)"),
    (b"-----BEGIN AGE", "encrypted (by age)"),
    (b"-----BEGIN PGP MESSAGE", "encrypted (by PGP)"),
    (b"#EXTM3U", "a playlist"),
    (b"<?xml", "an XML document"),
    (b"<!DOCTYPE html", "a web page"),
    (b"SQLite format 3", "a database"),
)
_VIVA = b"OpusTags\x04\x00\x00\x00viva"


class Recording:
    """An opened file; a context manager."""

    def __init__(self, path: Path) -> None:
        self._head = _look(path)
        self._path = path
        self._read = 0  # samples given
        self._resampler: av.AudioResampler | None = None
        self._setup: tuple[str, str, int] | None = None
        self._damaged = 0  # packets
        self.problems: list[str] = []
        """Why not all of it was heard: complete once `blocks` has ended."""
        try:
            self._container = av.open(f"file:{path}", options=_options())
        except (av.FFmpegError, ValueError) as e:
            raise UnreadableRecording(_named(self._head)) from e
        try:
            stream = self._container.streams.best("audio")
            if not isinstance(stream, av.AudioStream):
                raise UnreadableRecording("there is no sound in it")
            self._stream = stream
            if not 1 <= self.channels <= MOST_CHANNELS:
                raise UnreadableRecording(f"it has {self.channels} channels")
            _check_rate(stream.rate)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def channels(self) -> int:
        return int(self._stream.codec_context.layout.nb_channels)

    @property
    def seconds(self) -> float | None:
        """As the file announces it."""
        length = self._container.duration
        return length / av.time_base if length and length > 0 else None

    @property
    def made_by_viva(self) -> bool:
        """Candidate left, interviewer right."""
        return self.channels == 2 and _VIVA in self._head

    def blocks(self) -> Iterator[Block]:
        """All of it, once. Raises `UnreadableRecording` if it is encrypted or nothing was in it."""
        most = round(BLOCK_S * SAMPLE_RATE)
        waiting: list[Block] = []
        held = 0
        for piece in self._pieces():
            if self._read > LONGEST_S * SAMPLE_RATE:
                self.problems.append(f"it is longer than {clock(LONGEST_S)}, and was read so far")
                break
            for at in range(0, piece.shape[1], most):
                waiting.append(piece[:, at : at + most])
                held += waiting[-1].shape[1]
                if held >= most:
                    yield np.concatenate(waiting, axis=1)
                    waiting, held = [], 0
        if held:
            yield np.concatenate(waiting, axis=1)
        self._sum_up()

    def _pieces(self) -> Iterator[Block]:
        """As they come out of the decoder, and silence where there is a gap."""
        origin: float | None = None
        for frame in self._frames():
            if frame.pts is not None and frame.time_base is not None:
                at = float(frame.pts * frame.time_base)
                now = self._read / SAMPLE_RATE
                if origin is None or abs(at - origin - now) > LONGEST_GAP_S:
                    origin = at - now
                elif (gap := round((at - origin - now) * SAMPLE_RATE)) > GAP_S * SAMPLE_RATE:
                    yield from self._counted(self._resampled(None))
                    yield from self._silence(gap)
            yield from self._counted(self._resampled(frame))
        yield from self._counted(self._resampled(None))

    def _silence(self, samples: int) -> Iterator[Block]:
        most = round(BLOCK_S * SAMPLE_RATE)
        for at in range(0, samples, most):
            count = min(most, samples - at)
            yield from self._counted([np.zeros((self.channels, count), np.int16)])

    def _counted(self, pieces: list[Block]) -> Iterator[Block]:
        for piece in pieces:
            self._read += piece.shape[1]
            yield piece

    def _frames(self) -> Iterator[av.AudioFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, ValueError) as e:
                self.problems.append(f"it cannot be read beyond {self._at()}: {_reason(e)}")
                return
            if packet.has_sidedata("encryption_info"):  # by chance a decoder finds noise in it
                raise UnreadableRecording("it is encrypted")
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError):
                self._damaged += 1
                continue
            yield from (frame for frame in frames if isinstance(frame, av.AudioFrame))

    def _resampled(self, frame: av.AudioFrame | None) -> list[Block]:
        """None: what the resampler still holds."""
        found: list[Block] = []
        if frame is not None:
            setup = (frame.format.name, frame.layout.name, frame.sample_rate)
            if self._setup != setup:
                _check_rate(frame.sample_rate)
                found = self._resampled(None)
                self._setup = setup
            frame.pts = None  # the gaps are filled here
        if self._resampler is None:
            if frame is None:
                return []
            self._resampler = av.AudioResampler(format="s16p", rate=SAMPLE_RATE)
        for one in self._resampler.resample(frame):
            found.append(_fit(np.asarray(one.to_ndarray(), np.int16), self.channels))
        if frame is None:
            self._resampler = None
        return found

    def _sum_up(self) -> None:
        if not self._read:
            if self._damaged:
                raise UnreadableRecording("none of its sound can be decoded: it is damaged")
            raise UnreadableRecording("there is no sound in it")
        if self._damaged:
            self.problems.append(
                f"{counted(self._damaged, 'piece')} of its sound could not be decoded"
            )
        announced = self.seconds
        exact = announces_length(self._container.format.name, self._head)
        if announced and exact and self._read / SAMPLE_RATE < announced - SHORT_S:
            self.problems.append(f"it is cut short: it ends at {self._at()} of {clock(announced)}")
        elif is_cut(self._head, self._path):
            self.problems.append(f"it is cut short, at {self._at()}")

    def _at(self) -> str:
        return clock(self._read / SAMPLE_RATE)


def _check_rate(rate: int) -> None:
    if rate not in RATES:
        raise UnreadableRecording(f"it is damaged: {rate} samples a second")


def mixed(block: Block) -> Block:
    """All channels in one."""
    if len(block) == 1:
        return block
    return np.asarray(block.mean(axis=0, keepdims=True, dtype=np.float32), np.int16)


def _fit(piece: Block, channels: int) -> Block:
    """AAC may announce one channel and give two, and a stream may change on its way."""
    if len(piece) == channels:
        return piece
    return np.repeat(mixed(piece), channels, axis=0)


def clock(seconds: float) -> str:
    """0:07, 1:02:03"""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shown(path: Path) -> str:
    """A file's name, whatever bytes are in it, fit for a screen and for JSON."""
    text = os.fsencode(path).decode(errors="replace")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _look(path: Path) -> bytes:
    """The beginning of what is a file."""
    try:
        if path.is_dir():
            raise UnreadableRecording("it is a folder; name the recordings in it")
        if not path.exists():
            raise UnreadableRecording("there is no such file")
        if not path.is_file():  # a pipe would never end
            raise UnreadableRecording("it is no ordinary file")
        with path.open("rb") as file:
            head = file.read(4096)
    except (OSError, ValueError) as e:
        raise UnreadableRecording(f"it cannot be opened: {_reason(e)}") from e
    if not head:
        raise UnreadableRecording("it is empty")
    return head


@cache
def _options() -> dict[str, str]:
    """Files only, and no format that names other files or addresses."""
    formats = sorted(av.formats_available - _PLAYLISTS)
    return {"protocol_whitelist": "file", "format_whitelist": ",".join(formats)}


def _named(head: bytes) -> str:
    """What a file is that FFmpeg does not take for a recording."""
    for begin, name in _OTHERS:
        if head.lstrip(b"\xef\xbb\xbf").startswith(begin):
            return f"it is {name}, not a recording"
    return "it is damaged, or no recording"


def _reason(e: Exception) -> str:
    return getattr(e, "strerror", None) or str(e)
