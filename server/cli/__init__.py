"""The command line: `viva serve | asr | rehearse | transcribe | invite | password | plan |
report | models | phone | backup | doctor | version`.

Heavy imports stand inside the commands, so that `viva --help` is quick. A refusal is one or two
sentences on standard error: exit code 2 for what was typed or set wrongly, 1 for everything else.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from server.cli import (
    asr,
    interviews,
    models,
    password,
    phone,
    plans,
    rehearse,
    reports,
    serve,
    transcribe,
    upkeep,
)
from server.cli.options import brief
from server.settings import SettingsError

app = typer.Typer(
    name="viva",
    help="A self-hosted voice interviewer: structured, evidence-based, on your own machines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
OURS = ("server", "agent", "asr", "tts", "prompts")


@app.callback()
def viva(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; stands anywhere.")
    ] = False,
) -> None:
    """Every setting can also be given as VIVA_…: see docs/settings.md."""


for module in (serve, asr, rehearse, transcribe, interviews, password, upkeep):
    module.add_to(app)
app.add_typer(plans.app, name="plan")
app.add_typer(reports.app, name="report")
app.add_typer(models.app, name="models")
app.add_typer(phone.app, name="phone")


def main() -> None:
    """The console script."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    try:
        app([one for one in arguments if one != "--debug"], prog_name="viva")
    except BrokenPipeError:
        # Whoever read our output has gone (`viva … | head`); Python would complain once more at
        # exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        # The process's outermost edge: an operator gets sentences, `--debug` the traceback.
        if debug:
            raise
        print(brief(sentence(error)), file=sys.stderr)
        sys.exit(2 if isinstance(error, SettingsError) else 1)


def sentence(error: Exception) -> str:
    """Our own errors say what to do; of any other the operator at least learns its name."""
    if type(error).__module__.partition(".")[0] in OURS:
        return str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}."
    return (
        f"Something unexpected went wrong: {type(error).__name__}: {error}\n"
        "Run the same command with --debug for the details."
    )
