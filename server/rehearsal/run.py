"""A rehearsal from start to finish: servers up, an interview held, what it left checked, all down.

The server is the real one, a process of its own with settings as an operator gives them. Stand-ins
are the candidate, the recogniser's weights and, unless a URL is given, the model.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console

import prompts
from agent import planfile
from agent.plan import Language, Plan
from server.hosts import of_url
from server.phone.softphone.impairment import CLEAN, Impairment
from server.rehearsal import answers, check, evidence, figures, model
from server.rehearsal.candidate import Candidate
from server.rehearsal.candidates import built_in
from server.rehearsal.client import Guest, Invitation, Operator
from server.rehearsal.floor import Floor
from server.rehearsal.legs import Connect, in_browser
from server.rehearsal.notebook import Notebook, read
from server.rehearsal.phone import possible
from server.rehearsal.phone.caller import Caller
from server.rehearsal.phone.stage import SERVER, Stage, StageFailed, stage
from server.rehearsal.processes import ServerFailed, ServerProcess, free_port
from server.rehearsal.script import (
    NEEDS_STAND_IN,
    Performance,
    Script,
    UnknownQuestion,
    WrongWay,
    check_way,
    for_plan,
)
from server.rehearsal.view import View
from server.rehearsal.voicebox import Voicebox

REPORT_WITHIN_S = 60.0
HELD_WITHIN_S = 900.0
NAME = "Synthetic Candidate"


@dataclass(frozen=True)
class Options:
    """What `viva rehearse` can be asked for."""

    plan: Path | None = None
    answers: Path | None = None
    lang: Language = "en"
    out: Path = Path("out/rehearsal")
    seed: int = 0
    model: str | None = None
    """The base URL of a real model; None: the stand-in."""
    model_name: str | None = None
    recording: bool = True
    text: bool = False
    """Type everything: no WebRTC."""
    phone: bool = False
    """Call by telephone, through a registrar and the gateway."""
    line: Impairment = CLEAN
    """What the telephone's does to packets, each way."""
    data_dir: Path | None = None
    """Where the server keeps its data; None: a folder that is gone afterwards."""


@dataclass(frozen=True)
class Cast:
    """The plan and who answers it."""

    plan: Plan
    script: Script
    by_text: bool
    strict: bool
    """Plan, script and model are those made for one another."""


def main(options: Options) -> int:
    """Hold a rehearsal and say how it went; 0 if every rule of `check` holds."""
    console = Console()
    if options.phone and (reason := possible.why_not()):
        console.print(reason, markup=False, soft_wrap=True)
        return 2
    try:
        parts = cast(options)
    except (planfile.PlanError, answers.BadAnswers, UnknownQuestion, WrongWay) as error:
        console.print(str(error), markup=False)
        return 2
    if options.phone:
        possible.enter()
    try:
        return asyncio.run(_until_stopped(options, parts, console))
    except KeyboardInterrupt:
        console.print("Stopped; everything that was started is down again.")
        return 130
    except ServerFailed as error:
        console.print(f"The server did not come up. {error}", markup=False)
        return 1
    except StageFailed as error:
        console.print(str(error), markup=False)
        return 1


def cast(options: Options) -> Cast:
    plan = _plan(options)
    own = options.plan is None and options.answers is None
    script = for_plan(
        built_in(plan, options.seed, by_telephone=options.phone)
        if options.answers is None
        else answers.load(options.answers),
        plan,
    )
    if options.phone and plan.language == "zh":
        raise WrongWay("the rehearsal's recogniser knows English only: no Chinese by telephone")
    check_way(script, by_telephone=options.phone)
    by_text = options.text or plan.language == "zh"
    script = script.without_voice() if by_text else script
    if options.model is not None:
        kept = tuple(demand for demand in script.demands if demand not in NEEDS_STAND_IN)
        script = script.model_copy(update={"demands": kept})
    return Cast(plan, script, by_text, strict=own and options.model is None)


def _plan(options: Options) -> Plan:
    if options.plan is not None:
        return planfile.load(options.plan)
    return shipped_plan(f"rehearsal_{options.lang}.yaml")


def shipped_plan(name: str) -> Plan:
    """A plan of `prompts/plans`."""
    return planfile.parse((files(prompts) / "plans" / name).read_bytes(), name)


async def _until_stopped(options: Options, parts: Cast, console: Console) -> int:
    """SIGTERM and SIGINT unwind as an exception does, so that nothing stays behind."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for stop in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(stop, task.cancel)
    try:
        return await rehearse(options, parts, console)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def rehearse(options: Options, parts: Cast, console: Console) -> int:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        folder = options.data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        telephones = None
        if options.phone:  # first: all that comes is to be in its network
            telephones = await stack.enter_async_context(
                stage(folder, line=options.line, seed=options.seed)
            )
        url = options.model or stack.enter_context(model.serving(seed=options.seed))
        key = secrets.token_urlsafe(24)
        server = ServerProcess(
            settings(folder, key, url, options.model_name or model.NAME)
            | (telephones.settings if telephones else {}),
            free_port(),
            folder / "server.log",
        )
        stack.push_async_callback(server.stop)
        voice = None if parts.by_text else Voicebox(parts.script)
        await asyncio.gather(server.start(), voice.prepare() if voice else asyncio.sleep(0))
        operator = await stack.enter_async_context(Operator(server.base_url, key))
        invitation = await operator.invite(parts.plan, NAME)
        performance = Performance(parts.script)
        notes = folder / f"notes-{invitation.interview_id}.jsonl"
        with Notebook(notes) as notebook:
            candidate, ended = await _hold(
                server.base_url,
                invitation,
                parts,
                performance,
                notebook,
                voice,
                options,
                console,
                telephones,
            )
        try:
            report = await operator.report(invitation.interview_id, REPORT_WITHIN_S)
        except TimeoutError:
            report = {}
            candidate.trouble.append(f"no report within {REPORT_WITHIN_S:.0f} s")
        report_after_s = time.monotonic() - ended
        left = await evidence.fetch(operator, invitation.interview_id, report)
        await server.stop()
        said = [one for one in read(notes) if one["type"] == "said"]
        run = _run(left, said, parts, performance, candidate, options, folder)
        summary = figures.of(run, report_after_s, time.monotonic() - began)
    evidence.write(left, summary["latency"], options.out)
    return _tell(console, run, summary, options.out)


def settings(folder: Path, key: str, model_url: str, model_name: str) -> dict[str, str]:
    """The server's settings for a rehearsal."""
    return {
        "VIVA_DATA_DIR": str(folder),
        "VIVA_API_KEY": key,
        "VIVA_PRIVACY": "local",
        # A model elsewhere was named by whoever rehearses; nothing else may leave the machine.
        "VIVA_TRUSTED_HOSTS": ",".join(of_url(model_url)),
        "VIVA_MODEL_URL": model_url,
        "VIVA_MODEL": model_name,
        "VIVA_ASR_MODEL": "rehearsal",
        "VIVA_VOICE": "espeak",
        "VIVA_MIN_FREE_MB": "0",
    }


async def _hold(
    base_url: str,
    invitation: Invitation,
    parts: Cast,
    performance: Performance,
    notebook: Notebook,
    voice: Voicebox | None,
    options: Options,
    console: Console,
    telephones: Stage | None,
) -> tuple[Candidate, float]:
    """The interview itself; with the candidate, the monotonic time at which it ended."""
    seen: set[str] = set()
    view = View(console, f"Rehearsal: {parts.plan.title}", lambda: to_come(performance, seen))

    def on_message(message: Mapping[str, Any]) -> None:
        seen.add(str(message.get("event", "")))
        view.feed(message)

    async with Guest(base_url, invitation.token) as guest:
        if telephones is None:
            await guest.consent(parts.plan.policy.consent.version, recording=options.recording)
        candidate = Candidate(
            _connect(guest, invitation, options, telephones),
            base_url.replace("http", "ws", 1) + "/api/call/socket",
            invitation.token,
            performance,
            Floor(parts.plan),
            notebook,
            voice=voice,
            on_message=on_message,
        )
        with view:
            try:
                async with asyncio.timeout(HELD_WITHIN_S):
                    await candidate.hold()
            except TimeoutError:
                candidate.trouble.append(f"not over after {HELD_WITHIN_S:.0f} s")
    return candidate, time.monotonic()


def _connect(
    guest: Guest, invitation: Invitation, options: Options, telephones: Stage | None
) -> Connect:
    if telephones is None:
        return in_browser(guest)
    caller = Caller(telephones.phone, SERVER, invitation.pin, recording=options.recording)
    return caller.connect


def to_come(performance: Performance, seen: set[str]) -> list[str]:
    """What the run still has to show, in words."""
    return list(_to_come(performance, seen))


def _to_come(performance: Performance, seen: set[str]) -> Iterator[str]:
    demands = performance.script.demands
    if "move_refused" in demands and "move_refused" not in seen:
        yield "a refused move"
    if "model_stall" in demands and "model_failed" not in seen:
        yield "a model stall"
    for turn in performance.remaining():
        if turn.barge_in_s is not None:
            yield "a barge-in"
        for step in turn.steps:
            if step.drop is not None:
                yield "a drop and rejoin"
            if step.press is not None:
                yield f"the {step.press} button"
            if step.key is not None:
                yield f"the {step.key} key"
            if step.hold is not None:
                yield "a hold and back"


def _run(
    left: evidence.Left,
    said: Sequence[Mapping[str, Any]],
    parts: Cast,
    performance: Performance,
    candidate: Candidate,
    options: Options,
    folder: Path,
) -> check.Run:
    interview_id = left.interview["interview_id"]
    return check.Run(
        plan=parts.plan,
        script=parts.script,
        events=left.events,
        report=left.report,
        stock=prompts.lines(parts.plan.language),
        said=[check.Said(note["question_id"] or "", note["text"]) for note in said],
        recording=_recording(left, folder / "recordings" / interview_id),
        recording_expected=options.recording and not parts.by_text,
        unforeseen=performance.unforeseen,
        left=performance.left(),
        reports=left.interview["report_revision"] or 0,
        chain_fault="" if left.interview["chain_ok"] else "the hash chain does not verify",
        joins=candidate.joins,
        strict=parts.strict,
        trouble=candidate.trouble,
    )


def _recording(left: evidence.Left, folder: Path) -> check.Recording | None:
    if left.audio is None:
        return None
    timeline = json.loads((folder / "timeline.json").read_text(encoding="utf-8"))
    return evidence.recording(left.audio, timeline["started_at"])


def _tell(console: Console, run: check.Run, summary: Mapping[str, Any], out: Path) -> int:
    console.print(figures.table(summary))
    found = check.findings(run)
    for one in found:
        console.print(f"FAILED  {one.rule.replace('_', ' ')}: {one.text}", markup=False)
    with contextlib.suppress(ValueError):
        out = out.relative_to(Path.cwd())
    verdict = f"{len(found)} findings" if found else "every rule holds"
    console.print(f"{verdict}; everything that it left is in {out}", markup=False)
    return 1 if found else 0
