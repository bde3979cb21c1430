"""Text to read, subtitles that players take, and names that tell recordings apart."""

import re
import unicodedata
from itertools import pairwise
from pathlib import Path
from unicodedata import normalize

import pytest

from asr.outputs import names, write
from asr.subtitles import CUE_CHARS, cues, plain_text, webvtt
from asr.transcription import TextSegment, Transcription, Word


def said(
    text: str,
    start: float = 0.0,
    end: float = 0.0,
    speaker: str | None = None,
    language: str = "en",
) -> TextSegment:
    """Its words share the time."""
    parts = text.split() if language == "en" else re.findall(r"[a-zA-Z]+|[^a-zA-Z\s]", text)
    each = (end - start) / max(len(parts), 1)
    words = tuple(
        Word(text=part, start=start + i * each, end=start + (i + 1) * each, confidence=0.9)
        for i, part in enumerate(parts)
    )
    return TextSegment(
        start=start,
        end=end,
        speaker=speaker,
        text=text,
        confidence=0.9,
        low_confidence=False,
        words=words,
    )


def heard(*segments: TextSegment, language: str = "en") -> Transcription:
    return Transcription(
        file="a.wav",
        seconds=9,
        language=language,
        model="m",
        compute_type="int8",
        channels="mix",
        speakers=(None,),
        complete=True,
        problems=(),
        dropped_segments=0,
        dropped=(),
        segments=segments,
    )


def test_a_turn_is_a_line_and_a_long_pause_begins_another() -> None:
    found = heard(
        said("I built it.", 0, 1, "Ada"),
        said("It works.", 1.3, 2, "Ada"),
        said("How large?", 2.5, 3, "Bob"),
        said("Seven.", 4, 5, "Ada"),
        said("Or nine.", 8, 9, "Ada"),
    )
    assert plain_text(found) == (
        "Ada: I built it. It works.\nBob: How large?\nAda: Seven.\nAda: Or nine.\n"
    )
    chinese = heard(said("我用", 0, 1), said("Python。", 1, 2), language="zh")
    assert plain_text(chinese) == "我用Python。\n"
    assert plain_text(heard()) == ""


def test_subtitles_have_times_voices_and_no_tag_of_anybodys() -> None:
    found = webvtt(
        heard(
            said("a < b & c --> d", 3599.9996, 3600.5, "Eve <i>"),
            said("Yes.", 3661.25, 3661.25),
        )
    )
    assert found == (
        "WEBVTT\n\n"
        "01:00:00.000 --> 01:00:00.500\n<v Eve &lt;i&gt;>a &lt; b &amp; c --&gt; d\n\n"
        "01:01:01.250 --> 01:01:01.251\nYes.\n"
    )
    assert webvtt(heard()) == "WEBVTT\n"


def test_a_long_piece_is_cut_between_words_where_they_were_said() -> None:
    text = " ".join(f"word{n}," for n in range(30))
    found = list(cues(said(text, 10, 40)))
    assert len(found) > 2
    assert " ".join(cue.text for cue in found) == text
    assert all(len(cue.text) <= CUE_CHARS for cue in found)
    assert (found[0].start, found[-1].end) == (10, 40)
    assert all(a.end <= b.start for a, b in pairwise(found))
    for cue in found[1:]:
        number = int(re.findall(r"\d+", cue.text)[0])
        assert cue.start == pytest.approx(10 + number)


def test_chinese_is_cut_by_its_width_and_keeps_its_letters() -> None:
    text = "我每天使用 Python 做数据分析，" * 6
    found = list(cues(said(text.strip(), 0, 12, language="zh")))
    assert "".join(cue.text for cue in found).replace(" ", "") == text.replace(" ", "")
    widths = [sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in cue.text) for cue in found]
    assert max(widths) <= CUE_CHARS
    assert "使用 Python 做" in found[0].text


def test_words_that_are_not_those_of_the_text_leave_it_whole() -> None:
    odd = said("one two", 0, 1).model_copy(update={"text": "something else"})
    assert [cue.text for cue in cues(odd)] == ["something else"]
    none = odd.model_copy(update={"words": ()})
    assert [(cue.start, cue.end) for cue in cues(none)] == [(0, 1)]


def test_cues_of_two_who_speak_at_once_are_in_order() -> None:
    long = said(" ".join(["wording"] * 40), 0, 10, "Ada")
    found = webvtt(heard(long, said("Yes.", 2, 3, "Bob")))
    starts = re.findall(r"(?m)^(\S+) -->", found)
    assert starts == sorted(starts)


def test_names_are_as_short_as_tells_recordings_apart() -> None:
    def of(*paths: str) -> list[str]:
        return names([Path(path) for path in paths])

    assert of("x/a.wav", "y/b.wav") == ["a", "b"]
    assert of("a.wav", "a.ogg", "c.ogg") == ["a.wav", "a.ogg", "c"]
    assert of("one/interview.ogg", "two/interview.ogg") == ["one-interview", "two-interview"]
    assert of("x/1/a.wav", "y/1/a.wav") == ["x-1-a", "y-1-a"]
    assert of("A.wav", "a.ogg") == ["A.wav", "a.ogg"]
    clash = of("a.wav", "a.ogg", "b/a.wav.flac")
    assert len({name.casefold() for name in clash}) == 3
    assert of() == []


@pytest.mark.parametrize(
    "paths",
    [
        ("/b/x.wav", "/c/x.wav", "/b-x.wav"),
        ("X.wav", "x.wav", "x.ogg"),
        ("caf\u00e9.wav", "cafe\u0301.wav"),  # one letter, or a letter and its accent
        ("a/x.wav", "a-x.wav", "b/x.wav", "a-x.ogg"),
    ],
)
def test_no_two_recordings_have_transcripts_of_one_name(paths: tuple[str, ...]) -> None:
    found = names([Path(path) for path in paths])
    assert len({normalize("NFC", name).casefold() for name in found}) == len(paths)
    assert found == names([Path(path) for path in reversed(paths)])[::-1]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write(target, "第一")
    assert target.read_text(encoding="utf-8") == "第一"
    with pytest.raises(UnicodeEncodeError):
        write(target, "half \ud800")
    assert target.read_text(encoding="utf-8") == "第一"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]
