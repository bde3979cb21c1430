"""The process of a local neural voice: how it starts, how it fails, and what it tells of that."""

import asyncio
import importlib.util
import logging
import sys
from pathlib import Path

import onnx
import pytest
import tiny_voices

from tts.errors import NeuralError
from tts.neural_child import AUDIO, END, ERROR, HEADER, READY
from tts.neural_folder import find
from tts.neural_models import VoiceUnusable
from tts.neural_process import Clause, Loaded, NeuralProcess

HELLO = Clause("Hello.", "həlˈoʊ.")


async def heard(process: NeuralProcess, clause: Clause = HELLO) -> int:
    return sum([len(pcm) // 2 async for pcm in process.speak(clause)])


async def test_the_model_is_loaded_once_and_says_what_it_is(tmp_path: Path) -> None:
    process = NeuralProcess(find(tiny_voices.piper(tmp_path / "p", speakers=4)), threads=1)
    loaded = await asyncio.gather(process.start(), process.start())
    assert loaded == [Loaded(tiny_voices.RATE, 4)] * 2
    pid = process.pid
    assert await heard(process) == tiny_voices.piper_samples("həlˈoʊ.")
    assert process.pid == pid
    await process.aclose()
    assert process.pid is None


async def test_a_broken_folder_is_an_error_that_says_why(tmp_path: Path) -> None:
    """sherpa-onnx ends its process over the first and the third of these."""
    bare = tiny_voices.piper(tmp_path / "bare")
    model = onnx.load(str(bare / "voice.onnx"))
    del model.metadata_props[:]
    onnx.save(model, str(bare / "voice.onnx"))
    garbage = tiny_voices.piper(tmp_path / "garbage")
    (garbage / "voice.onnx").write_bytes(b"<html>not found</html>")
    tokens = tiny_voices.piper(tmp_path / "tokens")
    (tokens / "tokens.txt").write_text("abc def ghi\n")
    for folder, reason in (
        (bare, "'sample_rate' does not exist"),
        (garbage, "Protobuf parsing failed"),
        (tokens, "Error when reading tokens"),
    ):
        process = NeuralProcess(find(folder), threads=1)
        with pytest.raises(NeuralError, match=reason):
            await process.start()
        await process.aclose()


async def test_closing_while_it_loads_leaves_no_process(tmp_path: Path) -> None:
    process = NeuralProcess(find(tiny_voices.piper(tmp_path / "p")), threads=1)
    start = asyncio.create_task(process.start())
    await asyncio.sleep(0)
    await process.aclose()
    with pytest.raises((NeuralError, asyncio.CancelledError)):
        await start
    assert process.pid is None
    with pytest.raises(NeuralError, match="closed"):
        await process.start()


async def test_who_does_not_wait_leaves_it_loading(tmp_path: Path) -> None:
    process = NeuralProcess(find(tiny_voices.piper(tmp_path / "p")), threads=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await process.start()
    assert await heard(process) > 0
    await process.aclose()


async def test_a_process_that_hangs_is_given_up_and_loaded_again(tmp_path: Path) -> None:
    """A stand-in that answers nothing, then one that speaks: which of them, a file tells."""
    ready = HEADER.pack(0, READY, 37) + b'{"sample_rate": 22050, "speakers": 1}'
    answer = HEADER.pack(2, AUDIO, 4) + b"\1\1\1\1" + HEADER.pack(2, END, 0)
    flag = tmp_path / "was-here"
    program = (
        f"import sys, pathlib; sys.stdout.buffer.write({ready!r}); sys.stdout.flush()\n"
        f"again = pathlib.Path({str(flag)!r}).exists(); pathlib.Path({str(flag)!r}).touch()\n"
        "for line in sys.stdin:\n"
        "    if again and 'text' in line:\n"
        f"        sys.stdout.buffer.write({answer!r})\n"
        "        sys.stdout.flush()\n"
    )
    process = NeuralProcess(
        find(tiny_voices.piper(tmp_path / "p")),
        command=[sys.executable, "-c", program],
        stall_timeout_s=0.5,
    )
    with pytest.raises(NeuralError, match="does not answer"):
        await heard(process)
    assert flag.exists()
    assert await heard(process) == 2
    await process.aclose()


async def test_a_death_that_two_notice_loads_one_process_again(tmp_path: Path) -> None:
    """Whoever speaks notices it, and whoever begins to; the second must not lose the new one."""
    process = NeuralProcess(find(tiny_voices.piper(tmp_path / "p")), threads=1)
    await process.start()
    dead, before = process._child, process.pid
    assert dead is not None
    await process._give_up(dead)
    await process.start()
    loaded = process.pid
    await process._give_up(dead)
    assert process.pid == loaded != before
    assert await heard(process) > 0
    await process.aclose()


async def test_an_error_of_one_clause_is_not_one_of_the_next(tmp_path: Path) -> None:
    folder = tiny_voices.piper(tmp_path / "p", fault="breaks_at_exclamation")
    process = NeuralProcess(find(folder), threads=1)
    with pytest.raises(NeuralError, match="out of data bounds"):
        await heard(process, Clause("Hello!", "həlˈoʊ!"))
    assert await heard(process) > 0
    await process.aclose()


async def test_the_words_spoken_reach_no_log_above_debug(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    process = NeuralProcess(find(tiny_voices.piper(tmp_path / "p")), threads=1)
    assert (
        await heard(process, Clause("a secret", "")) == 0
    )  # sherpa-onnx complains, and repeats it
    await process.aclose()
    assert "secret" not in caplog.text + "".join(capfd.readouterr())


def test_without_its_library_the_reason_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VoiceUnusable, match="pip install"):
        NeuralProcess(find(tiny_voices.piper(tmp_path / "p")))


def test_both_processes_speak_one_protocol() -> None:
    from tts import espeak_child

    ours = (HEADER.format, READY, AUDIO, END, ERROR)
    theirs = espeak_child
    assert ours == (theirs.HEADER.format, theirs.READY, theirs.AUDIO, theirs.END, theirs.ERROR)
