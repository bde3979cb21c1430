"""Free words that may and may not be spoken, and candidates' words made harmless."""

from __future__ import annotations

import re

import pytest
from calls import small_plan
from hypothesis import given
from hypothesis import strategies as st

from agent.plan import Plan, Question
from agent.sentences import (
    ON_THE_PHONE,
    check_acknowledgement,
    check_free_probe,
    first_sentence,
    neutralise,
    sentences,
    stem,
)

HEARD = (
    "I worked as a software engineer for six years. I used Python and Node.js every day. "
    "We reduced response times by forty percent, and I did not use Java."
)
HEARD_ZH = "我做了六年后端工程师，每天使用Python，开发了支付系统，没有用过Java。"


# --- sentences ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I see. Thank you.", ["I see.", "Thank you."]),
        ("You used Node.js 3.5, e.g. at work.", ["You used Node.js 3.5, e.g. at work."]),
        ("Dr. Smith helped. Really?!", ["Dr. Smith helped.", "Really?!"]),
        ("“I see.” Thank you", ["“I see.”", "Thank you"]),
        ("好的。您用Python！谢谢", ["好的。", "您用Python！", "谢谢"]),
        ("  ", []),
    ],
)
def test_a_text_is_cut_into_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("You used Python", None),
        ("You used Python.", None),  # `Python.org` could still come
        ("You used Python. ", "You used Python."),
        ("You used Node.js. N", "You used Node.js."),
        ("您用Python。", None),
        ("您用Python。好", "您用Python。"),
        ("", None),
    ],
)
def test_a_growing_text_gives_its_first_sentence_once_it_is_surely_whole(
    text: str, expected: str | None
) -> None:
    assert first_sentence(text) == expected


@given(st.text())
def test_cutting_loses_no_letter(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@given(st.text("ab. !?。é", max_size=30), st.text("ab. !?。é", max_size=10))
def test_a_first_sentence_stays_the_same_however_the_text_goes_on(text: str, more: str) -> None:
    first = first_sentence(text)
    if first is not None:
        assert first_sentence(text + more) == first


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("designed", "design"),
        ("planning", "planned"),
        ("databases", "database"),
        ("studies", "study"),
        ("forty", "40"),
        ("engineer's", "engineers"),
    ],
)
def test_forms_of_a_word_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_different_words_keep_different_stems() -> None:
    named = ["python", "java", "cache", "test", "team", "kafka", "redis", "six", "seven"]
    assert len({stem(word) for word in named}) == len(named)


# --- acknowledgements -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "Thank you.",
        "Okay, noted.",
        "You used Python for six years.",
        "I see, you reduced response times by 40 percent.",
        "Thank you, you mentioned Node.js.",
        "Understood: a software engineer",
    ],
)
def test_neutral_words_that_name_what_was_said_pass(words: str) -> None:
    assert check_acknowledgement(words, HEARD, "en") is None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("", "no_words"),
        (".", "no_words"),
        ("Thank you. You used Python.", "more_than_one_sentence"),
        ("Thank you\nYou used Python", "more_than_one_sentence"),
        ("Great, you used Python.", "judges"),
        ("That is a very good answer.", "judges"),
        ("Unfortunately you used Python.", "judges"),
        ("That is correct.", "judges"),
        ("What did you use", "asks"),
        ("You used Python?", "asks"),
        ("Please go on.", "asks"),
        ("We will get back to you.", "promises"),
        ("You'll get an offer.", "promises"),
        ("Thank you for your time.", "farewell"),
        ("Goodbye.", "farewell"),
        ("You used Rust.", "not_said"),
        ("You worked there for eight years.", "not_said"),
        ("You reduced response times by 50 percent.", "not_said"),
        ("You led a team of engineers.", "not_said"),
        ("You did not use Python.", "denies"),
        ("You never used Python.", "denies"),
        ("You didn't use Python.", "denies"),
        ("You used Python, you used Python.", "repeats_itself"),
        ("Okay okay okay.", "repeats_itself"),
        ("<tool_call> you used Python.", "unspeakable"),
        ("You used **Python**.", "unspeakable"),
        ("You used Python\x07.", "unspeakable"),
        (
            "You used Python and you and I and we and they and it and so it is so.",
            "too_many_words: 15",
        ),
    ],
)
def test_other_words_do_not(words: str, reason: str) -> None:
    found = check_acknowledgement(words, HEARD, "en")
    assert found is not None
    assert str(found).startswith(reason)


@pytest.mark.parametrize(
    "words",
    [
        "好的，谢谢。",
        "您开发了支付系统，明白了。",
        "明白，您提到Python。",
        "好的，您做了六年后端工程师。",
    ],
)
def test_neutral_chinese_words_pass(words: str) -> None:
    assert check_acknowledgement(words, HEARD_ZH, "zh") is None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("很好。", "judges"),
        ("您的经验很丰富，太好了。", "judges"),
        ("您用什么？", "asks"),
        ("请继续。", "asks"),
        ("我们会通知您。", "promises"),
        ("再见。", "farewell"),
        ("您做了微服务。", "not_said"),
        ("您用Rust开发支付系统。", "not_said"),
        ("您没有做过支付系统。", "denies"),
        ("好的，谢谢。您用Python。", "more_than_one_sentence"),
        (
            "好的，"
            + "您开发了支付系统，每天使用Python，"
            + "我做了六年后端工程师，您提到的这一点我记下了。",
            "too_many_characters: 30",
        ),
    ],
)
def test_other_chinese_words_do_not(words: str, reason: str) -> None:
    found = check_acknowledgement(words, HEARD_ZH, "zh")
    assert found is not None
    assert str(found).startswith(reason)


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["en", "zh"]))
def test_any_words_are_judged_without_a_crash(words: str, heard: str, language: str) -> None:
    found = check_acknowledgement(words, heard, language)  # type: ignore[arg-type]
    assert found is None or found
    if found is None:
        assert len(sentences(words)) == 1
        assert not re.search(r"[<>{}?？]", words)


# --- free probes ----------------------------------------------------------------------------------


@pytest.fixture
def question() -> Question:
    return Question.model_validate(
        {
            "id": "cache",
            "text": "Tell me about a cache you built.",
            "rephrase": "Which cache did you build?",
            "free_probe": True,
        }
    )


@pytest.fixture
def guarded() -> Plan:
    return small_plan(forbidden_topics=["age, family", "health", "union membership"])


@pytest.mark.parametrize(
    "words",
    [
        "Why did you build the cache?",
        "How long did the Python version take?",
        "You mentioned Node.js, what did you use it for?",
        "In that software, which part was yours?",
    ],
)
def test_one_question_on_the_matter_passes(words: str, question: Question, guarded: Plan) -> None:
    assert check_free_probe(words, question, guarded, "en", HEARD) is None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("", "no_words"),
        ("Tell me about the cache.", "not_one_question"),
        ("Why the cache? And when?", "more_than_one_sentence"),
        ("Why the cache, and who used it?", "two_things"),
        ("Why the cache and how did you test it?", "two_things"),
        ("Great, why did you build the cache?", "judges"),
        ("What is your favourite colour?", "off_the_question"),
        ("How old were you when you built the cache?", "forbidden"),
        ("Did your family use the cache?", "forbidden"),
        ("Was union membership a matter for the cache?", "forbidden"),
        ("Are you married to the cache?", "forbidden"),
        ("Why <b>cache</b>?", "unspeakable"),
        ("Why " + "the cache of mine is " * 8 + "slow?", "repeats_itself"),
        (
            "Was the cache that you built at the bank where you were one of those who had to do "
            "with all of it for them over there then in use by them or by us?",
            "too_many_words: 30",
        ),
    ],
)
def test_other_questions_do_not(words: str, reason: str, question: Question, guarded: Plan) -> None:
    found = check_free_probe(words, question, guarded, "en", HEARD)
    assert found is not None
    assert str(found).startswith(reason)


def test_chinese_probes_obey_the_same_rules() -> None:
    question = Question.model_validate(
        {"id": "cache", "text": "请讲讲您做过的缓存。", "rephrase": "您做过什么缓存？"}
    )
    plan = small_plan(forbidden_topics=["年龄、家庭", "健康"])

    def check(words: str) -> str:
        return str(check_free_probe(words, question, plan, "zh", HEARD_ZH) or "")

    assert not check("这个缓存是给谁用的？")
    assert not check("支付系统的难点在哪里？")
    assert check("缓存为什么慢，您怎么解决？").startswith("two_things")
    assert check("您的家庭支持您做缓存吗？").startswith("forbidden")
    assert check("做缓存时您多大？").startswith("forbidden")
    assert check("您喜欢爬山吗？").startswith("off_the_question")
    assert check("很好，缓存是给谁用的？").startswith("judges")


def test_what_is_heard_once_is_shorter(question: Question, guarded: Plan) -> None:
    words = "Thank you, you mentioned that you used Python there for six years."
    assert check_acknowledgement(words, HEARD, "en") is None
    found = check_acknowledgement(words, HEARD, "en", ON_THE_PHONE)
    assert str(found) == "too_many_words: 10"
    probe = (
        "Which part of the cache was the one that you had to do over for them "
        "in all of these six years there?"
    )
    assert check_free_probe(probe, question, guarded, "en", HEARD) is None
    found = check_free_probe(probe, question, guarded, "en", HEARD, ON_THE_PHONE)
    assert str(found) == "too_many_words: 20"


# --- what comes in --------------------------------------------------------------------------------

CONTROL = [
    "<|im_start|>system",
    "<|im_end|>",
    "<tool_call>",
    "</tool_call>",
    "<|endoftext|>",
    "<s>",
    "</s>",
    "<<SYS>>",
    "[INST]",
    "[/INST]",
    "[TOOL_CALLS]",
    "<｜begin▁of▁sentence｜>",
    "＜|im_start|＞",
]


@pytest.mark.parametrize("token", CONTROL)
def test_no_control_text_is_left(token: str) -> None:
    found = neutralise(f"I said {token} then.")
    assert token not in found
    assert not re.search(r"[<>＜＞]|\[[A-Z/]", found)
    assert found.startswith("I said ")
    assert found.endswith(" then.")


@given(st.text(st.characters(exclude_categories=())))
def test_neutral_text_stays_as_it_is(text: str) -> None:
    once = neutralise(text)
    assert neutralise(once) == once
    assert len(once) == len(text)
    once.encode()


def test_ordinary_words_are_not_touched() -> None:
    text = "I used C++ & SQL [sometimes], 3.5 % faster | “quoted” 你好，世界。\nNext line."
    assert neutralise(text) == text


def test_invisible_signs_cannot_hide_a_token() -> None:
    assert "im_start" in neutralise("<\u200b|im_start|\u202e>")
    assert not re.search("[\u200b\u202e<>]", neutralise("<\u200b|im_start|\u202e>"))
