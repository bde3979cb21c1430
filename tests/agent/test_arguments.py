"""Arguments decoded as they stream, held against `json.loads` for every split."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.arguments import Arguments, BadArguments

ANY_TEXT = st.text(
    st.characters(exclude_categories=())
)  # control characters and lone surrogates too
OBJECTS = st.dictionaries(
    ANY_TEXT, ANY_TEXT | st.booleans() | st.none() | st.integers(-9, 10**9), max_size=4
)


def without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    return value


def raw_json(fields: dict[str, object]) -> str:
    """JSON as a careless server writes it: nothing escaped but quotes and backslashes."""

    def write(value: object) -> str:
        if isinstance(value, str):
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return json.dumps(value)

    return "{" + ", ".join(f"{write(k)} :\n{write(v)}" for k, v in fields.items()) + "}"


def decode(fragments: list[str]) -> tuple[dict[str, object], dict[str, str], bool]:
    arguments, streamed = Arguments(), dict[str, str]()
    for fragment in fragments:
        for key, text in arguments.feed(fragment):
            assert text
            streamed[key] = streamed.get(key, "") + text
    return arguments.values, streamed, arguments.complete


def check_like_json(text: str, fragments: list[str]) -> None:
    expected = {
        without_surrogates(key): without_surrogates(value)
        for key, value in json.loads(text, strict=False).items()
    }
    if len(expected) < len(json.loads(text, strict=False)):
        return  # two keys that differ in a lone surrogate only: refused as one key twice
    values, streamed, complete = decode(fragments)
    assert values == expected
    assert complete
    assert streamed == {k: v for k, v in expected.items() if isinstance(v, str) and v}


@given(OBJECTS, st.booleans(), st.booleans())
def test_every_split_in_two_decodes_like_json_loads(
    fields: dict[str, object], escaped: bool, stray_brace: bool
) -> None:
    text = json.dumps(fields) if escaped else raw_json(fields)
    sent = text + "}" if stray_brace else text
    step = max(1, len(sent) // 40)
    for at in range(0, len(sent) + 1, step):
        check_like_json(text, [sent[:at], sent[at:]])


@given(OBJECTS, st.booleans(), st.data())
def test_any_fragments_decode_like_json_loads(
    fields: dict[str, object], escaped: bool, data: st.DataObject
) -> None:
    text = json.dumps(fields) if escaped else raw_json(fields)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    fragments = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    check_like_json(text, fragments)
    check_like_json(text, list(text))


@given(st.text())
def test_no_text_does_more_than_raise_bad_arguments(text: str) -> None:
    try:
        decode(list("{" + text))
    except BadArguments:
        return
    assert True  # ignored, incomplete or an object: none of them crashes


@given(OBJECTS, st.integers(0, 200))
def test_a_truncated_object_gives_its_whole_values_and_is_not_complete(
    fields: dict[str, object], kept: int
) -> None:
    text = json.dumps(fields)
    whole = {without_surrogates(k): without_surrogates(v) for k, v in fields.items()}
    if len(whole) < len(fields) or kept >= len(text):
        return
    values, _, complete = decode([text[:kept]])
    assert values.items() <= whole.items()
    assert not complete


def test_a_split_emoji_arrives_whole_and_once() -> None:
    arguments = Arguments()
    text = '{"a": "x\\ud83d\\ude00y"}'
    got = [piece for character in text for piece in arguments.feed(character)]
    assert got == [("a", "x"), ("a", "😀"), ("a", "y")]


@pytest.mark.parametrize(
    ("escapes", "expected"),
    [
        ("\\ud83d", "\ufffd"),
        ("\\ude00", "\ufffd"),
        ("\\ud83dx", "\ufffdx"),
        ("\\ud83d\\ud83d\\ude00", "\ufffd😀"),
        ("\\ud83d\\n", "\ufffd\n"),
        ("\ud83d", "\ufffd"),
    ],
)
def test_a_surrogate_without_a_partner_is_replaced(escapes: str, expected: str) -> None:
    values, _, _ = decode(list('{"a": "' + escapes + '"}'))
    assert values == {"a": expected}


def test_raw_control_characters_are_kept() -> None:
    values, _, _ = decode(['{"a": "one\ntwo\x00\tthree"}'])
    assert values == {"a": "one\ntwo\x00\tthree"}


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        "[1]",
        "false",
        '{"a" "b"}',
        '{"a": [1]}',
        '{"a": {"b": 1}}',
        '{"a": tru}',
        '{"a": }',
        '{"a": "\\x"}',
        '{"a": "\\u12g4"}',
        '{"a": 1,}',
        '{"a": 1, "a": 2}',
        "{a: 1}",
    ],
)
def test_what_is_no_flat_object_is_refused(text: str) -> None:
    with pytest.raises(BadArguments):
        decode([text])
