"""What the interviewing model reads: tools, system text, and the talk so far, only appended to.

Tools and system text are the same bytes for a whole interview, and the history only grows, so that
a server's prefix cache holds and a resumed interview sends what the first one sent. What is open
and legal now stands in the last message alone. Ideal answers, checks and rubrics are not in here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from string import Template
from typing import Any, Literal

import prompts
from agent.events import Event, LineSpoken, MoveHeard, MoveRefused, RequestMade, TurnSettled
from agent.interview import Interview, Legal
from agent.moves import FREE_PROBE, GENERAL_ANSWERS, Move
from agent.plan import Plan, Question
from agent.refusal import Refusal, read
from agent.sentences import ON_THE_PHONE, USUAL, Lengths, neutralise

Mode = Literal["tools", "json_schema"]
"""How a server is made to answer with a move: by a function call, or by a JSON schema."""
Message = dict[str, Any]
"""A chat message of the OpenAI API; its shape is the API's, not ours."""
Schema = dict[str, Any]
MAX_TURN = 8000
"""Letters of one turn that the model reads, about ten minutes of quick speech: a pasted book must
not fill the context for the rest of the interview."""


# --- moves as schemas -----------------------------------------------------------------------------


def tools(plan: Plan) -> list[Schema]:
    """The seven moves as strict function tools; enums hold all the plan's ids."""
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": description,
                "strict": True,
                "parameters": _object(properties),
            },
        }
        for name, description, properties in _moves(plan)
    ]


def response_format(plan: Plan) -> Schema:
    """The same moves as one JSON schema, for servers that ignore `tool_choice`."""
    shapes = [_object({"name": _choice([name])} | fields) for name, _, fields in _moves(plan)]
    return {
        "type": "json_schema",
        "json_schema": {"name": "move", "strict": True, "schema": {"anyOf": shapes}},
    }


def request_fields(plan: Plan, mode: Mode) -> Schema:
    """What a request must carry so that its answer is exactly one move."""
    if mode == "json_schema":
        return {"response_format": response_format(plan)}
    return {"tools": tools(plan), "tool_choice": "required", "parallel_tool_calls": False}


def _moves(plan: Plan) -> Iterable[tuple[str, str, dict[str, Schema]]]:
    for name, (description, fields) in _texts(plan.language).items():
        shapes = _fields(plan)[name]
        assert list(shapes) == list(fields), f"moves.md and the fields of {name} differ"
        yield name, description, {f: shapes[f] | {"description": t} for f, t in fields.items()}


def _fields(plan: Plan) -> dict[str, dict[str, Schema]]:
    """Each move's fields: ids before free words, so that a move is known before its words."""
    text, flag = {"type": "string"}, {"type": "boolean"}
    probes = [probe.id for question in plan.questions() for probe in question.probes]
    return {
        "next_question": {"acknowledgement": text},
        "ask_probe": {"probe_id": _choice([*probes, FREE_PROBE]), "question": text},
        "repeat_question": {"rephrase": flag},
        "skip_question": {"reason": text},
        "wait": {"kind": _choice(["thinking", "not_finished"])},
        "answer_candidate": {"faq_id": _choice([*(f.id for f in plan.faq), *GENERAL_ANSWERS])},
        "end_interview": {"reason": text},
    }


def _choice(values: Iterable[str]) -> Schema:
    return {"type": "string", "enum": list(dict.fromkeys(values))}


def _object(properties: dict[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@cache
def _texts(language: str) -> dict[str, tuple[str, dict[str, str]]]:
    """What `moves.md` says of each move and of its fields."""
    return {
        name: (body.partition("\n- ")[0], dict(re.findall(r"(?m)^- (\w+): (.+?)\s*$", body)))
        for name, body in prompts.sections(language, "moves").items()
    }


# --- the system text ------------------------------------------------------------------------------


def system_message(plan: Plan, mode: Mode = "tools") -> Message:
    text = prompts.text(
        plan.language,
        "interviewer",
        job=neutralise(f"{plan.job.title} ({plan.job.level}). {plan.job.description}".strip()),
        plan="\n".join(_outline(plan)),
        faq="\n".join(f"- {faq.id}: {neutralise(faq.question)}" for faq in plan.faq)
        or _history(plan.language, "none"),
        forbidden=", ".join(map(neutralise, plan.policy.forbidden_topics)) or "-",
    )
    if mode == "json_schema":
        moves = prompts.source(plan.language, "moves").strip()
        text = f"{text}\n\n{_history(plan.language, 'answer_as_json')}\n\n{moves}"
    return {"role": "system", "content": text}


def _outline(plan: Plan) -> Iterable[str]:
    for stage in plan.stages:
        yield f"# {stage.id}: {neutralise(stage.title)}"
        for question in stage.questions:
            yield f"- {question.id}: {neutralise(question.text)}"
            for probe in question.probes:
                yield f"  - {probe.id} ({probe.trigger}): {neutralise(probe.text)}"
            if question.free_probe:
                yield f"  - {FREE_PROBE}"


# --- the talk so far ------------------------------------------------------------------------------


def _history(language: str, name: str, **facts: str) -> str:
    return Template(prompts.sections(language, "history")[name]).substitute(facts)


def quoted(text: str) -> str:
    """Words as data: neutralised, on one line, in quotation marks; the middle of too many is left
    out."""
    if len(text) > MAX_TURN:
        text = f"{text[: MAX_TURN // 2]} […] {text[-MAX_TURN // 2 :]}"
    return json.dumps(neutralise(text), ensure_ascii=False)


class Conversation:
    """The messages so far, from events; `messages` is only ever appended to."""

    def __init__(self, plan: Plan, mode: Mode = "tools", events: Iterable[Event] = ()) -> None:
        self.plan = plan
        self.mode: Mode = mode
        self.messages: list[Message] = [system_message(plan, mode)]
        self._said: list[str] = []
        """What the interviewer said since the last move; goes before what was heard."""
        self._heard: list[str] = []
        self._settled: set[str] = set()
        self._calls: list[str] = []
        """The one call that still lacks its answer."""
        self.extend(events)

    def extend(self, events: Iterable[Event]) -> None:
        """Fold events that happened, in their order."""
        for event in events:
            self._fold(event)

    def messages_for(self, interview: Interview, at: float, heard_text: str = "") -> list[Message]:
        """All messages for a decision now. The words decided on are those of the settled turn,
        which need not have been folded yet, or `heard_text`."""
        settled, heard = interview.settled, list(self._heard)
        if settled is not None and settled.turn_id not in self._settled:
            heard.append(self._candidate(settled.turn_id, settled.text))
        if heard_text:
            heard.append(self._candidate(interview.turn_id, heard_text))
        last = self._waiting(heard)
        last[-1]["content"] += f"\n\n{self._situation(interview, at)}"
        return [*self.messages, *last]

    def _fold(self, event: Event) -> None:
        match event:
            case TurnSettled():
                self._settled.add(event.turn_id)
                self._heard.append(self._candidate(event.turn_id, event.text))
            case RequestMade():
                self._heard.append(self._line("request", text=event.request))
            case LineSpoken() if event.text:
                name = "interrupted" if event.interrupted else "interviewer"
                self._said.append(self._line(name, text=quoted(event.text)))
            case MoveRefused():
                refusal = read(event.reason)
                text = _worded(self.plan.language, refusal) if refusal else event.reason
                facts = {"move": neutralise(event.move), "text": neutralise(text)}
                self._heard.append(self._line("refused", **facts))
            case MoveHeard():
                self._append_move(event)
            case _:
                pass

    def _append_move(self, event: MoveHeard) -> None:
        self.messages += self._waiting(self._heard)
        self._said, self._heard, self._calls = [], [], []
        if event.scripted is not None:
            self._said.append(self._line("scripted", text=event.scripted))
        if self.mode == "json_schema":
            content = json.dumps(_spoken_for(event.move), ensure_ascii=False)
            self.messages.append({"role": "assistant", "content": content})
            return
        arguments = json.dumps(_spoken_for(event.move, named=False), ensure_ascii=False)
        self._calls = [event.reply_id]
        call = {
            "id": event.reply_id,
            "type": "function",
            "function": {"name": event.move.name, "arguments": arguments},
        }
        self.messages.append({"role": "assistant", "content": "", "tool_calls": [call]})

    def _waiting(self, heard: list[str]) -> list[Message]:
        """The messages between the last move and the next: what was said, then what was heard."""
        said = "\n".join(self._said)
        answers: list[Message] = [
            {"role": "tool", "tool_call_id": call, "content": said or self._line("silent")}
            for call in self._calls
        ]
        lines = [*([] if self._calls else self._said), *(heard or [self._line("silent")])]
        return [*answers, {"role": "user", "content": "\n".join(lines)}]

    def _candidate(self, turn_id: str, text: str) -> str:
        return self._line("candidate", turn=turn_id, text=quoted(text))

    def _line(self, name: str, **facts: str) -> str:
        return _history(self.plan.language, name, **facts)

    def _situation(self, interview: Interview, at: float) -> str:
        legal, none = interview.legal(at), self._line("none")
        text = prompts.text(
            self.plan.language,
            "turn",
            question=_named(interview.open_question) or none,
            moves=", ".join(legal.moves),
            probes=", ".join(legal.probe_ids) or none,
            notes=" ".join(self._notes(legal)) or none,
        )
        return f"{text}\n{self._on_phone()}" if interview.on_phone else text

    def _on_phone(self) -> str:
        """Here and not in the system text: the candidate may go on in a browser."""
        zh, most = self.plan.language == "zh", ON_THE_PHONE
        words, probe = (
            (most.characters_zh, most.probe_characters_zh) if zh else (most.words, most.probe_words)
        )
        return self._line("on_phone", most=str(words), most_asked=str(probe))

    def _notes(self, legal: Legal) -> Iterable[str]:
        for move, refusal in legal.notes.items():
            yield self._line("not_legal", move=move, text=_worded(self.plan.language, refusal))


def lengths_for(interview: Interview) -> Lengths:
    """How long the model's own words may be."""
    return ON_THE_PHONE if interview.on_phone else USUAL


def _worded(language: str, refusal: Refusal) -> str:
    """Why not, in the interview's language."""
    wording = Template(prompts.sections(language, "refusals")[refusal.reason])
    return wording.substitute(fact=refusal.fact)


def with_refusal(messages: list[Message], refusal: Refusal, plan: Plan) -> list[Message]:
    """The same messages, their last one saying why the model's move was refused."""
    *before, last = messages
    text = _history(plan.language, "retry", text=neutralise(_worded(plan.language, refusal)))
    return [*before, last | {"content": f"{last['content']}\n\n{text}"}]


def _named(question: Question | None) -> str:
    return "" if question is None else f"{question.id}: {neutralise(question.text)}"


def _spoken_for(move: Move, *, named: bool = True) -> dict[str, object]:
    fields = move.model_dump(exclude={"name"})
    return {"name": move.name, **fields} if named else fields
