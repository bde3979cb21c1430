"""The stand-in model: it speaks the API, plays a whole rehearsal, and errs where it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import openai
import pytest
from ruamel.yaml import YAML

from agent.events import ModelFailed, MoveHeard, MoveRefused, RequestMade
from agent.grading import Grader
from agent.moves import MOVE_NAMES
from agent.plan import Plan
from agent.prompt import Mode, tools
from agent.turn import TurnModel, find_mode
from agent.turn_model import Limits
from server.rehearsal import candidates, faults, rules
from server.rehearsal import model as stand_in
from server.rehearsal.dialogue import Dialogue, Heard
from server.rehearsal.faults import Faults
from server.rehearsal.script import Performance

PLANS = Path(__file__).resolve().parents[2] / "prompts" / "plans"
QUICK = Limits(first_token_s=0.6, between_tokens_s=0.4, total_s=2.0)


def load(name: str) -> Plan:
    return Plan.model_validate(YAML(typ="safe").load((PLANS / f"{name}.yaml").read_text()))


@pytest.fixture
def served() -> Iterator[str]:
    with stand_in.serving() as url:
        yield url


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


def model(client: openai.AsyncOpenAI, mode: Mode = "tools") -> TurnModel:
    return TurnModel(client, stand_in.NAME, mode=mode, limits=QUICK)


# --- the protocol ---------------------------------------------------------------------------------


async def test_it_names_itself(served: str) -> None:
    async with connected(served) as client:
        assert [one.id async for one in client.models.list()] == [stand_in.NAME]


async def test_it_can_be_held_to_function_calls(served: str) -> None:
    async with connected(served) as client:
        assert await find_mode(client, stand_in.NAME) == "tools"


def test_it_listens_on_loopback_only_and_stops() -> None:
    with stand_in.serving() as url:
        assert url.startswith("http://127.0.0.1:")
        assert httpx.get(url.removesuffix("/v1") + "/health").is_success
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


async def test_streamed_and_whole_answers_are_the_same(served: str) -> None:
    dialogue = asked("project")
    request: dict[str, Any] = {
        "model": stand_in.NAME,
        "messages": dialogue.conversation.messages_for(dialogue.interview, dialogue.at),
        "tools": tools(dialogue.plan),
        "tool_choice": "required",
    }
    async with connected(served) as client:
        whole = await client.chat.completions.create(**request)
        (call,) = whole.choices[0].message.tool_calls
        name, text = "", ""
        async for chunk in await client.chat.completions.create(stream=True, **request):
            for choice in chunk.choices:
                for part in choice.delta.tool_calls or []:
                    name = part.function.name or name
                    text += part.function.arguments or ""
    assert (name, text) == (call.function.name, call.function.arguments)
    shapes = {t["function"]["name"]: t["function"]["parameters"] for t in tools(dialogue.plan)}
    jsonschema.validate(json.loads(text), shapes[name])


async def test_any_other_schema_gets_its_smallest_answer(served: str) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"enum": ["x"]}, "c": {"type": "boolean"}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "any", "schema": schema}}
    async with connected(served) as client:
        whole = await client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "Hello."}],
            response_format=wanted,  # type: ignore[arg-type]
        )
    assert json.loads(whole.choices[0].message.content or "") == {"a": 0, "b": "x", "c": False}


# --- a whole rehearsal ----------------------------------------------------------------------------


@dataclass
class Played:
    dialogue: Dialogue
    performance: Performance

    def moves(self) -> list[str]:
        return [e.move.name for e in self.dialogue.events if isinstance(e, MoveHeard)]


async def play(name: str, url: str, mode: Mode) -> Played:
    plan = load(name)
    dialogue = Dialogue(plan, mode)
    played = Played(dialogue, Performance(candidates.built_in(plan).without_voice()))
    dialogue.open()
    async with connected(url) as client:
        while not dialogue.interview.ended:
            question = dialogue.interview.open_question
            turn = played.performance.take(question.id if question else None)
            for step in turn.steps:
                if step.type:
                    await dialogue.answer(step.type, model(client, mode))
                elif step.press:
                    dialogue.happen([RequestMade(at=dialogue.at, request=step.press)])
                    forced = dialogue.interview.forced(dialogue.at)
                    dialogue.hear(dialogue.interview.reply(forced, dialogue.at))
            assert played.performance.unforeseen == 0
    return played


@pytest.mark.parametrize(
    ("name", "mode"),
    [("rehearsal_en", "tools"), ("rehearsal_zh", "tools"), ("rehearsal_en", "json_schema")],
)
async def test_a_rehearsal_has_every_move_one_refusal_and_one_stall(
    name: str, mode: Mode, served: str
) -> None:
    played = await play(name, served, mode)
    events = played.dialogue.events
    assert played.dialogue.interview.ended == "completed"
    assert played.performance.left() == []
    assert set(played.moves()) == set(MOVE_NAMES)
    assert [e.move for e in events if isinstance(e, MoveRefused)] == ["skip_question"]
    assert len([e for e in events if isinstance(e, ModelFailed)]) == 1
    scripted = [e.scripted for e in events if isinstance(e, MoveHeard) and e.scripted]
    assert scripted == ["model_stalled"]
    named = [e.move.acknowledgement for e in events if e.type == "move_heard" and _is_next(e)]
    assert any("Python" in words for words in named)


def _is_next(event: MoveHeard) -> bool:
    return event.move.name == "next_question"


async def test_the_same_seed_plays_the_same_rehearsal(served: str) -> None:
    first = await play("rehearsal_en", served, "tools")
    second = await play("rehearsal_en", served, "tools")
    assert first.dialogue.events == second.dialogue.events


# --- its rules ------------------------------------------------------------------------------------


def asked(question_id: str, name: str = "rehearsal_en") -> Dialogue:
    """An interview in which this question is open, and has had an answer without a result."""
    dialogue = Dialogue(load(name))
    dialogue.open()
    while dialogue.interview.open_question.id != question_id:
        dialogue.settle("I used Python.")
        dialogue.hear(
            dialogue.interview.reply(dialogue.interview.default(dialogue.at), dialogue.at)
        )
    dialogue.settle("It was slow.")
    return dialogue


def chosen(dialogue: Dialogue) -> rules.Choice:
    messages = dialogue.conversation.messages_for(dialogue.interview, dialogue.at)
    fields = {
        key: value
        for tool in tools(dialogue.plan)
        for key, value in tool["function"]["parameters"]["properties"].items()
    }
    situation = rules.read(messages, fields)
    assert situation is not None
    return rules.choose(situation)


@pytest.mark.parametrize(
    ("question_id", "words", "name", "arguments"),
    [
        ("project", "It was a hard time.", "ask_probe", {"probe_id": "project_result"}),
        ("project", "The result was a success.", "next_question", {}),
        ("experience", "I built a payment system for a bank.", "next_question", {}),
        ("project", "Could you repeat the question?", "repeat_question", {"rephrase": False}),
        ("project", "I don't understand the question.", "repeat_question", {"rephrase": True}),
        ("project", "Can we skip this question?", "skip_question", {}),
        ("project", "Let me think for a moment.", "wait", {"kind": "thinking"}),
        ("project", "It was slow and", "wait", {"kind": "not_finished"}),
        ("project", "I want to end the interview.", "end_interview", {}),
        ("project", "I want to talk to a person.", "answer_candidate", {"faq_id": "want_a_person"}),
        ("your_questions", "How large is the team?", "answer_candidate", {"faq_id": "team_size"}),
        ("your_questions", "Are you an AI?", "answer_candidate", {"faq_id": "are_you_an_ai"}),
        ("your_questions", "Who won the match?", "answer_candidate", {"faq_id": "none"}),
        ("your_questions", "No, thank you.", "next_question", {}),
    ],
)
def test_it_picks_a_move_by_the_words(
    question_id: str, words: str, name: str, arguments: dict[str, object]
) -> None:
    dialogue = asked(question_id)
    dialogue.settle(words)
    choice = chosen(dialogue)
    assert choice.name == name
    assert choice.arguments.items() >= arguments.items()


@pytest.mark.parametrize(
    ("misbehaviour", "scripted", "found"),
    [
        ("illegal_move", None, [MoveRefused]),
        ("silent", "model_stalled", [ModelFailed]),
        ("stall", "model_stalled", [ModelFailed]),
        ("drop", "model_unavailable", [ModelFailed]),
        ("error", "model_unavailable", [ModelFailed]),
        ("rubbish", None, [MoveRefused]),
        (None, None, []),
    ],
)
@pytest.mark.parametrize("place", ["experience", "c2"])
async def test_it_errs_where_it_is_told_to(
    misbehaviour: Any, scripted: str | None, found: list[type], place: str
) -> None:
    told = Faults({place: misbehaviour} if misbehaviour else {})
    answer = "I worked as a software engineer for five years, and I used Python every day."
    with stand_in.serving(told) as url:
        async with connected(url) as client:
            dialogue = Dialogue(load("rehearsal_en"))
            dialogue.open()
            await dialogue.answer("I enjoy swimming.", model(client))
            slow = TurnModel(
                client, stand_in.NAME, limits=Limits(first_token_s=1.5, between_tokens_s=0.4)
            )
            heard = await dialogue.answer(answer, slow)
    assert heard.decided is not None
    assert heard.decided.reply.scripted == scripted
    assert [type(finding) for finding in heard.decided.findings] == found


async def test_a_free_probe_of_its_own_passes_the_checks() -> None:
    plan = load("rehearsal_en")
    stages = plan.model_dump(mode="json")["stages"]
    project = stages[1]["questions"][1]
    project["free_probe"] = True
    plan = Plan.model_validate(plan.model_dump(mode="json") | {"stages": stages})
    with stand_in.serving(Faults({"project": "free_probe"})) as url:
        async with connected(url) as client:
            dialogue = Dialogue(plan)
            dialogue.open()
            heard = Heard()
            for words in ("I enjoy swimming.", "I used Python.", "I had to design a database."):
                heard = await dialogue.answer(words, model(client))
    assert heard.decided is not None
    assert heard.decided.findings == ()
    assert heard.decided.reply.move.probe_id == "free"
    assert heard.words == ["What did you find difficult about database?"]


# --- its grader -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    id: str
    text: str
    speaker: str = "candidate"
    t0: float = 0.0
    words: tuple[Any, ...] = ()


EXPERIENCE = (
    Said("i1", "What did you do as a software engineer?", "interviewer"),
    Said(
        "c2",
        "I worked as a software engineer for five years. I used Python every day. "
        "In my last job I built a payment system for a bank.",
    ),
)


async def graded(question_id: str, exchange: tuple[Said, ...], told: Faults) -> Any:
    plan = load("rehearsal_en")
    with stand_in.serving(told) as url:
        async with connected(url) as client:
            grader = Grader(client, stand_in.NAME, language="en", backoff_s=0.0)
            return await grader.grade_question(plan, plan.question(question_id), exchange)


async def test_without_faults_it_tells_the_truth_with_quotes() -> None:
    grade = await graded("experience", EXPERIENCE, faults.NONE)
    met = {check.check_id: check.met for check in grade.checks}
    assert grade.state == "graded"
    assert met["years"] == met["python_daily"] == met["built"] == "yes"
    assert met["security"] == "unclear"
    for check in grade.checks:
        assert all(quote.quote in EXPERIENCE[1].text for quote in check.evidence)
    assert grade.tally.fabricated_quotes == grade.tally.wrong_utterances == 0
    assert grade.tally.requests == 1


async def test_the_rehearsals_faults_are_dropped_and_counted() -> None:
    grade = await graded("experience", EXPERIENCE, faults.REHEARSAL)
    met = {check.check_id: check.met for check in grade.checks}
    assert grade.tally.fabricated_quotes == 1
    assert met["built"] == "yes", "the true quote beside the fabricated one stands"
    assert met["security"] == "no"

    answer = (Said("c3", "My role was to design the database, because the system was slow."),)
    grade = await graded("project", answer, faults.REHEARSAL)
    assert grade.tally.wrong_utterances == 1

    answer = (Said("c4", "Two colleagues disagreed about the plan, so I listened to both sides."),)
    grade = await graded("conflict", answer, faults.REHEARSAL)
    assert grade.tally.broken_json == 1
    assert grade.tally.retries == 1
    assert grade.state == "graded"


async def test_it_serves_several_interviews_at_once(served: str) -> None:
    async with connected(served) as client:
        dialogues = [Dialogue(load("rehearsal_en")) for _ in range(8)]
        for dialogue in dialogues:
            dialogue.open()
        answers = [d.answer("I enjoy swimming and reading.", model(client)) for d in dialogues]
        heard = await asyncio.gather(*answers)
    assert len({one.words[-1] for one in heard}) == 1
