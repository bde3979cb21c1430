"""The command line speaks in sentences and leaves the right exit code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.main import get_command

from agent import planfile
from server import cli, doctor, wiring
from server.settings import Settings
from tests.asr.recordings import encrypted, save, tone
from tests.asr.speech import answer

ROOT = Path(__file__).parents[2]
PLAN = ROOT / "prompts" / "plans" / "rehearsal_en.yaml"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Run]:
    """`viva …` in this process, with a data folder of its own: exit code, output, errors."""
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path / "data"))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def viva(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["viva", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), out, err

    yield viva
    root.handlers[:], root.level = handlers, level


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from server.cli import app; app(['--help'], standalone_mode=False);"
        "heavy = {'fastapi', 'sqlalchemy', 'livekit', 'openai', 'numpy', 'ctranslate2', 'aiortc'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.rstrip().endswith("[]")
    named = "serve rehearse transcribe invite password plan report models backup doctor"
    for command in named.split():
        assert f"  {command} " in done.stdout


def commands() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    def walk(name: str, command: object) -> Iterator[tuple[str, typer.core.TyperCommand]]:
        if isinstance(command, typer.core.TyperGroup):
            for sub, found in command.commands.items():
                yield from walk(f"{name} {sub}".strip(), found)
        elif isinstance(command, typer.core.TyperCommand):
            yield name, command

    return walk("", get_command(cli.app))


def test_every_command_and_option_is_described_in_help_and_docs() -> None:
    docs = "".join((ROOT / "docs" / name).read_text() for name in ("operations.md", "settings.md"))
    for name, command in commands():
        assert f"viva {name}" in docs, name
        assert command.help, name
        for parameter in command.params:
            option = max(parameter.opts, key=len)
            if not option.startswith("--") or option == "--help":
                continue
            assert getattr(parameter, "help", None), f"{name} {option}"
            setting = f"VIVA_{option[2:].upper().replace('-', '_')}"
            assert option in docs or f"`{setting}`" in docs, f"{name} {option}"


def test_the_options_of_serve_are_settings() -> None:
    serve = dict(commands())["serve"]
    names = {parameter.name for parameter in serve.params} - {"plan"}
    assert names <= set(Settings.model_fields)
    without_option = set(Settings.model_fields) - names
    assert {"api_key", "model_api_key", "turn_password", "turn_secret"} <= without_option


def test_serve_without_a_speech_model_says_how_to_get_one(run: Run) -> None:
    code, _, err = run("serve", "--port", "0", "--asr-model", "small")
    assert code == 1
    assert "viva models fetch small" in err
    assert "never downloads" in err
    assert "Traceback" not in err


def test_serve_on_an_occupied_port_says_so(run: Run) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, _, err = run("serve", "--port", str(port), "--asr-model", "rehearsal")
    assert code == 1
    assert f"Port {port} on 127.0.0.1 cannot be used" in err
    assert "--port" in err


def test_serve_with_a_folder_that_cannot_be_written_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = run("serve", "--data-dir", tmp_path / "file" / "data")
    assert code == 1
    assert "cannot be written" in err and "--data-dir" in err


def test_serve_with_a_bad_plan_names_the_line(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(PLAN.read_text().replace("level: mid", "level: wizard"))
    code, _, err = run("serve", "--plan", bad, "--asr-model", "rehearsal")
    assert code == 1
    assert re.search(r"bad\.yaml:\d+: job › level", err)


def test_serve_with_a_bad_certificate_says_so(run: Run, tmp_path: Path) -> None:
    for name in ("cert", "key"):
        (tmp_path / name).write_text("no PEM")
    given = ("--tls-cert", tmp_path / "cert", "--tls-key", tmp_path / "key")
    code, _, err = run("serve", "--port", "0", *given)
    assert code == 1
    assert "certificate" in err


@pytest.mark.parametrize("setting", ["VIVA_VOICE_EN", "VIVA_VOICE_ZH"])
def test_serve_refuses_a_name_that_is_no_voices(
    run: Run, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setattr(wiring, "serve", lambda settings: None)
    monkeypatch.setenv(setting, "Emma")
    given = ("--port", "0", "--asr-model", "rehearsal")
    code, _, err = run("serve", *given)
    assert code == 1
    assert f"{setting} is 'Emma'" in err
    assert run("serve", *given, "--voice", "espeak")[0] == 0  # nobody asks for that voice


def test_serve_says_where_the_new_key_is_and_starts(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[Settings] = []
    monkeypatch.setattr(wiring, "serve", started.append)
    given = ("--port", "0", "--asr-model", "rehearsal", "--privacy", "local", "--plan", PLAN)
    code, _, err = run("serve", *given, "--media-ports", "40000-40010")
    assert code == 0, err
    assert f"A new API key was made: it stands in {tmp_path / 'data' / 'api_key'}" in err
    assert "Plan rehearsal_en 1 is ready" in err
    assert started[0].media_ports == (40000, 40010)
    assert started[0].privacy == "local"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--port", "99999"), "VIVA_PORT is 99999"),
        (("--privacy", "maybe"), "VIVA_PRIVACY is 'maybe'"),
        (("--media-ports", "x"), "write a port range as A-B"),
        (("--nonsense",), "No such option"),
        (("--port", "http"), "valid integer"),
    ],
)
def test_what_was_typed_wrongly_leaves_code_2(run: Run, given: tuple[str, ...], said: str) -> None:
    code, _, err = run("serve", *given)
    assert code == 2
    assert said in err


def test_an_invite_is_a_link_and_its_interview_exists(run: Run) -> None:
    code, out, err = run("invite", PLAN, "--name", "Ada", "--public-url", "https://jobs.example")
    assert code == 0
    assert re.fullmatch(r"https://jobs\.example/call/[\w-]{43}\n", out)
    assert "good until" in err
    code, out, _ = run("invite", PLAN, "--json", "--extra-time", "--days", "1")
    assert code == 0
    assert set(json.loads(out)) == {"interview_id", "token", "url", "expires_at"}
    code, _, err = run("invite", PLAN.with_name("nothing.yaml"))
    assert (code, "cannot be read" in err) == (1, True)


async def test_an_invite_says_where_no_server_answers_at_its_address(
    run: Run, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`viva serve --port` of another terminal is not known to it."""
    monkeypatch.setenv("VIVA_HOST", "127.0.0.1")
    monkeypatch.setenv("VIVA_PORT", url.partition(":")[2])
    assert "answers" not in (await asyncio.to_thread(run, "invite", PLAN))[2]
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("VIVA_PORT", str(nobody.getsockname()[1]))
        code, out, err = await asyncio.to_thread(run, "invite", PLAN)
        assert (code, out.count("/call/")) == (0, 1)
        assert f"No Viva server answers at {out.partition('/call/')[0]} now" in err
        assert "VIVA_PORT" in err
        elsewhere = ("--public-url", "https://jobs.example")
        assert "answers" not in (await asyncio.to_thread(run, "invite", PLAN, *elsewhere))[2]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("VIVA_HOST", "10.0.0.7", "at http://10.0.0.7:8080 browsers give no microphone"),
        ("VIVA_HOST", "0.0.0.0", "no browser can open 0.0.0.0"),
        ("VIVA_PORT", "0", "port 0"),
        ("VIVA_PUBLIC_URL", "http://jobs.example", "VIVA_TLS_CERT"),
    ],
)
def test_no_link_is_made_where_no_browser_has_a_microphone(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    code, out, err = run("invite", PLAN)
    assert (code, out) == (2, "")
    assert said in err and "VIVA_PUBLIC_URL" in err
    assert not Path(os.environ["VIVA_DATA_DIR"]).exists()


def test_plans_are_checked_shown_and_described(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("plan", "check", *PLAN.parent.glob("*.yaml"))
    assert code == 0
    assert out.count("good.") == len(list(PLAN.parent.glob("*.yaml")))
    bad = tmp_path / "bad.yaml"
    bad.write_text("plan_id: [")
    code, out, err = run("plan", "check", PLAN, bad)
    assert (code, "good." in out, "bad.yaml:" in err) == (1, True, True)
    assert json.loads(run("plan", "schema")[1])["title"] == "Plan"
    assert "Hash: " in run("plan", "show", PLAN)[1]
    assert json.loads(run("report", "schema")[1])["$id"].startswith("urn:viva:report")


def test_questions_are_counted_as_the_candidate_is_told_of_them(run: Run, tmp_path: Path) -> None:
    worked = PLAN.with_name("backend_engineer_en.yaml")
    assert "(en), 5 questions and one for practice, 40 minutes." in run("plan", "check", worked)[1]
    whole = planfile.load(worked)
    stages = tuple(stage for stage in whole.stages if stage.kind != "practice")
    alone = tmp_path / "plan.json"
    alone.write_text(whole.model_copy(update={"stages": stages}).model_dump_json())
    assert "(en), 5 questions, 40 minutes." in run("plan", "check", alone)[1]


def test_consent_texts_that_no_telephone_has_time_for_are_warned_of(
    run: Run, tmp_path: Path
) -> None:
    short = planfile.load(PLAN.with_name("backend_engineer_zh.yaml"))
    consent = short.policy.consent.model_copy(update={"text": "我同意接受面试。" * 200})
    policy = short.policy.model_copy(update={"consent": consent})
    long = tmp_path / "plan.json"
    long.write_text(short.model_copy(update={"policy": policy}).model_dump_json())
    code, out, err = run("plan", "check", long)
    assert (code, "good." in out) == (0, True)
    assert re.search(r"disclosure and the consent text would take some 4\d\d seconds", err)
    assert "recording" not in err
    assert run("plan", "check", PLAN)[2] == ""


def test_a_report_that_is_not_there_is_said(run: Run, tmp_path: Path) -> None:
    code, _, err = run("report", "show", "nobody")
    assert (code, "no database" in err) == (1, True)
    made = json.loads(run("invite", PLAN, "--json")[1])
    code, _, err = run("report", "show", made["interview_id"])
    assert (code, "no such report yet" in err) == (1, True)
    code, _, err = run("report", "show", "nobody")
    assert (code, "no interview nobody" in err) == (1, True)
    other = tmp_path / "other.json"
    other.write_text("{}")
    code, _, err = run("report", "show", other)
    assert (code, "no report of this version" in err) == (1, True)


def test_a_backup_is_made_once(run: Run, tmp_path: Path) -> None:
    run("invite", PLAN)
    code, out, _ = run("backup", tmp_path / "copy")
    assert code == 0
    assert out.splitlines() == [str(tmp_path / "copy" / "viva.sqlite3")]
    code, _, err = run("backup", tmp_path / "copy")
    assert (code, "not empty" in err) == (1, True)


def test_the_doctor_goes_on_where_settings_do_not_fit(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined: list[tuple[object, ...]] = []

    async def examine(*given: object) -> list[doctor.Finding]:
        examined.append(given)
        return [doctor.Finding("settings", "bad", "They do not fit.")]

    monkeypatch.setattr(doctor, "examine", examine)
    monkeypatch.setenv("VIVA_TLS_CERT", "cert.pem")
    code, out, err = run("doctor")
    assert (code, out) == (1, "bad  settings: They do not fit.\n")
    assert "1 of 1 checks failed" in err
    [(_, faults, left_out)] = examined
    assert "tls_cert and tls_key belong together" in str(faults)
    assert left_out == {"tls_cert", "tls_key"}


def test_models_are_listed_without_asking_anyone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data" / "models" / "small").mkdir(parents=True)
    code, out, _ = run("models", "list")
    assert code == 0
    listed = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert listed["tiny"] == "not here"
    assert listed["small"].startswith("damaged")
    assert listed["rehearsal"].startswith("here")
    code, _, err = run("models", "fetch", "nonsense")
    assert (code, "no model 'nonsense'" in err) == (1, True)


def test_an_unexpected_error_is_a_sentence_and_with_debug_a_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(settings: Settings) -> None:
        raise ZeroDivisionError("of the wiring")

    monkeypatch.setattr(wiring, "serve", broken)
    given = ("serve", "--port", "0", "--asr-model", "rehearsal", "--privacy", "local")
    code, _, err = run(*given)
    assert code == 1
    assert "ZeroDivisionError: of the wiring" in err and "--debug" in err
    monkeypatch.setattr(sys, "argv", ["viva", *given, "--debug"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_an_invite_to_an_installation_with_stand_ins_is_to_a_rehearsal(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run("invite", PLAN)[0] == 0
    monkeypatch.setenv("VIVA_ASR_MODEL", "rehearsal")
    assert run("invite", PLAN)[0] == 0
    with closing(sqlite3.connect(tmp_path / "data" / "viva.sqlite3")) as database:
        found = database.execute("SELECT rehearsal FROM interviews ORDER BY created_at").fetchall()
    assert found == [(0,), (1,)]


HEARS = ("--asr-model", "rehearsal")
SAID = "I led a team of seven engineers."


def test_a_recording_is_read_to_the_screen(run: Run, tmp_path: Path) -> None:
    path = save(tmp_path / "a.ogg", answer(0.5, SAID, 0.5))
    assert run("transcribe", path, *HEARS) == (0, f"{SAID}\n", "")
    code, out, _ = run("transcribe", path, *HEARS, "--format", "json")
    assert (code, json.loads(out)["segments"][0]["text"]) == (0, SAID)
    code, out, _ = run("transcribe", path, *HEARS, "--format", "vtt", "--speakers", "Ada")
    assert out.startswith("WEBVTT\n\n00:00:00.") and out.endswith(f"<v Ada>{SAID}\n")
    assert not (tmp_path / "data").exists()


def test_what_cannot_be_read_is_named_and_the_rest_go_on(run: Run, tmp_path: Path) -> None:
    good = save(tmp_path / "good.flac", answer(0.5, SAID, 0.5))
    (tmp_path / "empty.wav").touch()
    (tmp_path / "zip.wav").write_bytes(b"PK\x03\x04" + bytes(500))
    (tmp_path / "damaged.mp3").write_bytes(b"\xff\xfb" * 40)
    encrypted(tmp_path / "locked.mp4", tone(2))
    names = ("empty.wav", "zip.wav", "damaged.mp3", "locked.mp4", "missing.wav", "folder")
    (tmp_path / "folder").mkdir()
    given = [tmp_path / name for name in names]
    out = tmp_path / "texts"
    code, _, err = run("transcribe", *given, good, *HEARS, "--out", out, "--format", "txt,json,vtt")
    assert code == 1
    for name in names:
        assert err.count(f"{name}: it is") + err.count(f"{name}: there is no such file") == 1, err
    assert "6 of 7 recordings" in err
    assert sorted(one.name for one in out.iterdir()) == ["good.json", "good.txt", "good.vtt"]
    assert (out / "good.txt").read_text() == f"{SAID}\n"


def test_a_recording_that_is_cut_short_is_transcribed_and_leaves_code_1(
    run: Run, tmp_path: Path
) -> None:
    whole = save(tmp_path / "a.wav", answer(0.5, SAID, 4.0)).read_bytes()
    (tmp_path / "b.wav").write_bytes(whole[: len(whole) * 3 // 4])
    code, out, err = run("transcribe", tmp_path / "b.wav", *HEARS)
    assert (code, out) == (1, f"{SAID}\n")
    assert "cut short" in err


def test_names_are_the_channels_or_the_recording_is_named_with_both_numbers(
    run: Run, tmp_path: Path
) -> None:
    one = save(tmp_path / "one.wav", answer(0.5, SAID, 0.5))
    two = save(tmp_path / "two.wav", *[answer(0.5, SAID, 0.5)] * 2)
    code, out, err = run("transcribe", one, two, *HEARS, "--speakers", "Ada,Bob")
    assert code == 1
    assert "one.wav: it has 1 channel, for 2 named speakers" in err
    assert out == f"{two}\nAda: {SAID}\nBob: {SAID}\n\n"


def test_a_transcript_that_is_there_stays_unless_forced(run: Run, tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", answer(0.5, SAID, 0.5))
    given = ("transcribe", path, *HEARS, "--out", tmp_path, "--format")
    (tmp_path / "a.txt").write_text("mine")
    code, _, err = run(*given, "txt")
    assert (code, "--force" in err) == (0, True)
    code, _, err = run(*given, "txt,vtt")  # what is missing is written
    assert (code, "a.txt is there already" in err) == (0, True)
    assert (tmp_path / "a.vtt").exists()
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert run(*given, "txt", "--force")[0] == 0
    assert (tmp_path / "a.txt").read_text() == f"{SAID}\n"


def test_several_recordings_come_in_the_order_in_which_they_were_named(
    run: Run, tmp_path: Path
) -> None:
    long = save(tmp_path / "long.wav", answer(0.5, *[SAID, 0.5] * 5))
    short = save(tmp_path / "short.wav", answer(0.5, SAID, 0.5))
    nothing = save(tmp_path / "nothing.wav", tone(1))
    code, out, err = run("transcribe", long, nothing, short, short, *HEARS)
    assert code == 0
    assert [line for line in out.splitlines() if line.endswith(".wav")] == [
        *map(str, (long, nothing, short))
    ]
    assert "nothing.wav: 0:01 of sound, no speech" in err
    code, out, _ = run("transcribe", long, short, *HEARS, "--format", "json")
    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(long), str(short)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--format", "pdf"), "txt, json or vtt"),
        (("--format", ""), "txt, json or vtt"),
        (("--format", "txt,vtt"), "need a folder"),
        (("--channels", "left"), "split, mix or auto"),
        (("--channels", "mix", "--speakers", "Ada,Bob"), "one name at most"),
        (("--asr-device", "tpu"), "VIVA_ASR_DEVICE is 'tpu'"),
    ],
)
def test_what_was_asked_wrongly_of_transcribe_leaves_code_2(
    run: Run, given: tuple[str, ...], said: str
) -> None:
    code, _, err = run("transcribe", "a.wav", *given)
    assert code == 2
    assert said in err


def test_transcribe_without_a_model_or_a_language_it_knows_says_so(
    run: Run, tmp_path: Path
) -> None:
    path = save(tmp_path / "a.wav", tone(1))
    code, _, err = run("transcribe", path, "--asr-model", "small")
    assert (code, "viva models fetch small" in err) == (1, True)
    code, _, err = run("transcribe", path, *HEARS, "--language", "xx")
    assert (code, "does not know the language 'xx'" in err) == (1, True)
    (tmp_path / "file").touch()
    code, _, err = run("transcribe", path, *HEARS, "--out", tmp_path / "file")
    assert (code, "File exists" in err) == (1, True)


def viva(*arguments: str | Path) -> list[str]:
    code = (
        "import atexit, sys; from server.cli import main;"
        "atexit.register(lambda: print(*(m for m in sys.modules if m.startswith('livekit'))));"
        "main()"
    )
    return [sys.executable, "-c", code, *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"}


def test_transcribe_loads_nothing_of_livekit_and_shows_a_bar_on_a_terminal(tmp_path: Path) -> None:
    """LiveKit's licence allows its models inside an AgentSession only."""
    path = save(tmp_path / "[a] talk.wav", answer(0.5, *[SAID, 0.5] * 10))
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        child = subprocess.Popen(
            viva("transcribe", path, *HEARS),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # Linux's way to say that nobody writes any more
            while piece := screen.read(4096):
                shown += piece
        out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert out.decode() == f"{' '.join([SAID] * 10)}\n\n"  # and no module
    assert "[a] talk.wav" in shown.decode()
    assert "%" in shown.decode()


def test_ctrl_c_leaves_what_is_done_and_says_so(tmp_path: Path) -> None:
    short = save(tmp_path / "short.wav", answer(0.5, SAID, 0.5))
    long = save(tmp_path / "long.flac", np.tile(answer(0.5, SAID, 0.5), 400))
    out = tmp_path / "out"
    child = subprocess.Popen(
        viva("transcribe", short, long, *HEARS, "--out", out),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that started these tests in the background ignores it, and a child inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert child.stderr is not None
    assert "short.wav: 0:0" in child.stderr.readline()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Stopped: 1 of 2 recordings transcribed" in err
    assert "Traceback" not in err
    assert [one.name for one in out.iterdir()] == ["short.txt"]
