"""Why a move or its words are refused: a code with its fact. The words are those of
`prompts/<language>/refusals.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    # the rules of the interview
    ENDED = "ended"
    CLOSING = "closing"
    NO_CONSENT = "no_consent"
    NO_OPEN_QUESTION = "no_open_question"
    NOTHING_MORE_TO_SAY = "nothing_more_to_say"
    PROBES_USED = "probes_used"
    NO_PROBE_LEFT = "no_probe_left"
    NO_TIME_FOR_PROBES = "no_time_for_probes"
    QUESTION_HAD_ITS_TIME = "question_had_its_time"
    NOT_A_PROBE_HERE = "not_a_probe_here"
    PROBE_WITHOUT_WORDS = "probe_without_words"
    WAITS_USED = "waits_used"
    SKIP_NOT_ASKED_FOR = "skip_not_asked_for"
    NO_SUCH_ANSWER = "no_such_answer"
    PERSON_NOT_ASKED_FOR = "person_not_asked_for"
    END_NOT_ASKED_FOR = "end_not_asked_for"
    END_NOT_CONFIRMED = "end_not_confirmed"
    # the model's own words
    NO_WORDS = "no_words"
    MORE_THAN_ONE_SENTENCE = "more_than_one_sentence"
    UNSPEAKABLE = "unspeakable"
    REPEATS_ITSELF = "repeats_itself"
    TOO_MANY_CHARACTERS = "too_many_characters"
    TOO_MANY_WORDS = "too_many_words"
    ASKS = "asks"
    JUDGES = "judges"
    PROMISES = "promises"
    FAREWELL = "farewell"
    DENIES = "denies"
    NOT_SAID = "not_said"
    NOT_ONE_QUESTION = "not_one_question"
    TWO_THINGS = "two_things"
    FORBIDDEN_TOPIC = "forbidden_topic"
    OFF_THE_QUESTION = "off_the_question"
    # an answer that is no move
    RUBBISH = "rubbish"
    NO_SUCH_MOVE = "no_such_move"
    NO_CALL = "no_call"
    NO_JSON = "no_json"
    TOO_LONG = "too_long"
    CUT_OFF = "cut_off"
    NOT_WHOLE = "not_whole"
    WRONG_ARGUMENTS = "wrong_arguments"
    NOT_ENFORCED = "not_enforced"


@dataclass(frozen=True)
class Refusal:
    """As text, it is what the event log holds."""

    reason: Reason
    fact: str = ""
    """What the reason is about: a limit, a word, the ids that may be used."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.fact}" if self.fact else str(self.reason)


def read(text: str) -> Refusal | None:
    """The refusal that an event holds; None for words that are none (an older log's)."""
    code, _, fact = text.partition(": ")
    return Refusal(Reason(code), fact) if code in set(Reason) else None
