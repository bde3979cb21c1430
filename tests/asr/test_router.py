"""Several models behind the seam of one: each language is heard by its own, and counts add up."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from asr.admission import AdmissionLimits
from asr.engine import Engine
from asr.errors import AtCapacity, RecognitionFailed, UnknownLanguage
from asr.recognition import Audio, Recognition, Served, model_of
from asr.router import Router
from asr.stt import WhisperSTT
from tests.asr.hearing import LoudnessVAD


class Named:
    """Says its name and the language."""

    compute_type = "int8"

    def __init__(self, name: str) -> None:
        self.name = name

    def decode(
        self, audio: Audio, *, language: str, hotwords: Sequence[str] = (), words: bool = True
    ) -> Recognition:
        return Recognition(f"{self.name} {language}", language, -0.1, 0.0)


SECOND = np.zeros(16_000, np.float32)


async def test_each_language_is_heard_by_its_own_model_and_others_by_the_default() -> None:
    with Router(Engine(Named("small")), {"zh": Engine(Named("sense"), device="cuda")}) as router:
        said = [
            (await router.recognise(SECOND, language=one)).text for one in ("zh-CN", "en", "de")
        ]
        assert said == ["sense zh-CN", "small en", "small de"]
        assert (router.model, router.compute_type, router.device) == ("small", "int8", "cpu")
        assert router.languages == {"zh": Served("sense", "int8", "cuda")}
        assert model_of(router, "zh") == Served("sense", "int8", "cuda")
        assert model_of(router, "en") is None
        assert (router.counts.given, router.counts.batches, router.queued) == (3, 3, 0)
        names = [WhisperSTT(router, language=one, vad=LoudnessVAD()).model for one in ("zh", "en")]
        assert names == ["sense", "small"]


async def test_without_a_default_other_languages_are_refused_with_what_to_set() -> None:
    one = Engine(Named("one"))
    with Router(None, {"en": one, "zh": one}) as router:
        assert router.model == "one"
        assert (await router.recognise(SECOND, language="zh")).text == "one zh"
        with pytest.raises(UnknownLanguage, match=r"'fr', only for en, zh: VIVA_ASR_MODEL"):
            await router.recognise(SECOND, language="fr")
        assert router.counts.given == 1


async def test_a_session_enters_every_engine_or_none() -> None:
    wide, narrow = Engine(Named("wide"), workers=3), Engine(Named("narrow"))
    with Router(wide, {"zh": narrow}) as router:
        await router.enter("a")
        await router.enter("b")
        with pytest.raises(AtCapacity):  # two for each worker, until speech is measured
            await router.enter("c")
        assert (wide.sessions, narrow.sessions, router.sessions) == (2, 2, 2)
        assert router.promised == narrow.promised
        router.leave("a")
        await router.enter("c")
        await router.enter("d", regardless=True)
        assert (wide.sessions, narrow.sessions) == (3, 3)


class Working(Named):
    """Takes time, on a clock of its own."""

    now = 0.0

    def decode(
        self, audio: Audio, *, language: str, hotwords: Sequence[str] = (), words: bool = True
    ) -> Recognition:
        self.now += 0.1
        return super().decode(audio, language=language)


async def test_a_refusal_leaves_what_was_measured_of_the_others_speech() -> None:
    model = Working("wide")
    unmeasured = AdmissionLimits(measure_s=1e9)  # two for each worker
    wide = Engine(model, workers=3, admission=unmeasured, clock=lambda: model.now)
    with Router(wide, {"zh": Engine(Named("narrow"))}) as router:
        await router.enter("a")
        await router.enter("b")
        for _ in range(20):  # more than two are reckoned to say
            await router.recognise(np.zeros(5 * 16_000, np.float32), language="en")
        before = wide.promised
        for _ in range(50):  # a candidate's page asks again and again
            with pytest.raises(AtCapacity):
                await router.enter("c")
        assert wide.promised == before > 0


async def test_a_model_that_nobody_speaks_to_keeps_nobody_out() -> None:
    with Router(Engine(Named("small")), {"zh": Engine(Named("sense"))}) as router:
        await router.recognise(np.zeros(11 * 16_000, np.float32), language="en")
        for n in range(5):
            await router.enter(n)
        assert router.sessions == 5


async def test_closing_closes_every_engine() -> None:
    engines = [Engine(Named("a")), Engine(Named("b"))]
    router = Router(engines[0], {"zh": engines[1]})
    await asyncio.to_thread(router.close)
    for engine in engines:
        with pytest.raises(RecognitionFailed, match="closed"):
            await engine.recognise(SECOND, language="en")


def test_a_router_without_engines_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="without engines"):
        Router(None, {})
