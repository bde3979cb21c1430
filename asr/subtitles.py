"""A transcription as plain text and as WebVTT. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from asr.emission import join
from asr.transcription import TextSegment, Transcription

PARAGRAPH_S = 2.0
"""A longer pause begins a new paragraph."""
CUE_CHARS = 84
"""Two lines of the 42 letters that subtitlers allow; full-width letters count twice."""
SHORTEST_S = 0.001


@dataclass(frozen=True)
class Cue:
    start: float
    end: float
    speaker: str | None
    text: str


def plain_text(transcription: Transcription) -> str:
    """A line for each turn, or each stretch without a long pause; names where they are known."""
    paragraphs: list[list[TextSegment]] = []
    for segment in transcription.segments:
        last = paragraphs[-1][-1] if paragraphs else None
        if (
            last is None
            or last.speaker != segment.speaker
            or segment.start - last.end > PARAGRAPH_S
        ):
            paragraphs.append([])
        paragraphs[-1].append(segment)
    return "".join(f"{_line(one, transcription.language)}\n" for one in paragraphs)


def webvtt(transcription: Transcription) -> str:
    found = [cue for segment in transcription.segments for cue in cues(segment)]
    blocks = ["WEBVTT"]
    for cue in sorted(found, key=lambda one: one.start):
        voice = f"<v {_escaped(cue.speaker)}>" if cue.speaker else ""
        end = max(cue.end, cue.start + SHORTEST_S)
        blocks.append(f"{_time(cue.start)} --> {_time(end)}\n{voice}{_escaped(cue.text)}")
    return "\n\n".join(blocks) + "\n"


def cues(segment: TextSegment) -> Iterator[Cue]:
    """The segment, in parts short enough to be read, cut between words."""
    parts = _parts(segment)
    if parts is None:
        yield Cue(segment.start, segment.end, segment.speaker, segment.text)
        return
    start, text, end = segment.start, "", segment.start
    for word_start, word_end, piece in parts:
        if text and _width(text + piece.rstrip()) > CUE_CHARS:
            yield Cue(start, end, segment.speaker, text.strip())
            start, text = word_start, ""
        text, end = text + piece, word_end
    yield Cue(start, segment.end, segment.speaker, text.strip())


def _parts(segment: TextSegment) -> list[tuple[float, float, str]] | None:
    """Each word's times and its part of the text, with the space after it; None if the words are
    not those of the text."""
    begins, at = [], 0
    for word in segment.words:
        at = segment.text.find(word.text, at)
        if at < 0:
            return None
        begins.append(at)
        at += len(word.text)
    if not begins:
        return None
    bounds = [0, *begins[1:], len(segment.text)]
    return [
        (word.start, word.end, segment.text[bounds[i] : bounds[i + 1]])
        for i, word in enumerate(segment.words)
    ]


def _line(segments: list[TextSegment], language: str) -> str:
    text = join([one.text for one in segments], language)
    speaker = segments[0].speaker
    return f"{speaker}: {text}" if speaker else text


def _width(text: str) -> int:
    return sum(2 if ord(letter) >= 0x1100 else 1 for letter in text)


def _time(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


def _escaped(text: str) -> str:
    """As WebVTT wants it: no tag, no arrow, no line that ends a cue."""
    flat = " ".join(text.split())
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
