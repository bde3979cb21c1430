from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import intent_phrases, intents

Intent = Callable[[str], bool]
REQUESTS: dict[str, Intent] = {
    "skip": intents.wants_to_skip,
    "end": intents.wants_to_end,
    "person": intents.wants_a_person,
    "repeat": intents.wants_repeat,
    "thinking": intents.is_thinking,
    "refusal": intents.is_refusal,
}

MEANT = {
    "skip": [
        "Skip.",
        "Can we skip this question?",
        "Could we please skip that one?",
        "I would like to skip this question.",
        "Sorry, I'd rather not answer that.",
        "Next question, please.",
        "Let's move on to the next question.",
        "I'll pass on that one.",
        "We built a website for a bank and it worked. Can we go to the next question, please?",
        "I don't want to answer this question.",
        "跳过",
        "这道题能不能跳过？",
        "我想跳过这个问题，谢谢。",
        "可以换一道题吗？",
        "不好意思，这个问题我不想回答。",
        "下一题吧。",
    ],
    "end": [
        "I want to end the interview.",
        "Can we stop here?",
        "I'd like to stop the interview now, please.",
        "Sorry, I have to go.",
        "I don't want to continue.",
        "I don't want to continue the interview any more.",
        "Well, I think we should stop here.",
        "Goodbye.",
        "Please stop the interview.",
        "That was all that I did there. I would like to end this interview.",
        "我想结束面试。",
        "面试可以到这里吗？",
        "不好意思，我不想继续了。",
        "结束吧",
        "我要走了",
        "再见",
    ],
    "person": [
        "I want to talk to a real person.",
        "Can I speak to a human, please?",
        "Could I talk to someone else?",
        "I would prefer to be interviewed by a person.",
        "I don't want to talk to a machine.",
        "Could you put me through to a recruiter?",
        "Can I talk to someone instead of a robot?",
        "我想和真人谈。",
        "转人工",
        "能不能换真人面试？",
        "我不想跟机器人说话。",
        "请帮我转人工",
    ],
    "repeat": [
        "Could you repeat the question please?",
        "Could you repeat that?",
        "Sorry, could you say that again?",
        "I have one question. Could you repeat the question please?",
        "Well, could you repeat the question please?",
        "What was the question?",
        "Pardon?",
        "I didn't understand the question.",
        "Sorry, I didn't quite catch that.",
        "Could you rephrase the question in other words?",
        "What do you mean by that?",
        "Can you say that again more slowly?",
        "不好意思，能再说一遍吗？",
        "没听清楚",
        "请再重复一下问题。",
        "您可以再问一次吗？",
        "你刚才说什么？",
        "这个问题是什么意思？",
        "能换个说法吗？",
    ],
    "thinking": [
        "May I think about that for a moment?",
        "I have one question. May I think about that for a moment?",
        "Let me think.",
        "Hmm, let me think about that for a second.",
        "Give me a moment.",
        "Could I have a minute to think?",
        "One moment, please.",
        "Hold on a second.",
        "I need a moment to think about it.",
        "I'm still thinking.",
        "让我想想",
        "嗯，让我想一下。",
        "请给我一点时间",
        "等一下",
        "稍等。",
        "我先整理一下思路",
    ],
    "refusal": [
        "I can't think of one.",
        "I can't think of anything right now.",
        "Sorry, I don't know.",
        "I don't remember.",
        "I have no idea.",
        "That is a good question. I don't have an example.",
        "Nothing comes to mind.",
        "I've never done that.",
        "我想不出来",
        "嗯，我实在想不起来了。",
        "不知道",
        "我没有类似的经历。",
        "没什么要补充的。",
        "没有了",
    ],
}

TOLD = [
    "We worked late for three days to finish the project.",
    "In the end we had to stop the interview because the server stopped working.",
    "We decided to skip the question of cost and then the customer was happy.",
    "I said to my manager that I had to think about it, and then I built a new one.",
    "The customer asked whether we could repeat the training for new people.",
    "I asked the director to repeat the question and then I answered it in person.",
    "First I would like to talk to someone who knows the system.",
    "I would talk to a person from support before changing the code.",
    "I did not understand the requirements at first, so I asked for help early.",
    "I did not know Kafka then, but I learned it in two weeks and built the pipeline.",
    "Yes, I led a team of ten engineers.",
    "No, I have never worked in a bank before, but I learn quickly.",
    "Okay, I checked every number again.",
    "I would like to become a team leader.",
    "The next question was how to test it.",
    "I want to finish my degree in computer science.",
    "My plan was to stop the old server and to end the contract with the supplier.",
    "I have to go through the logs first, and then I look at the query plan.",
    "One moment that I remember well was the launch of the mobile application.",
    "We used Python and Redis. That's it.",
    "I left the company after the summer.",
    "The candidate before me wanted a person to lead the team.",
    "我们后来决定跳过这个问题，先做别的模块。",
    "面试的时候我们结束得很早，后来我去做了后端。",
    "我当时想了一下，先加了索引，再看执行计划。",
    "我不知道 Kafka 的细节，所以先看文档，然后做了一个原型。",
    "客户说没听清楚，我就把方案重新讲了一遍，后来大家都同意了。",
    "是的，我带过五个人的团队。",
    "不，我没有在银行工作过，但是我学得很快。",
    "我跟同事商量之后，停止了旧的服务。",
    "真人客服处理不过来的时候，我们做了一个机器人。",
]


@pytest.mark.parametrize(
    ("intent", "text"), [(intent, text) for intent, texts in MEANT.items() for text in texts]
)
def test_a_plain_request_is_recognised(intent: str, text: str) -> None:
    assert REQUESTS[intent](text)


@pytest.mark.parametrize(
    ("intent", "text"), [(intent, text) for intent, texts in MEANT.items() for text in texts]
)
def test_in_lower_case_and_without_marks_it_is_the_same(intent: str, text: str) -> None:
    if len(intents._sentences(text)) == 1:
        assert REQUESTS[intent](text.lower().strip(" .?!。？！").replace(",", ""))


@pytest.mark.parametrize("text", TOLD)
def test_a_story_asks_for_nothing(text: str) -> None:
    found = [name for name, intent in REQUESTS.items() if intent(text)]
    assert found == []
    assert not intents.is_yes(text)
    assert not intents.is_no(text)
    assert not intents.is_backchannel(text)


@pytest.mark.parametrize(
    ("intent", "text"), [(intent, text) for intent, texts in MEANT.items() for text in texts]
)
def test_one_request_is_not_taken_for_another(intent: str, text: str) -> None:
    found = {name for name, recognises in REQUESTS.items() if recognises(text)}
    assert found == {intent}


def test_a_courtesy_after_the_request_is_passed_over() -> None:
    assert intents.wants_repeat("Could you repeat the question? Thank you.")
    assert intents.wants_to_skip("我想跳过这道题。谢谢。")


def test_a_refusal_at_the_end_of_a_long_answer_is_none() -> None:
    answer = "I built the payment system for a bank with four engineers and it went live in March. "
    assert not intents.is_refusal(answer * 2 + "I don't remember.")


@pytest.mark.parametrize(
    "text",
    [
        "Yes.",
        "yes please",
        "Yes, I'm sure.",
        "Yes, end it.",
        "Okay.",
        "Yes, I want to end the interview.",
        "I agree.",
        "Yes, I do agree.",
        "Well, yes, that's fine.",
        "Yes. You may.",
        "我同意",
        "同意，可以的。",
        "是的",
        "确定",
        "是",
        "对，结束吧。",
        "好的，谢谢",
        "嗯",
    ],
)
def test_a_yes_is_a_yes(text: str) -> None:
    assert intents.is_yes(text)
    assert not intents.is_no(text)


@pytest.mark.parametrize(
    "text",
    [
        "No.",
        "No, let's continue.",
        "No thanks.",
        "Sorry, no.",
        "No, I don't want to end the interview.",
        "I have no more questions.",
        "No, that's all, thank you.",
        "I do not agree.",
        "I'd rather not, sorry.",
        "No, I don't consent.",
        "我不同意",
        "不是",
        "不，继续吧。",
        "没有了，谢谢。",
    ],
)
def test_a_no_is_a_no(text: str) -> None:
    assert intents.is_no(text)
    assert not intents.is_yes(text)


@pytest.mark.parametrize(
    "text",
    [
        "Yes, but I have a question.",
        "No idea what you mean.",
        "No, I mean yes.",
        "I agree with the decision.",
        "是因为预算不够",
        "我同意他的看法",
    ],
)
def test_a_word_more_is_neither_yes_nor_no(text: str) -> None:
    assert not intents.is_yes(text)
    assert not intents.is_no(text)


@pytest.mark.parametrize(
    "text",
    [
        "mm-hmm",
        "Mm-hmm.",
        "Uh-huh.",
        "okay",
        "Yes.",
        "I see.",
        "Okay, right.",
        "嗯",
        "嗯嗯。",
        "好的",
    ],
)
def test_a_listeners_noise_is_a_backchannel(text: str) -> None:
    assert intents.is_backchannel(text)


@pytest.mark.parametrize(
    "text", ["", "Yes, Python.", "Okay, stop.", "Wait.", "No.", "好的，我来说。"]
)
def test_words_that_say_something_are_no_backchannel(text: str) -> None:
    assert not intents.is_backchannel(text)


@pytest.mark.parametrize(
    "text",
    ["How large is the team?", "how large is the team", "Fine. Is there training?", "可以远程吗"],
)
def test_a_question_is_known_by_its_mark_or_first_word(text: str) -> None:
    assert intents.is_question(text)


def test_only_questions_are_no_answer() -> None:
    assert intents.only_asks("Do you offer training? When would the job start?")
    assert not intents.only_asks("I led the team. Is that what you mean?")
    assert not intents.only_asks("")
    assert not intents.only_asks("I worked in Boston.")


def test_every_part_of_the_notation_exists_and_every_phrase_compiles() -> None:
    for language, phrases in (("en", intent_phrases.ENGLISH), ("zh", intent_phrases.CHINESE)):
        for texts in phrases.values():
            for text in texts:
                assert intents._compiled(f"<lead> ({text}) <trail>", language).pattern


WORDS = sorted(
    {word for texts in intent_phrases.ENGLISH.values() for text in texts for word in text.split()}
    | set("我想要能不能可以再说一遍好的是嗯那个这个谢谢想想")
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join) | st.text(max_size=300))
def test_nothing_that_is_said_breaks_or_stalls_it(text: str) -> None:
    begun = time.process_time()
    for intent in (*REQUESTS.values(), intents.is_yes, intents.is_no, intents.is_backchannel):
        assert intent(text) in (True, False)
    intents.only_asks(text)
    # Not a measure of speed: an exponential pattern would take minutes.
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    "unit", ["嗯", "是的", "想想", "好的", "谢谢", "please ", "sorry ", "no ", "just really "]
)
def test_repetition_does_not_stall_it(unit: str) -> None:
    for intent in (*REQUESTS.values(), intents.is_yes, intents.is_no, intents.is_backchannel):
        assert intent(unit * 24 + "x") is False
        assert intent(unit * 5_000 + "x") is False
