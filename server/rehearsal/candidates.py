"""The built-in candidates: for the rehearsal plans, the worked one, and any other plan. Pure.

Every English sentence is one that the rehearsal recogniser knows. The seed chooses among words,
voices and pauses that it hears without a mistake.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from agent.plan import Plan
from server.rehearsal import worked
from server.rehearsal.script import (
    ALL_DEMANDS,
    NEEDS_VOICE,
    TELEPHONE_DEMANDS,
    Script,
    Step,
    Turn,
    Voice,
)

VOICES = ("en-us", "en-us+m1", "en-us+m3", "en-us+f2", "en-us+f3", "en-us+f5")
"""Those that the rehearsal recogniser was trained on and hears without a mistake."""

_SLOTS: Mapping[str, tuple[str, ...]] = {
    "hobby": ("hiking and cooking", "reading and swimming", "running and painting"),
    "years": ("four", "five", "seven"),
    "skill": ("database design", "testing", "data analysis"),
    "built": (
        "payment system for a bank",
        "booking system for a hotel",
        "data pipeline for a hospital",
    ),
    "months": ("six", "seven", "ten"),
    "people": ("seven", "nine", "six"),
    "pct": ("forty percent", "thirty percent", "twenty percent"),
    "metric": ("costs", "errors", "customer complaints"),
    "weeks": ("four", "six", "three"),
}


def built_in(plan: Plan, seed: int = 0, *, by_telephone: bool = False) -> Script:
    """The candidate of a plan of Viva's own; for another, one with two sentences a question."""
    chance = random.Random(seed)
    if plan.plan_id == "rehearsal_en":
        return _by_telephone(_english(chance)) if by_telephone else _english(chance)
    if plan.plan_id == "rehearsal_zh":
        return _chinese()
    if plan.plan_id == worked.PLAN:
        return worked.candidate(chance, VOICES)
    return _anyone(plan, chance)


def _english(chance: random.Random) -> Script:
    slot = {name: chance.choice(values) for name, values in _SLOTS.items()}

    def pause() -> Step:
        return Step(pause=round(chance.uniform(0.6, 0.9), 2))

    def say(*sentences: str) -> list[Step]:
        return [Step(say=sentence.format(**slot)) for sentence in sentences]

    def turn(*steps: Step, **more: float) -> Turn:
        return Turn(steps=steps, **more)

    answers = {
        "warm_up": (turn(*say("In my free time I enjoy {hobby}.")),),
        "experience": (
            turn(
                *say(
                    "I worked as a software engineer for {years} years.",
                    "I used Python and {skill} every day.",
                    "In my last job I built a {built}.",
                )
            ),
        ),
        "project": (
            turn(
                *say(
                    "It was a difficult project, because the old system was slow.",
                    "We had only {months} months to replace the payment system.",
                    "There were {people} engineers in the group and I was the team leader.",
                ),
                pause(),
                *say(
                    "My role was to design the database.",
                    "I decided to build the test suite because safety always comes first.",
                    "When the new software failed, I checked every number again, "
                    "and we finished on time.",
                ),
                pause(),
                *say(
                    "After that, we divided the work into small steps.",
                    "I stayed calm and asked my manager for advice.",
                    "We launched the payment system before the deadline, "
                    "and the customer was happy.",
                ),
                pause(),
                *say(
                    "We reduced response times by {pct} last year.",
                    "As a result, {metric} went down by ten percent.",
                    "In the end, the project was a success.",
                ),
            ),
        ),
        "conflict": (
            turn(
                *say(
                    "Once two colleagues disagreed about the plan, "
                    "so I listened carefully to both sides."
                ),
                barge_in_s=3.0,
            ),
            turn(*say("In the end, everyone agreed with the decision.")),
        ),
        "mistake": (
            turn(*say("Sorry, could you say that again?")),
            turn(*say("May I think about that for a moment?")),
            turn(
                *say(
                    "Once we found a serious mistake, so I took responsibility for the mistake.",
                    "I shared my notes with everyone, and the team became stronger.",
                ),
                Step(pause=0.3),
                Step(drop=0.5),
                *say(
                    "To improve, I now make a list every morning.",
                    "After that, I trained two new people.",
                ),
                reaction_s=1.5,
            ),
        ),
        "weakness": (
            turn(Step(press="end")),
            turn(Step(type="No.")),
            turn(Step(press="skip")),
        ),
        "start": (turn(*say("I can start in {weeks} weeks.", "My notice period is two weeks.")),),
        "your_questions": (
            turn(*say("I have one question.", "How large is the team?")),
            turn(*say("Thank you for your time, it was nice to meet you.")),
        ),
    }
    voice = Voice(
        name=chance.choice(VOICES), rate=chance.randint(150, 162), pitch=chance.randint(40, 60)
    )
    return Script(voice=voice, answers=answers, demands=ALL_DEMANDS)


def _by_telephone(script: Script) -> Script:
    """The same answers; keys in place of buttons, a hold, and one question answered that a page
    skips."""
    answers = dict(script.answers)
    # On hold in the middle of a question, which is then said again.
    answers["project"] = (Turn(barge_in_s=2.0, steps=(Step(hold=0.5),)), *answers["project"])
    _, *rest = answers["mistake"]
    answers["mistake"] = (Turn(steps=(Step(key="*"),)), *rest)
    weakness = Step(say="I worry about small details, so I now make a list every morning.")
    answers["weakness"] = (Turn(steps=(weakness, Step(key="#"))),)
    return script.model_copy(update={"answers": answers, "demands": TELEPHONE_DEMANDS})


def _chinese() -> Script:
    def typed(*texts: str) -> tuple[Turn, ...]:
        return tuple(Turn(steps=(Step(type=text),)) for text in texts)

    answers = {
        "warm_up": typed("空闲时我喜欢爬山和做饭。"),
        "experience": typed(
            "我做过四年后端工程师，每天使用 Python，上一份工作里开发了一个支付系统。"
        ),
        "project": typed(
            "项目很困难，因为旧系统很慢，我们只有六个月时间替换支付系统。我负责设计数据库，"
            "把工作分成小步骤。最后响应时间减少了百分之四十，客户很满意。"
        ),
        "conflict": typed(
            "有一次两位同事对计划有分歧，我认真听取了双方的意见。", "最后大家都同意了这个决定。"
        ),
        "mistake": (
            *typed("请再说一遍。", "让我想一想。"),
            Turn(
                steps=(
                    Step(type="有一次我们发现了一个严重的错误，我承担了责任，把笔记分享给大家。"),
                    Step(drop=1.0),
                    Step(type="为了避免这样的错误，现在我每天早上列一个清单。"),
                )
            ),
        ),
        "weakness": (
            Turn(steps=(Step(press="end"),)),
            *typed("不。"),
            Turn(steps=(Step(press="skip"),)),
        ),
        "start": typed("我四周之后可以到岗。"),
        "your_questions": typed("我有一个问题，团队有多大？", "没有别的问题了，谢谢。"),
    }
    kept = tuple(demand for demand in ALL_DEMANDS if demand not in NEEDS_VOICE)
    return Script(
        language="zh",
        answers=answers,
        otherwise=Turn(steps=(Step(type="我说完了。"),)),
        demands=kept,
    )


_ANY = {
    "en": (
        "I worked as a software engineer for five years.",
        "I used Python and testing every day.",
        "We launched the payment system before the deadline, and the customer was happy.",
        "I stayed calm and asked my manager for advice.",
        "In the end, the project was a success.",
        "After that, we divided the work into small steps.",
    ),
    "zh": (
        "我做过五年后端工程师。",
        "我们把工作分成小步骤，最后按时完成了项目。",
        "我每天使用 Python。",
    ),
}


def _anyone(plan: Plan, chance: random.Random) -> Script:
    typed = plan.language == "zh"

    def turn() -> Turn:
        sentences = chance.sample(_ANY[plan.language], 2)
        return Turn(steps=tuple(Step(type=s) if typed else Step(say=s) for s in sentences))

    answers = {question.id: (turn(),) for question in plan.questions()}
    return Script(
        language=plan.language,
        voice=Voice(name=chance.choice(VOICES)),
        answers=answers,
        otherwise=turn(),
    )
