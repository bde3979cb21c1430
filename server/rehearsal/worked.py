"""The built-in candidate of the worked English plan, `backend_engineer_en`. Pure.

Every sentence is made of words that the rehearsal recogniser was taught (`asr/rehearsal/training`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from server.rehearsal.script import Script, Step, Turn, Voice

PLAN = "backend_engineer_en"

_SLOTS: Mapping[str, tuple[str, ...]] = {
    "day": ("good", "busy", "quiet"),
    "cause": ("a missing index", "a slow query", "a lock on the table"),
    "fix": ("add an index", "rewrite the query", "use a smaller transaction"),
    "timeout": ("two", "five", "ten"),
    "tool": ("Python", "Django", "FastAPI"),
    "store": ("PostgreSQL", "MySQL"),
    "requests": ("two hundred", "three hundred", "a thousand"),
    "minutes": ("thirty", "forty", "twenty"),
    "outage": ("a bad release", "a full disk", "a deadlock"),
}
_ANSWERS: Mapping[str, Sequence[Sequence[str]]] = {
    "practice": [["My day has been {day} so far."]],
    "slow_endpoint": [
        [
            "First I would look at the metrics and the query plan.",
            "I would measure where the time goes before I change anything.",
            "The most likely cause is {cause}.",
            "To fix it, I would {fix}.",
            "The cost is that writes become slower.",
            "To be sure that it worked, I would look at the response times again.",
        ]
    ],
    "unreliable_dependency": [
        ["Could you repeat the question, please?"],
        ["Let me think for a moment."],
        [
            "I would give the call a timeout of {timeout} seconds.",
            "Each payment has an idempotency key, so a retry charges the customer only once.",
            "After a timeout we do not know whether the payment happened.",
            "I would store the order as pending before I call the provider.",
            "Messages that fail go to a dead letter queue.",
        ],
    ],
    "own_project": [
        [
            "The project was a payment service for the customers.",
            "I wrote the order service in {tool}.",
            "We chose {store} because the team knew it well.",
            "We tested it with unit tests and on staging.",
            "It now handles {requests} requests every second.",
        ]
    ],
    "disagreement": [
        [
            "My colleague wanted to use Kafka, and I preferred Redis.",
            "My colleague said that it was faster.",
            "I thought that it was simpler, and I measured both of them.",
            "In the end we used the queue, and I supported the decision.",
            "Afterwards we worked well together.",
        ]
    ],
    "incident": [
        [
            "The order service was down for {minutes} minutes.",
            "The cause was {outage}.",
            "I was on call, so I rolled back the release and informed the customers.",
            "We found the cause in the logs.",
            "Since then, we have monitoring and an alert for the queue.",
        ]
    ],
    "your_questions": [
        ["How large is the team, and who is in it?"],
        ["No further questions, thank you."],
    ],
}
_OTHERWISE = "I would check it with a load test."


def candidate(chance: random.Random, voices: Sequence[str]) -> Script:
    """One that asks for the question again, thinks, answers all and has a question itself."""
    slots = {name: chance.choice(values) for name, values in _SLOTS.items()}
    answers = {
        question: tuple(_turn(sentences, slots) for sentences in turns)
        for question, turns in _ANSWERS.items()
    }
    return Script(
        voice=Voice(name=chance.choice(voices), rate=chance.randint(150, 162)),
        answers=answers,
        otherwise=_turn([_OTHERWISE], slots),
        demands=("candidate_question",),
    )


def _turn(sentences: Sequence[str], slots: Mapping[str, str]) -> Turn:
    return Turn(steps=tuple(Step(say=sentence.format(**slots)) for sentence in sentences))
