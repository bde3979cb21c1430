"""What time alone brings about, looked at second by second."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from calls import Call, small_plan
from playing import Bench

from agent.events import EndReason, InterviewEnded, LineSpoken, MoveHeard
from agent.interview import Reply
from agent.moves import NextQuestion
from agent.turns import Heard
from agent.watch import CLOSING_GRACE_S, TICK_S, Watch

LADDER = (4.0, 8.0, 12.0)


@dataclass
class Said:
    at: float
    reply: Reply | None
    """None: the settled turn is decided on."""
    interruptible: bool = True
    nudges: bool = False
    then: Reply | None = None

    @property
    def kinds(self) -> list[str]:
        return [line.kind for line in self.reply.lines] if self.reply else []


@dataclass
class Floor:
    """Obeys `agent.watch.Floor`; says nothing aloud."""

    bench: Bench
    candidate_speaking: bool = False
    busy: bool = False
    said: list[Said] = field(default_factory=list)
    ended: EndReason | None = None

    def say_reply(
        self,
        reply: Reply,
        *,
        interruptible: bool = True,
        nudges: bool = False,
        then: Reply | None = None,
    ) -> None:
        self.said.append(Said(self.bench.at, reply, interruptible, nudges, then))

    def reply_to_turn(self) -> None:
        self.said.append(Said(self.bench.at, None))

    def end(self, reason: EndReason) -> None:
        self.ended = reason
        self.bench.journal.add(InterviewEnded(at=self.bench.at, reason=reason))


class Scene(Bench):
    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.began = self.at
        self.floor = Floor(self)
        self.watch = Watch(self.floor, self.interview, self.turns, self.clock)
        self.watch.activity()

    def passes(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.at += TICK_S
            self.watch.look()

    @property
    def seconds(self) -> list[float]:
        return [round(said.at - self.began) for said in self.floor.said]


@pytest.fixture
def call() -> Call:
    made = Call(small_plan(silence_ladder_s=LADDER))
    made.begin()
    return made


def test_the_ladder_reassures_asks_again_and_moves_on(call: Call) -> None:
    scene = Scene(call)
    scene.passes(60)
    assert scene.seconds == [7, 11, 15]  # 3 s of think time, then the ladder
    assert [said.kinds[-1] for said in scene.floor.said] == ["nudge", "repeat", "question"]
    assert [said.nudges for said in scene.floor.said] == [True, True, False]


def test_who_speaks_starts_the_ladder_anew(call: Call) -> None:
    scene = Scene(call)
    scene.passes(6)
    scene.floor.candidate_speaking = True
    scene.passes(5)
    scene.floor.candidate_speaking = False
    scene.passes(6)
    assert scene.floor.said == []
    scene.passes(2)
    assert [said.kinds for said in scene.floor.said] == [["nudge"]]


def test_nothing_is_said_while_a_reply_is_made_or_heard(call: Call) -> None:
    scene = Scene(call)
    scene.floor.busy = True
    scene.passes(60)
    assert scene.floor.said == []


def test_nothing_is_said_while_words_of_an_open_turn_are_known(call: Call) -> None:
    scene = Scene(call)
    scene.turns.heard(Heard("I built", scene.at - 1, scene.at))
    scene.passes(60)
    assert scene.floor.said == []


def test_an_answer_that_a_broken_line_ended_is_replied_to_when_no_more_comes(call: Call) -> None:
    call.hears("I built a thing.")  # in the leg before
    scene = Scene(call)
    while len(scene.floor.said) < 2:
        scene.passes(TICK_S)
    nudge, decision = scene.floor.said
    assert scene.seconds == [7, 11] and nudge.kinds == ["nudge"] and decision.reply is None
    assert scene.types == ["turn_settled"]
    assert scene.interview.settled is not None
    assert scene.interview.settled.text == "I built a thing."


def test_who_goes_on_with_a_broken_answer_is_not_hurried(call: Call) -> None:
    call.hears("I built")
    scene = Scene(call)
    scene.passes(5)
    scene.turns.heard(Heard("a thing and", scene.at - 1, scene.at))
    scene.passes(60)
    assert scene.floor.said == []


def test_a_turn_whose_reply_was_lost_is_decided_again_and_then_by_the_machine(call: Call) -> None:
    call.settles("I built a thing.")
    scene = Scene(call)
    scene.watch.new_turn()
    scene.passes(0.9)
    assert scene.floor.said == []
    for count in (1, 2, 3):
        while len(scene.floor.said) < count:
            scene.passes(TICK_S)
        scene.floor.busy = True  # the reply is made, and lost
        scene.passes(1)
        scene.floor.busy = False
    *again, last = scene.floor.said
    assert [said.reply for said in again] == [None, None]
    assert last.reply is not None
    assert last.reply.scripted == "model_unavailable"


def test_a_committed_move_whose_line_did_not_sound_is_said_again(call: Call) -> None:
    call.settles("I built a thing.")
    call.decide(sounding=1)
    scene = Scene(call)
    scene.passes(1.2)
    assert scene.floor.said[0].kinds[-1] == "question"


def test_an_endless_answer_is_cut_in_on_without_leave_to_be_talked_over(call: Call) -> None:
    call.hears("I built and built and built")
    scene = Scene(call)
    scene.turns.speaking_since = scene.at
    scene.floor.candidate_speaking = True
    limit = scene.interview.hard_limit()
    scene.passes(limit - 1)
    assert scene.floor.said == []
    scene.passes(2)
    (cut,) = scene.floor.said
    assert cut.kinds == ["cut_in"]
    assert not cut.interruptible
    assert cut.then is not None
    assert cut.then.move is None
    assert [line.kind for line in cut.then.lines][-1] == "question"
    assert scene.types == ["turn_settled"], "what was said so far is kept as it stands"


def test_an_interrupted_closing_leaves_time_for_a_last_word_and_then_ends(call: Call) -> None:
    call.to("yours")
    turn_id = call.settles("No.")
    (closing,) = call.interview.reply(NextQuestion(), call.at).lines
    call.apply(MoveHeard(at=call.at, reply_id="r90", turn_id=turn_id, move=NextQuestion()))
    call.apply(
        LineSpoken(
            at=call.at,
            utterance_id="i90",
            reply_id="r90",
            kind="closing",
            text=closing.text[:8],
            interrupted=True,
            t0=call.at,
            t1=call.at,
        )
    )
    scene = Scene(call)
    scene.watch.closing_cut_at = scene.at
    scene.floor.candidate_speaking = True
    scene.passes(CLOSING_GRACE_S + 2)
    assert scene.floor.ended is None, "who is speaking is heard out"
    scene.floor.candidate_speaking = False
    scene.passes(2)
    assert scene.floor.ended == "completed"
    assert scene.interview.ended == "completed"


def test_who_is_typing_is_not_hurried(call: Call) -> None:
    scene = Scene(call)
    for _ in range(12):
        scene.passes(5)
        scene.watch.activity()  # what `Interviewer.typing` tells it
    assert scene.floor.said == []


def test_in_writing_an_open_question_waits_for_as_long_as_it_takes(call: Call) -> None:
    scene = Scene(call)
    scene.watch.written = True
    scene.passes(600)
    assert scene.floor.said == []
    scene.turns.typed("I built a thing.")
    scene.turns.settle("typed")
    scene.passes(2)
    assert scene.floor.said, "an answer is replied to as ever"
