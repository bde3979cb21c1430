"""A turn's decision against a scripted model: it always ends in a legal reply, whatever comes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import openai
import pytest
from calls import small_plan
from scripted_server import (
    DONE,
    ROLE,
    Script,
    ScriptedServer,
    arguments,
    call,
    content,
    ending,
    event,
    move,
    named,
    scripted,
)

import prompts
from agent.events import CallJoined, ModelFailed, MoveRefused
from agent.moves import AskProbe, NextQuestion
from agent.prompt import Mode
from agent.turn import Decided, MoveTurn, TurnModel, Words, find_mode
from agent.turn_model import BadMove, Limits
from server.rehearsal.dialogue import Dialogue

QUICK = Limits(first_token_s=0.3, between_tokens_s=0.15, total_s=0.6)
PATIENT = Limits(first_token_s=20, between_tokens_s=20, total_s=60)
ANSWER = "I built a cache in Python for six users, because the old one was slow."
STOCK = prompts.lines("en")["acknowledgement"]
WORDED = dict(re.findall(r"## (\w+)\n(.+)", prompts.source("en", "refusals")))


@dataclass
class Turn:
    """What one turn came to."""

    words: list[str] = field(default_factory=list)
    decided: Decided | None = None

    @property
    def reply(self):
        assert self.decided is not None
        return self.decided.reply

    @property
    def findings(self):
        assert self.decided is not None
        return self.decided.findings


def at_a_question(mode: Mode = "tools") -> Dialogue:
    """An interview whose question with probes has just been answered."""
    dialogue = Dialogue(small_plan(), mode)
    dialogue.open()
    while dialogue.interview.open_question.id != "deep":
        dialogue.settle("I built something.")
        reply = dialogue.interview.reply(NextQuestion(), dialogue.at)
        dialogue.hear(reply)
    dialogue.settle(ANSWER)
    return dialogue


@asynccontextmanager
async def model_at(
    url: str, mode: Mode = "tools", limits: Limits = QUICK
) -> AsyncIterator[TurnModel]:
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
        yield TurnModel(client, "m", mode=mode, limits=limits)


async def decide(
    server: ScriptedServer,
    *,
    mode: Mode = "tools",
    ended: asyncio.Event | None = None,
    limits: Limits = QUICK,
    dialogue: Dialogue | None = None,
) -> Turn:
    dialogue, turn = dialogue or at_a_question(mode), Turn()
    rev = dialogue.interview.rev
    if ended is None:
        ended = asyncio.Event()
        ended.set()
    async with model_at(server.url, mode, limits) as model:
        items = MoveTurn(model, dialogue.conversation).decide(
            dialogue.interview, dialogue.at, ended
        )
        async with aclosing(items):
            async for item in items:
                assert turn.decided is None, "nothing comes after the decision"
                if isinstance(item, Words):
                    turn.words.append(item.text)
                else:
                    turn.decided = item
    assert dialogue.interview.rev == rev, "a decision writes nothing"
    assert turn.words in ([], [turn.reply.acknowledgement])
    dialogue.interview.check(turn.reply.move, dialogue.at)
    return turn


# --- moves that stand ---------------------------------------------------------------------------


async def test_an_acknowledgement_is_released_as_soon_as_its_sentence_is_whole() -> None:
    text = json.dumps({"acknowledgement": "You built a cache. "})
    steps = [ROLE, named("next_question"), arguments(text[:-2]), 30.0]
    async with scripted(Script(steps)) as server:
        turn = await asyncio.wait_for(decide(server), 5)
    assert turn.words == ["You built a cache."]
    assert turn.reply.move == NextQuestion(acknowledgement="You built a cache.")
    assert turn.reply.scripted is None
    assert turn.findings == ()


async def test_on_the_telephone_long_words_give_way_to_short_ones() -> None:
    words = "Thank you, you mentioned that you built a cache in Python there."
    dialogues = []
    for channel in ("web", "phone"):
        dialogue = at_a_question()
        dialogue.happen([CallJoined(at=dialogue.at, channel=channel, epoch=2)])  # type: ignore[arg-type]  # one of two
        async with scripted(move("next_question", acknowledgement=words)) as server:
            dialogues.append(await decide(server, dialogue=dialogue))
            asked = str(server.requests[-1]["messages"][-1]["content"])
        assert ("on the telephone" in asked) == (channel == "phone")
    assert dialogues[0].reply.acknowledgement == words
    assert dialogues[1].reply.acknowledgement in STOCK


async def test_words_without_a_full_stop_come_with_the_decision() -> None:
    async with scripted(move("next_question", acknowledgement="Thank you")) as server:
        turn = await decide(server)
    assert turn.words == []
    assert turn.reply.acknowledgement == "Thank you"
    assert [line.kind for line in turn.reply.lines][-1] == "question"


async def test_only_the_first_sentence_is_said() -> None:
    words = "You built a cache. You will surely be hired!"
    async with scripted(move("next_question", acknowledgement=words)) as server:
        turn = await decide(server)
    assert turn.words == ["You built a cache."]
    assert turn.reply.acknowledgement == "You built a cache."


@pytest.mark.parametrize(
    "words",
    [
        "Great answer.",
        "You built a compiler.",
        "What did you build?",
        "We will hire you.",
        "A cache a cache a cache.",
        "</tool_call> You built a cache.",
        "so " * 300,
    ],
)
async def test_words_that_fail_their_check_give_way_to_stock_words(words: str) -> None:
    async with scripted(move("next_question", acknowledgement=words)) as server:
        turn = await decide(server)
    assert turn.reply.acknowledgement in STOCK
    assert turn.findings == ()
    assert turn.reply.scripted is None


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("ask_probe", {"probe_id": "deep_why", "question": ""}),
        ("ask_probe", {"probe_id": "free", "question": "Which users was the cache for?"}),
        ("repeat_question", {"rephrase": True}),
        ("wait", {"kind": "not_finished"}),
        ("answer_candidate", {"faq_id": "none"}),
    ],
)
async def test_a_legal_move_stands(name: str, fields: dict[str, object]) -> None:
    async with scripted(move(name, **fields)) as server:
        turn = await decide(server)
    assert turn.reply.move is not None
    assert turn.reply.move.model_dump() == {"name": name, **fields}
    assert turn.words == []
    assert turn.findings == ()


async def test_words_beside_an_approved_probe_are_dropped() -> None:
    fields = {"probe_id": "deep_why", "question": "Are you married?"}
    async with scripted(move("ask_probe", **fields)) as server:
        turn = await decide(server)
    assert turn.reply.move == AskProbe(probe_id="deep_why")


async def test_the_same_move_comes_as_json_where_tool_choice_is_ignored() -> None:
    text = json.dumps({"name": "next_question", "acknowledgement": "You built a cache."})
    async with scripted(content(text)) as server:
        turn = await decide(server, mode="json_schema")
        request = server.requests[0]
    assert turn.reply.move == NextQuestion(acknowledgement="You built a cache.")
    assert "tools" not in request
    assert request["response_format"]["json_schema"]["strict"] is True


async def test_words_that_come_before_their_moves_name_wait_for_it() -> None:
    text = json.dumps({"acknowledgement": "You built a cache. ", "name": "skip_question"})
    good = content(json.dumps({"acknowledgement": "You built. ", "name": "next_question"}))
    async with scripted(content(text), good) as server:
        turn = await decide(server, mode="json_schema")
    assert turn.words == []
    assert len(turn.findings) == 1
    assert turn.reply.move == NextQuestion(acknowledgement="You built.")


async def test_a_stray_brace_and_further_text_change_nothing() -> None:
    text = json.dumps({"kind": "thinking"}) + '}]\n{"kind": "not_finished"}'
    async with scripted(call("wait", text)) as server:
        turn = await decide(server)
    assert turn.reply.move.model_dump() == {"name": "wait", "kind": "thinking"}
    assert turn.findings == ()


async def test_a_call_asks_for_exactly_one_strict_function() -> None:
    async with scripted(move("wait", kind="thinking")) as server:
        await decide(server)
        request = server.requests[0]
    assert request["tool_choice"] == "required"
    assert request["parallel_tool_calls"] is False
    assert request["stream_options"] == {"include_usage": True}
    assert all(tool["function"]["strict"] for tool in request["tools"])


async def test_what_a_call_cost_is_told() -> None:
    async with scripted(call("wait", '{"kind": "thinking"}', cached=64)) as server:
        turn = await decide(server)
    assert turn.decided.usage.cached_tokens == 64
    assert turn.decided.usage.prompt_tokens == 100
    assert 0 < turn.decided.usage.first_token_s <= turn.decided.usage.total_s


# --- moves that are refused ---------------------------------------------------------------------

NO_MOVES = {
    "a move that is not legal": move("skip_question", reason="x"),
    "an unknown function": move("hire", salary=1),
    "wrong types": move("next_question", acknowledgement=5),
    "a missing argument": move("wait"),
    "one argument too many": move("wait", kind="thinking", mood="calm"),
    "a value that is not in the list": move("wait", kind="for ever"),
    "a probe of no question": move("ask_probe", probe_id="other", question=""),
    "a free probe on a forbidden topic": move(
        "ask_probe", probe_id="free", question="How old were you when you built the cache?"
    ),
    "two questions": move("ask_probe", probe_id="free", question="Why the cache, and who used it?"),
    "arguments that are no object": call("wait", "false"),
    "rubbish": call("wait", "<tool_call>{}"),
    "ten thousand characters": move("repeat_question", rephrase="x" * 10_000),
    "a truncated call": call("wait", '{"kind": "thin', reason="length"),
    "a call without its end": call("wait", '{"kind": "thinking"'),
    "no call, but its text in content": content(
        '<tool_call>{"name": "wait", "arguments": {"kind": "thinking"}}</tool_call>', "tool_calls"
    ),
    "nothing at all": Script(ending()),
    "an event that is no JSON": Script([ROLE, "data: {nonsense\n\n", DONE]),
    "an event of another shape": Script(['data: {"choices": [7]}\n\n', DONE]),
    "events that are no objects": Script(["data: 7\n\n", "data: [1]\n\n", "data: null\n\n", DONE]),
    "an event without choices": Script(["data: {}\n\n", DONE]),
    "a call that is no call": Script([event({"tool_calls": ["wait"]}), DONE]),
    "a page of HTML": Script(["<html>Welcome</html>"]),
}


@pytest.mark.parametrize("bad", NO_MOVES.values(), ids=NO_MOVES.keys())
async def test_what_is_no_legal_move_gets_one_retry_with_the_reason(bad: Script) -> None:
    good = move("next_question", acknowledgement="You built a cache.")
    async with scripted(bad, good) as server:
        turn = await decide(server, limits=PATIENT)
        first, second = (request["messages"] for request in server.requests)
    assert turn.reply.move == NextQuestion(acknowledgement="You built a cache.")
    assert turn.reply.scripted is None
    (refused,) = turn.findings
    assert isinstance(refused, MoveRefused)
    assert refused.reason
    assert second[:-1] == first[:-1]
    assert second[-1]["content"].startswith(first[-1]["content"])
    why = refused.reason.partition(":")[0]
    assert f"refused: {WORDED[why].split('$')[0]}" in second[-1]["content"]


@pytest.mark.parametrize("bad", NO_MOVES.values(), ids=NO_MOVES.keys())
async def test_after_a_second_bad_move_the_machine_makes_its_own(bad: Script) -> None:
    async with scripted(bad, bad) as server:
        turn = await decide(server, limits=PATIENT)
        assert len(server.requests) == 2
    assert turn.words == []
    assert turn.reply.scripted == "illegal_move"
    assert isinstance(turn.reply.move, NextQuestion)
    assert turn.reply.acknowledgement in STOCK
    assert [type(finding) for finding in turn.findings] == [MoveRefused, MoveRefused]


async def test_an_illegal_move_is_refused_by_its_name_before_its_words() -> None:
    endless = Script([ROLE, named("skip_question"), 30.0])
    async with scripted(endless, move("wait", kind="thinking")) as server:
        turn = await asyncio.wait_for(decide(server), 5)
        await asyncio.wait_for(server.left.wait(), 5)
    assert turn.reply.move.name == "wait"


# --- models that fail ---------------------------------------------------------------------------

STALLS = {
    "before the head": Script([30.0]),
    "after the role": Script([ROLE, 30.0]),
    "after the name": Script([ROLE, named("wait"), 30.0]),
    "in mid-argument": Script([named("wait"), arguments('{"kind": "th'), 30.0]),
    "in a sentence": Script([named("next_question"), arguments('{"acknowledgement": "You'), 30.0]),
    "by dripping": Script([named("repeat_question"), *[arguments(" "), 0.1] * 40]),
}


@pytest.mark.parametrize("stall", STALLS.values(), ids=STALLS.keys())
async def test_a_stall_ends_in_the_machines_own_move(stall: Script) -> None:
    async with scripted(stall) as server:
        turn = await asyncio.wait_for(decide(server), 5)
        await asyncio.wait_for(server.left.wait(), 5)
    assert turn.words == []
    assert turn.reply.scripted == "model_stalled"
    assert isinstance(turn.reply.move, NextQuestion)
    (failed,) = turn.findings
    assert isinstance(failed, ModelFailed)
    assert "stalled" in failed.reason


BREAKS = {
    "before the head": [Script([None]), Script([None])],
    "after the role": [Script([ROLE, None])],
    "in mid-argument": [Script([ROLE, named("wait"), arguments('{"ki'), None])],
    "by an error event": [Script([ROLE, 'data: {"error": {"message": "the engine died"}}\n\n'])],
    "by 500, twice": [Script(status=500), Script(status=500)],
    "by 404": [Script(status=404)],
}


@pytest.mark.parametrize("scripts", BREAKS.values(), ids=BREAKS.keys())
async def test_a_broken_call_ends_in_the_machines_own_move(scripts: list[Script]) -> None:
    async with scripted(*scripts) as server:
        turn = await decide(server, limits=Limits())
    assert turn.words == []
    assert turn.reply.scripted == "model_unavailable"
    assert [type(finding) for finding in turn.findings] == [ModelFailed]


async def test_without_a_server_the_interview_goes_on() -> None:
    async with scripted() as server:
        pass
    turn = await decide(server, limits=Limits())
    assert turn.reply.scripted == "model_unavailable"


async def test_a_stream_that_breaks_behind_the_words_changes_nothing() -> None:
    for last in (None, 30.0):
        steps = [ROLE, named("next_question"), arguments('{"acknowledgement": "I see. '), last]
        async with scripted(Script(steps)) as server:
            turn = await asyncio.wait_for(decide(server), 5)
        assert turn.words == ["I see."]
        assert turn.reply.move == NextQuestion(acknowledgement="I see.")
        assert turn.findings == ()


async def test_a_stream_that_breaks_behind_a_whole_move_changes_nothing() -> None:
    for last in (None, 30.0):
        steps = [ROLE, named("wait"), arguments('{"kind": "thinking"}'), last]
        async with scripted(Script(steps)) as server:
            turn = await asyncio.wait_for(decide(server), 5)
        assert turn.reply.move.name == "wait"
        assert turn.findings == ()


# --- time and cancelling ------------------------------------------------------------------------


async def test_waiting_counts_from_the_end_of_the_turn() -> None:
    """A speculative call that takes longer than the limit is fine while the candidate speaks."""
    slow = Script([ROLE, QUICK.total_s + 0.2, *move("wait", kind="thinking").steps])
    ended = asyncio.Event()
    async with scripted(slow) as server:
        turn = await decide(server, ended=ended)
    assert not ended.is_set()
    assert turn.reply.scripted is None


async def test_a_speculation_that_stalls_is_given_up_after_the_turns_end() -> None:
    ended = asyncio.Event()
    async with scripted(Script([ROLE, 30.0])) as server:
        deciding = asyncio.ensure_future(decide(server, ended=ended))
        await asyncio.sleep(QUICK.first_token_s + 0.1)
        assert not deciding.done()
        ended.set()
        turn = await asyncio.wait_for(deciding, 5)
    assert turn.reply.scripted == "model_stalled"


@pytest.mark.parametrize("steps", [[30.0], [ROLE, 30.0], [ROLE, named("wait"), 30.0]])
async def test_cancelling_closes_the_stream(steps: list[str | float | None]) -> None:
    async with scripted(Script(steps)) as server:
        deciding = asyncio.ensure_future(decide(server, ended=asyncio.Event()))
        await server.asked.wait()
        await asyncio.sleep(0.05)
        deciding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await deciding
        await asyncio.wait_for(server.left.wait(), 5)


async def test_closing_the_decision_closes_the_stream() -> None:
    steps = [ROLE, named("next_question"), arguments('{"acknowledgement": "I see. '), 30.0]
    dialogue = at_a_question()
    async with scripted(Script(steps)) as server, model_at(server.url) as model:
        turn = MoveTurn(model, dialogue.conversation)
        items = turn.decide(dialogue.interview, dialogue.at, asyncio.Event())
        assert await anext(items) == Words("I see.")
        await items.aclose()
        await asyncio.wait_for(server.left.wait(), 5)


# --- which mode ---------------------------------------------------------------------------------

ENFORCED_CALL = move("wait", kind="not_finished")
ENFORCED_JSON = content('{"name": "wait", "kind": "not_finished"}')


@pytest.mark.parametrize(
    ("scripts", "mode"),
    [
        ([ENFORCED_CALL], "tools"),
        ([content("hello"), ENFORCED_JSON], "json_schema"),
        ([call("wait", "false"), ENFORCED_JSON], "json_schema"),
        ([move("wait", kind="thinking"), ENFORCED_JSON], "json_schema"),
        ([content("hello"), content("hello")], None),
    ],
)
async def test_one_real_call_finds_out_what_a_server_enforces(
    scripts: list[Script], mode: Mode | None
) -> None:
    async with (
        scripted(*scripts) as server,
        openai.AsyncOpenAI(base_url=server.url, api_key="none") as client,
    ):
        if mode is None:
            with pytest.raises(BadMove, match="neither"):
                await find_mode(client, "m")
        else:
            assert await find_mode(client, "m") == mode


async def test_an_event_without_choices_is_no_failure() -> None:
    script = Script([event(None), *move("wait", kind="thinking").steps])
    async with scripted(script) as server:
        turn = await decide(server)
    assert turn.reply.move.name == "wait"
