"""What the stand-in model does wrong, and where: the same places in every run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Misbehaviour = Literal[
    "illegal_move",  # a move that the machine refuses; the retry is legal
    "silent",  # not one token
    "stall",  # the move's name and half its words, then nothing
    "free_probe",  # a follow-up of its own where one is legal
    "rubbish",  # arguments that are no JSON
    "error",  # HTTP 500
    "drop",  # the connection breaks in mid-stream
]


@dataclass(frozen=True)
class Faults:
    """Places by question id or candidate's turn (`c3`), and by the grader's check ids."""

    interviewer: Mapping[str, Misbehaviour] = field(default_factory=dict)
    fabricated_quote: frozenset[str] = frozenset()
    """Checks that get a quote nobody said, beside the true one."""
    wrong_utterance: frozenset[str] = frozenset()
    """Checks that get a true quote under an utterance that does not exist."""
    broken_json: frozenset[str] = frozenset()
    """The first try at a question with such a check is cut off."""
    says_no: frozenset[str] = frozenset()
    """Checks answered "no", with the words that come closest."""


REHEARSAL = Faults(
    interviewer={"experience": "illegal_move", "start": "silent"},
    fabricated_quote=frozenset({"built"}),
    wrong_utterance=frozenset({"role"}),
    broken_json=frozenset({"listened"}),
    says_no=frozenset({"security"}),
)
"""For the rehearsal's plans."""
NONE = Faults()
