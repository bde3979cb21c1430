"""Every word of the pages is there in both languages; no page has a script or style of its own."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

import pytest
from jinja2 import Environment, nodes

import web

TEMPLATES = sorted(web.TEMPLATES.rglob("*.html"))
INLINE = re.compile(
    # A block of JSON is data, and no script.
    r"<style|<script(?![^>]*(?:\ssrc=|application/json))|\sstyle\s*=|\son[a-z]+\s*=\s*[\"']"
    r"|javascript:",
    re.I,
)


def facts(text: str) -> set[str]:
    """What is filled in: `$fact` by the server, `{fact}` by a script."""
    return {*Template(text).get_identifiers(), *re.findall(r"\{\w+\}", text)}


def name(file: Path) -> str:
    return file.relative_to(web.TEMPLATES).as_posix()


def test_both_languages_have_the_same_words() -> None:
    english, chinese = web.words("en"), web.words("zh")
    assert english.keys() == chinese.keys()
    assert all(text.strip() for text in (*english.values(), *chinese.values()))


def test_both_languages_fill_in_the_same_facts() -> None:
    english, chinese = web.words("en"), web.words("zh")
    assert {key: facts(text) for key, text in english.items()} == {
        key: facts(text) for key, text in chinese.items()
    }


def test_chinese_is_chinese() -> None:
    same = {
        key
        for key, text in web.words("zh").items()
        if not re.search(r"[\u4e00-\u9fff]", text) and re.search(r"[A-Za-z]{4,}", text)
    }
    assert same == set()


@pytest.mark.parametrize("file", TEMPLATES, ids=name)
def test_every_word_that_a_template_says_is_there(file: Path) -> None:
    known = web.words("en")
    tree = Environment().parse(file.read_text(encoding="utf-8"))
    for call in tree.find_all(nodes.Call):
        if not (isinstance(call.node, nodes.Name) and call.node.name == "t"):
            continue
        (key,) = call.args
        if isinstance(key, nodes.Const):
            assert key.value in known, key.value
            given = {one.key for one in call.kwargs}
            assert Template(known[key.value]).get_identifiers() is not None
            assert set(Template(known[key.value]).get_identifiers()) == given, key.value
        elif isinstance(key, nodes.Concat) and isinstance(key.nodes[0], nodes.Const):
            prefix = key.nodes[0].value
            assert any(one.startswith(prefix) for one in known), prefix


@pytest.mark.parametrize("file", TEMPLATES, ids=name)
def test_no_template_has_a_script_or_a_style_of_its_own(file: Path) -> None:
    assert INLINE.findall(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", sorted(web.STATIC.rglob("*.js")), ids=lambda file: file.stem)
def test_no_script_makes_markup_out_of_text(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert sink not in text
    assert not re.search(r"https?://", text)
