"""`viva report`: print the schema of reports, or one report for a person to read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import DataDir

if TYPE_CHECKING:
    from agent.report import Report
    from agent.report_schema import Answer

app = typer.Typer(help="Reports.", no_args_is_help=True)


class NoReport(Exception):
    """There is none."""


@app.command()
def schema() -> None:
    """Print the JSON Schema of reports."""
    from agent import report

    typer.echo(json.dumps(report.schema(), indent=2, ensure_ascii=False))


@app.command()
def show(
    which: Annotated[str, typer.Argument(help="An interview's id, or a report.json.")],
    revision: Annotated[int | None, typer.Option(help="The revision [the newest].")] = None,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a report."""
    from agent.report import Report

    text = _text(which, revision, data_dir)
    if as_json:
        typer.echo(text)
        return
    try:
        report = Report.model_validate_json(text)
    except ValueError as error:
        raise NoReport(f"{which} is no report of this version of Viva.") from error
    for line in _lines(report):
        typer.echo(_printable(line))


def _text(which: str, revision: int | None, data_dir: Path | None) -> str:
    if Path(which).is_file():
        return Path(which).read_text(encoding="utf-8")
    import asyncio

    from server import reports, settings
    from server.store import Erased, Store, UnknownInterview, sqlite_url
    from server.store.engine import sqlite_file

    chosen = settings.load(data_dir=data_dir)
    url = chosen.database_url or sqlite_url(chosen.data_dir)
    file = sqlite_file(url)
    if file and not file.is_file():
        raise NoReport(f"There is no file {which}, and no database in {chosen.data_dir}.")

    store = Store(url)
    try:
        found = asyncio.run(reports.read(store, which, revision))
    except Erased:
        raise NoReport(f"Interview {which} was erased.") from None
    except UnknownInterview:
        raise NoReport(f"There is no file and no interview {which}.") from None
    finally:
        store.close()
    if found is None:
        raise NoReport(f"Interview {which} has no such report yet.")
    return found.json


def _lines(report: Report) -> list[str]:
    overall = report.overall
    score = "no score" if overall.score is None else f"{overall.score} of 10"
    lines = [
        f"{report.candidate.name or 'Candidate'}: {report.plan.job_title}",
        f"Status: {report.status}. {report.status_reason}",
        f"Overall: {score}. {overall.reason}",
        "",
    ]
    for name, rating in overall.dimensions.each():
        given = "-" if rating.score is None else str(rating.score)
        lines.append(f"  {name:16} {given:>2}  {rating.reason}")
    for answer in report.answers:
        lines += ["", f"{answer.question_id} ({answer.state}): {answer.question}"]
        lines += _scores(answer)
    if decided := report.human_decision:
        on = decided.at.date().isoformat()
        lines += ["", f"Decided by {decided.by} on {on}: {decided.value}. {decided.reason}"]
    return [*lines, "", overall.overall_remark]


def _scores(answer: Answer) -> Iterator[str]:
    """Each score of an answer, and below it the candidate's words that it rests on."""
    for name, rating in answer.ratings.each():
        if rating.score is None:
            continue
        yield f"  {name:16} {rating.score:>2}  {rating.reason}"
        for found in rating.evidence:
            minutes, seconds = divmod(int(found.t0), 60)
            yield f'{"":22}"{found.quote}" ({found.utterance_id}, {minutes:02}:{seconds:02})'


def _printable(line: str) -> str:
    """What candidates and models wrote must not steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in line)
