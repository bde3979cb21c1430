from collections.abc import AsyncIterator

import pytest

from tts.errors import EspeakError
from tts.espeak_process import EspeakProcess
from tts.phonemes import spelled


@pytest.fixture
async def process() -> AsyncIterator[EspeakProcess]:
    process = EspeakProcess()
    yield process
    await process.aclose()


@pytest.mark.parametrize(
    ("clauses", "expected"),
    [
        ([("həlˈoʊ", "Hello, t"), ("ðˈɛɹ", "here.")], "həlˈoʊ, ðˈɛɹ."),
        ([("fˈaɪv", "3.5")], "fˈaɪv"),
        ([("dˈɑːktɚ", "Dr. S"), ("smˈɪθ", "mith?")], "dˈɑːktɚ smˈɪθ?"),
        ([("ni2χˈɑu2", "你好，请"), ("(en)wˈɜːd(cmn)", "word。")], "ni2χˈɑu2, wˈɜːd."),
        ([("sˈɛd", "said,” h"), ("hˈiː", "e")], "sˈɛd, hˈiː"),
        ([("", "...")], ""),
    ],
)
def test_the_marks_are_put_back(clauses: list[tuple[str, str]], expected: str) -> None:
    assert spelled(clauses) == expected


def test_accents_are_taken_apart() -> None:
    assert spelled([("ɔ̃ç", "x")]) == "ɔ̃c\u0327"


async def test_english_is_spelled_with_its_punctuation_and_numbers(process: EspeakProcess) -> None:
    said = await process.phonemes("Well, Dr. Smith: what did you do in 2024?", "en-us")
    assert said.startswith("wˈɛl, dˈɑːktɚ smˈɪθ: wˌʌt")
    assert said.endswith("twˈɛnti fˈɔːɹ?")


async def test_mandarin_is_spelled_with_tones_and_foreign_words(process: EspeakProcess) -> None:
    said = await process.phonemes("你好，请介绍Python项目。", "cmn")
    assert said.startswith("ni2χˈɑu2, ") and said.endswith(".")
    assert "pˈaɪθən" in said and "(" not in said


async def test_a_voice_that_espeak_has_not_is_a_named_error(process: EspeakProcess) -> None:
    with pytest.raises(EspeakError, match="no voice 'xx'"):
        await process.phonemes("Hello.", "xx")
    assert await process.phonemes("Hello.", "en-us")  # refusing is not dying
