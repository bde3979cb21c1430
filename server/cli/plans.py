"""`viva plan`: check a plan, show it, print the schema of plans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import brief, say

if TYPE_CHECKING:
    from agent.plan import Plan

app = typer.Typer(help="Interview plans.", no_args_is_help=True)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Plans, YAML or JSON.")],
) -> None:
    """Say of each plan whether it can be used; every problem has its line. Warns of consent texts
    that are too long for the telephone.
    """
    from agent import planfile
    from server.phone import consent_time

    failed = False
    for file in files:
        try:
            plan = planfile.load(file)
        except planfile.PlanError as error:
            failed = True
            say(brief(str(error)))
            continue
        typer.echo(
            f"{file}: good. {plan.plan_id} {plan.version} ({plan.language}),"
            f" {_counted(plan)}, {plan.policy.total_time_s / 60:.0f} minutes."
        )
        for warning in consent_time.too_long(plan):
            say(f"{file}: {warning}")
    if failed:
        raise typer.Exit(1)


def _counted(plan: Plan) -> str:
    """As the candidate's page counts them."""
    own, practice = len(list(plan.own_questions())), len(list(plan.practice_questions()))
    before = f" and {'one' if practice == 1 else practice} for practice" if practice else ""
    return f"{own} {'question' if own == 1 else 'questions'}{before}"


@app.command()
def schema() -> None:
    """Print the JSON Schema of plans, for editors."""
    from agent import planfile

    typer.echo(json.dumps(planfile.schema(), indent=2, ensure_ascii=False))


@app.command()
def show(file: Annotated[Path, typer.Argument(help="The plan, YAML or JSON.")]) -> None:
    """Print what will be asked, stage by stage."""
    from agent import planfile

    plan = planfile.load(file)
    typer.echo(f"{plan.title}\n{plan.job.title} ({plan.job.level}), {plan.language}")
    for stage in plan.stages:
        scored = "" if stage.scored else ", not scored"
        typer.echo(f"\n{stage.title} ({stage.kind}{scored})")
        for question in stage.questions:
            must = "" if question.must_ask else " (if there is time)"
            typer.echo(f"  {question.id}: {question.text}{must}")
            for probe in question.probes:
                typer.echo(f"    {probe.id}: {probe.text}")
    typer.echo(f"\nHash: {plan.hash}")
