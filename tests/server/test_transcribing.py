"""One recording of several goes wrong: it is named, and the rest are written."""

import logging
import os
from pathlib import Path

import pytest

from asr.files import Progress
from asr.transcription import TextSegment, Transcription
from server.transcribing import Request, Work, named_once


class Transcriber:
    """Hears "Yes." in every recording, but for one named bad."""

    async def transcribe(self, path: Path, _progress: Progress | None = None) -> Transcription:
        if path.stem == "bad":
            raise RuntimeError("nobody thought of it")
        yes = TextSegment(
            start=0, end=1, speaker=None, text="Yes.", confidence=1, low_confidence=False, words=()
        )
        return Transcription(
            file=str(path),
            seconds=1,
            language="en",
            model="script",
            compute_type=None,
            channels="mix",
            speakers=(None,),
            complete=True,
            problems=(),
            dropped_segments=0,
            dropped=(),
            segments=(yes,),
        )


async def test_a_fault_that_nobody_thought_of_costs_one_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = tmp_path / "bad.wav", tmp_path / "good.wav"
    work = Work(Request((bad, good), ("txt",), tmp_path), write=print)
    with caplog.at_level(logging.ERROR):
        await work.run(Transcriber())  # type: ignore[arg-type]
    assert "bad.wav: something unexpected went wrong: RuntimeError: nobody thought of it." in (
        capsys.readouterr().err
    )
    assert "Traceback" in caplog.text  # for who mends it
    assert (work.outcome.done, work.outcome.failed) == ([good], [bad])
    assert (tmp_path / "good.txt").read_text() == "Yes.\n"


async def test_a_transcript_that_cannot_be_written_is_named_and_the_rest_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").mkdir()
    a, b = tmp_path / "a.wav", tmp_path / "b.wav"
    work = Work(Request((a, b), ("txt",), tmp_path, force=True), write=print)
    await work.run(Transcriber())  # type: ignore[arg-type]
    assert "a.wav: its transcript cannot be written: Is a directory." in capsys.readouterr().err
    assert (work.outcome.done, work.outcome.failed) == ([b], [a])
    assert (tmp_path / "b.txt").read_text() == "Yes.\n"
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt"]


async def test_a_name_too_long_for_a_transcript_is_told_first_and_the_rest_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long, longest, good = (tmp_path / f"{'n' * n}.wav" for n in (251, 250, 2))
    work = Work(Request((long, longest, good), ("txt", "json"), tmp_path), write=print)
    assert work.left == 2
    assert f"{long}: its transcript cannot be written: File name too long." in (
        capsys.readouterr().err
    )
    await work.run(Transcriber())  # type: ignore[arg-type]
    assert (work.outcome.done, work.outcome.failed) == ([longest, good], [long])
    assert len(os.listdir(tmp_path)) == 4


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("link", ["itself", "hard link", "symbolic link", "linked folder"])
async def test_a_transcript_takes_no_recordings_place_and_the_rest_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], link: str, force: bool
) -> None:
    sound, out = tmp_path / "sound", tmp_path / "out"
    sound.mkdir()
    (recording := sound / "talk.txt").write_bytes(b"what was said")
    match link:
        case "itself":
            out = sound
        case "linked folder":
            out.symlink_to(sound)
        case _:
            out.mkdir()
            made = out / "talk.txt"
            made.hardlink_to(recording) if link == "hard link" else made.symlink_to(recording)
    request = Request((recording, sound / "b.wav"), ("txt", "json"), out, force)
    work = Work(request, write=print)
    await work.run(Transcriber())  # type: ignore[arg-type]
    assert (
        f"{recording}: its transcript would overwrite {out / 'talk.txt'}, which is one of these"
        " recordings; name another folder as --out." in capsys.readouterr().err
    )
    assert recording.read_bytes() == (out / "talk.txt").read_bytes() == b"what was said"
    assert (work.outcome.done, work.outcome.failed) == ([sound / "b.wav"], [recording])
    assert sorted({*os.listdir(out)} - {"talk.txt"}) == ["b.json", "b.txt"]


async def test_a_transcript_takes_no_other_recordings_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    talk, other, there = (tmp_path / name for name in ("talk.wav", "other.wav", "talk.json"))
    other.write_bytes(b"what was said")
    there.hardlink_to(other)
    work = Work(Request((talk, other), ("json",), tmp_path, force=True), write=print)
    await work.run(Transcriber())  # type: ignore[arg-type]
    assert f"{talk}: its transcript would overwrite {there}" in capsys.readouterr().err
    assert there.read_bytes() == b"what was said"
    assert (work.outcome.done, work.outcome.failed) == ([other], [talk])


async def test_a_reader_that_has_gone_ends_the_work_as_of_any_other_command(
    tmp_path: Path,
) -> None:
    def gone(_text: str) -> None:
        raise BrokenPipeError

    work = Work(Request((tmp_path / "a.wav", tmp_path / "b.wav"), ("txt",), None), write=gone)
    with pytest.raises(BrokenPipeError):
        await work.run(Transcriber())  # type: ignore[arg-type]


def test_a_recording_that_is_named_again_keeps_its_first_place(tmp_path: Path) -> None:
    a, b = tmp_path / "a.wav", tmp_path / "b.wav"
    assert named_once([a, b, a]) == (a, b)
