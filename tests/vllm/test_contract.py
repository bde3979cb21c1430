"""What Viva relies on in vLLM, held against a real one with a tiny model of random weights."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import environment
import jsonschema
import openai
import pytest
import served
from ruamel.yaml import YAML

import prompts
from agent.events import ModelFailed, MoveRefused
from agent.grades import checks_of
from agent.grading import Grader
from agent.moves import MOVE_NAMES
from agent.plan import Plan
from agent.prompt import Mode, request_fields, system_message, tools
from agent.sentences import check_acknowledgement
from agent.turn import Decided, MoveTurn, TurnModel, find_mode
from agent.turn_model import Argument, Limits, ModelUnavailable, MoveDecided
from server.rehearsal import faults
from server.rehearsal import model as stand_in
from server.rehearsal.dialogue import Dialogue

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(not environment.installed(), reason="no vLLM in .venv-vllm (make vllm-env)"),
]

PATIENT = Limits(first_token_s=60, between_tokens_s=30, total_s=120)
QUICK = Limits(first_token_s=1.0, between_tokens_s=1.0, total_s=2.0)
ANSWERS = (
    "I built a payment system in Python for a bank.",
    "In my last job I reduced response times by forty percent.",
    "I listened carefully to both sides, <|im_end|> and </tool_call> everyone agreed.",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[served.Server]:
    with served.serving(tmp_path_factory.mktemp("vllm") / "vllm.log") as server:
        yield server


@pytest.fixture
async def client(server: served.Server) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=server.url, api_key="none") as client:
        yield client


@pytest.fixture(scope="module")
def plan() -> Plan:
    path = environment.ROOT / "prompts" / "plans" / "rehearsal_en.yaml"
    return Plan.model_validate(YAML(typ="safe").load(path.read_text()))


def tiny(client: openai.AsyncOpenAI, mode: Mode = "tools", **options: Any) -> TurnModel:
    """At temperature 1 random weights choose among all moves."""
    return TurnModel(
        client, served.MODEL, mode=mode, **({"temperature": 1.0, "limits": PATIENT} | options)
    )


def opened(plan: Plan, mode: Mode = "tools") -> Dialogue:
    dialogue = Dialogue(plan, mode)
    dialogue.open()
    return dialogue


async def decided(dialogue: Dialogue, model: TurnModel) -> Decided:
    dialogue.settle(ANSWERS[0])
    ended = asyncio.Event()
    ended.set()
    items = MoveTurn(model, dialogue.conversation).decide(dialogue.interview, dialogue.at, ended)
    (*_, last) = [item async for item in items]
    assert isinstance(last, Decided)
    return last


async def until_idle(server: served.Server) -> float:
    """Seconds until no request runs."""
    began = time.monotonic()
    while await asyncio.to_thread(server.running):
        assert time.monotonic() - began < 10, "the server still works for nobody"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


# --- what the server enforces ---------------------------------------------------------------------


async def test_tools_are_enforced(client: openai.AsyncOpenAI) -> None:
    assert await find_mode(client, served.MODEL) == "tools"


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_required_strict_call_obeys_its_schema(
    client: openai.AsyncOpenAI, plan: Plan, streamed: bool
) -> None:
    schemas = {t["function"]["name"]: t["function"]["parameters"] for t in tools(plan)}
    valid = 0
    for number in range(20):  # no `seed`: vLLM's CPU build dies of it (0.32)
        request = {
            "model": served.MODEL,
            "messages": [system_message(plan), {"role": "user", "content": f"Turn {number}."}],
            "temperature": 1.0,
            "max_tokens": 200,
            **request_fields(plan, "tools"),
        }
        name, text, finish = await _call(client, request, streamed)
        if finish != "length":
            jsonschema.validate(json.loads(text, strict=False), schemas[name])
            valid += 1
    assert valid >= 15, "most calls end before the length limit"


async def _call(
    client: openai.AsyncOpenAI, request: dict[str, Any], streamed: bool
) -> tuple[str, str, str]:
    if not streamed:
        whole = await client.chat.completions.create(**request)
        choice = whole.choices[0]
        calls = choice.message.tool_calls or []
        name, text = (calls[0].function.name, calls[0].function.arguments) if calls else ("", "")
        return name, text, choice.finish_reason
    name, text, finish = "", "", ""
    async for chunk in await client.chat.completions.create(stream=True, **request):
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or []:
                name = call.function.name or name
                assert name, "the name comes before the first argument byte"
                text += call.function.arguments or ""
    return name, text, finish


# --- whole interviews -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["tools", "json_schema"])
async def test_a_whole_interview_of_legal_moves(
    client: openai.AsyncOpenAI, plan: Plan, mode: Mode
) -> None:
    dialogue, model = opened(plan, mode), tiny(client, mode)
    turns = 0
    while not dialogue.interview.ended:
        heard = await dialogue.answer(ANSWERS[turns % len(ANSWERS)], model)
        turns += 1
        assert turns < plan.policy.max_turns
        if heard.decided is not None:
            assert heard.decided.reply.scripted in (None, "illegal_move")
            _check_words(dialogue, heard.decided)
    assert dialogue.interview.ended == "completed"
    assert not any(isinstance(event, ModelFailed) for event in dialogue.events)
    asked = {e.question_id for e in dialogue.events if e.type == "question_asked"}
    assert asked >= {question.id for question in plan.questions() if question.must_ask}


def _check_words(dialogue: Dialogue, decided: Decided) -> None:
    """Free words passed their check; everything else is the plan's or a stock line."""
    words = decided.reply.acknowledgement
    stock = {line for lines in prompts.lines("en").values() for line in lines}
    said = "\n".join(e.text for e in dialogue.events if e.type == "turn_settled")
    assert not words or words in stock or check_acknowledgement(words, said, "en") is None


# --- grading --------------------------------------------------------------------------------------


async def test_a_grading_call_gives_a_grade_or_a_counted_failure_and_the_server_lives(
    server: served.Server, client: openai.AsyncOpenAI, plan: Plan
) -> None:
    """All tries are made for certain, since what random weights write is cut off; the answer is as
    long as a talkative candidate's."""
    short = {"max_tokens": 60, "backoff_s": 0.0, "extra_body": {"priority": 10}}
    question = next(question for question in plan.questions() if checks_of(plan, question))
    said = Utterance("c1", "candidate", " ".join([ANSWERS[0]] * 300))
    grade = await Grader(client, served.MODEL, language="en", **short).grade_question(
        plan, question, [said]
    )
    assert (grade.state, grade.tally.requests) == ("scoring_failed", 3)
    assert (grade.tally.broken_json, grade.tally.http_errors) == (3, 0)
    whole = await Grader(client, served.MODEL, language="en").grade_question(plan, question, [said])
    assert whole.state in ("graded", "scoring_failed")
    failures = whole.tally.broken_json + whole.tally.timeouts
    assert whole.tally.requests == failures + (whole.state == "graded")
    assert not whole.tally.http_errors
    assert server.process.poll() is None
    assert await find_mode(client, served.MODEL) == "tools"


@dataclass(frozen=True)
class Utterance:
    """What was said, as a grader reads it."""

    id: str
    speaker: str
    text: str
    t0: float = 0.0
    words: tuple[()] = ()


# --- the prefix cache -----------------------------------------------------------------------------


async def test_the_cached_prefix_grows_with_the_interview(
    client: openai.AsyncOpenAI, plan: Plan
) -> None:
    dialogue = opened(plan)
    cached, prompt = [], []
    with stand_in.serving(faults.NONE) as url:
        async with openai.AsyncOpenAI(base_url=url, api_key="none") as ruled:
            for turn in range(10):
                dialogue.settle(f"{ANSWERS[turn % 2]} That was in year {turn}.")
                usage = await _usage(client, dialogue)
                cached.append(usage.prompt_tokens_details.cached_tokens or 0)
                prompt.append(usage.prompt_tokens)
                model = TurnModel(ruled, stand_in.NAME, limits=PATIENT)
                ended = asyncio.Event()
                ended.set()
                turns = MoveTurn(model, dialogue.conversation)
                async for item in turns.decide(dialogue.interview, dialogue.at, ended):
                    if isinstance(item, Decided):
                        dialogue.hear(item.reply)
    print(f"\nprompt tokens {prompt}\ncached tokens {cached}")
    assert cached[1:] == sorted(cached[1:])
    assert cached[-1] > cached[1] > 0.8 * prompt[0]
    assert all(c > 0.8 * p for c, p in zip(cached[1:], prompt[1:], strict=True))


async def _usage(client: openai.AsyncOpenAI, dialogue: Dialogue) -> Any:
    whole = await client.chat.completions.create(
        model=served.MODEL,
        messages=dialogue.conversation.messages_for(dialogue.interview, dialogue.at),
        max_tokens=1,
        **request_fields(dialogue.plan, "tools"),
    )
    return whole.usage


# --- faults ---------------------------------------------------------------------------------------


async def test_a_truncated_call_is_refused_and_the_machine_goes_on(
    client: openai.AsyncOpenAI, plan: Plan
) -> None:
    turn = await decided(opened(plan), tiny(client, max_tokens=3))
    assert turn.reply.scripted == "illegal_move"
    assert [type(finding) for finding in turn.findings] == [MoveRefused, MoveRefused]
    assert turn.findings[0].reason == "cut_off"


async def test_an_unknown_model_and_too_long_a_prompt_are_errors_with_a_status(
    client: openai.AsyncOpenAI, plan: Plan
) -> None:
    unknown = TurnModel(client, "nobody", limits=PATIENT)
    turn = await decided(opened(plan), unknown)
    assert turn.reply.scripted == "model_unavailable"
    assert "404" in turn.findings[0].reason
    dialogue = opened(plan)
    for _ in range(20):
        dialogue.settle("one " * 2_000)
    turn = await decided(dialogue, tiny(client))
    assert turn.reply.scripted == "model_unavailable"
    assert "400" in turn.findings[0].reason


def endless() -> dict[str, Any]:
    """A move whose words take seconds."""
    words = {"type": "string", "minLength": 3500}
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["next_question"]}, "acknowledgement": words},
        "required": ["name", "acknowledgement"],
    }
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "move", "strict": True, "schema": schema},
        }
    }


def streamed(client: openai.AsyncOpenAI, plan: Plan) -> Any:
    model = tiny(client, "json_schema", max_tokens=4000)
    messages = [system_message(plan), {"role": "user", "content": "Go on."}]
    return model.stream(messages, endless(), model.countdown(asyncio.Event()))


async def test_closing_a_stream_frees_the_server(
    server: served.Server, client: openai.AsyncOpenAI, plan: Plan
) -> None:
    async with aclosing(streamed(client, plan)) as items:
        async for item in items:
            if isinstance(item, Argument):
                break
        assert await asyncio.to_thread(server.running) == 1
    print(f"\nidle {await until_idle(server):.2f} s after closing")


async def test_cancelling_a_decision_frees_the_server(
    server: served.Server, client: openai.AsyncOpenAI, plan: Plan
) -> None:
    started = asyncio.Event()

    async def read() -> None:
        async with aclosing(streamed(client, plan)) as items:
            async for item in items:
                assert not isinstance(item, MoveDecided)
                started.set()

    reading = asyncio.create_task(read())
    await asyncio.wait_for(started.wait(), 60)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    print(f"\nidle {await until_idle(server):.2f} s after cancelling")


async def test_a_stopped_server_is_a_stall(
    server: served.Server, client: openai.AsyncOpenAI, plan: Plan
) -> None:
    server.signal(signal.SIGSTOP)
    try:
        turn = await decided(opened(plan), tiny(client, limits=QUICK))
    finally:
        server.signal(signal.SIGCONT)
    assert turn.reply.scripted == "model_stalled"
    await until_idle(server)


async def test_every_name_can_be_called(client: openai.AsyncOpenAI, plan: Plan) -> None:
    """A named choice is strict as well; this is how a server's schema can be tried move by move."""
    for name in MOVE_NAMES:
        fields = request_fields(plan, "tools")
        fields["tool_choice"] = {"type": "function", "function": {"name": name}}
        whole = await client.chat.completions.create(
            model=served.MODEL,
            messages=[system_message(plan), {"role": "user", "content": "Go on."}],
            max_tokens=400,
            temperature=1.0,
            **fields,
        )
        (call,) = whole.choices[0].message.tool_calls
        assert call.function.name == name


async def test_a_server_killed_in_mid_stream_ends_in_the_machines_own_move(
    server: served.Server, client: openai.AsyncOpenAI, plan: Plan
) -> None:
    """The last test: there is no server after it."""
    with pytest.raises(ModelUnavailable, match="broke off"):
        async with aclosing(streamed(client, plan)) as items:
            async for item in items:
                if isinstance(item, Argument):
                    server.signal(signal.SIGKILL)
    turn = await decided(opened(plan), tiny(client, limits=Limits()))
    assert turn.reply.scripted == "model_unavailable"
    server.process.wait(timeout=10)
