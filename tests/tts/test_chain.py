import asyncio
from collections.abc import Callable

import pytest
from livekit.agents import APIConnectionError, APIStatusError, tts
from voices_for_tests import UNIT_S, ToneVoice, runs

from tts.breaker import Breaker
from tts.cache import RenderedLines
from tts.chain import ReplyVoice, VoiceChain, VoiceChanged
from tts.errors import NoVoiceError

SENTENCE = "Tell me about a project that you are really proud of today."
LENGTH_S = len(SENTENCE) * UNIT_S


def never(text: str) -> float | None:
    return 0.0


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


async def heard(speaker: tts.TTS | ReplyVoice, text: str = SENTENCE) -> list[tuple[int, float]]:
    async with speaker.synthesize(text) as stream:
        return runs(b"".join([bytes(event.frame.data) async for event in stream]))


def changes(chain: VoiceChain) -> list[VoiceChanged]:
    seen: list[VoiceChanged] = []
    chain.on("voice_changed", seen.append)
    return seen


def only(value: int, length_s: float = LENGTH_S) -> list:
    return [(value, pytest.approx(length_s, abs=0.03))]


async def test_the_first_voice_speaks_while_it_is_well() -> None:
    first, second = ToneVoice("first", 100), ToneVoice("second", 200)
    chain = VoiceChain([first, second])
    assert await heard(chain) == only(100)
    assert second.asked == []


async def test_a_voice_that_fails_before_its_first_sound_is_replaced_from_the_start() -> None:
    chain = VoiceChain([ToneVoice("first", 100, fail_after=never), ToneVoice("second", 200)])
    seen = changes(chain)
    assert await heard(chain) == only(200)
    assert seen == [VoiceChanged("test: second", "test: first", "down", mid_sentence=False)]


async def test_a_voice_that_stops_in_the_middle_is_carried_on_from_there() -> None:
    first = ToneVoice("first", 100, fail_after=lambda text: LENGTH_S / 2)
    second = ToneVoice("second", 200)
    chain = VoiceChain([first, second])
    seen = changes(chain)
    (value, before), (other, after) = await heard(chain)
    assert (value, other) == (100, 200)
    assert before == pytest.approx(LENGTH_S / 2, abs=0.15)
    (rest,) = second.asked
    assert SENTENCE.endswith(rest) and rest != SENTENCE
    assert LENGTH_S <= before + after <= LENGTH_S + 1.0  # nothing lost, little said twice
    assert [change.mid_sentence for change in seen] == [True]


async def test_a_quick_refusal_is_asked_once_more() -> None:
    tries = iter([0.0, None])
    first = ToneVoice(
        "first",
        100,
        fail_after=lambda text: next(tries),
        error=lambda: APIStatusError("busy", status_code=503),
    )
    chain = VoiceChain([first, ToneVoice("second", 200)])
    seen = changes(chain)
    assert await heard(chain) == only(100)
    assert len(first.asked) == 2
    assert seen == []


@pytest.mark.parametrize("status", [403, 503])
async def test_a_refusing_voice_gives_way(status: int) -> None:
    first = ToneVoice(
        "first", 100, fail_after=never, error=lambda: APIStatusError("no", status_code=status)
    )
    chain = VoiceChain([first, ToneVoice("second", 200)])
    assert await heard(chain) == only(200)
    assert len(first.asked) == (1 if status == 403 else 2)


async def test_a_voice_that_breaks_in_an_unknown_way_is_replaced_too() -> None:
    first = ToneVoice("first", 100, fail_after=never, error=lambda: RuntimeError("bug"))
    chain = VoiceChain([first, ToneVoice("second", 200)])
    assert await heard(chain) == only(200)


async def test_a_reply_stays_with_the_fallback_it_came_to() -> None:
    fails = iter([0.0])
    first = ToneVoice("first", 100, fail_after=lambda text: next(fails, None))
    chain = VoiceChain([first, ToneVoice("second", 200)])
    reply = chain.reply()
    assert reply.voice is None
    assert [await heard(reply, text) for text in (SENTENCE, SENTENCE)] == [only(200), only(200)]
    assert reply.voice == "test: second"
    assert await heard(chain.reply()) == only(100)  # the next reply may go back


async def test_a_voice_that_keeps_failing_is_left_alone_and_probed_behind_the_scenes() -> None:
    clock, well = Clock(), asyncio.Event()
    first = ToneVoice("first", 100, fail_after=lambda text: None if well.is_set() else 0.0)
    second = ToneVoice("second", 200)
    chain = VoiceChain([first, second], clock=clock, breaker=lambda: Breaker(failures_to_open=2))
    seen = changes(chain)
    for _ in range(4):
        assert await heard(chain) == only(200)
    assert len(first.asked) == 2

    clock.at = 31
    assert await heard(chain) == only(200)  # its reply does not wait for the probe
    await _until(lambda: len(first.asked) == 3)

    well.set()
    clock.at = 95
    assert await heard(chain) == only(200)
    await _until(lambda: chain._members[0].breaker.closed)
    assert await heard(chain) == only(100)
    assert [change.voice for change in seen] == ["test: second", "test: first"]
    assert seen[1].reason == "it is well again"


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - the chain says nothing when a probe ends
            await asyncio.sleep(0.001)


async def test_ill_voices_are_asked_before_there_is_silence() -> None:
    well = asyncio.Event()
    only_voice = ToneVoice("only", 100, fail_after=lambda text: None if well.is_set() else 0.0)
    chain = VoiceChain([only_voice], clock=Clock())
    for _ in range(3):
        with pytest.raises(NoVoiceError, match="test: only: down"):
            await heard(chain)
    well.set()
    assert await heard(chain) == only(100)


async def test_with_no_voice_the_error_names_each_reason() -> None:
    chain = VoiceChain(
        [ToneVoice(name, 100, fail_after=never) for name in ("first", "second")], clock=Clock()
    )
    with pytest.raises(NoVoiceError) as failed:
        await heard(chain)
    assert failed.value.reasons == {"test: first": "down", "test: second": "down"}
    assert isinstance(failed.value, APIConnectionError) and not failed.value.retryable


async def test_words_that_say_nothing_are_no_error() -> None:
    voice = ToneVoice("first", 100)
    assert await heard(VoiceChain([voice]), "<|im_end|> ** 🎉") == []
    assert voice.asked == []


async def test_a_voice_of_another_rate_is_resampled() -> None:
    chain = VoiceChain([ToneVoice("first", 1000, rate=22_050)])
    async with chain.synthesize(SENTENCE) as stream:
        frames = [event.frame async for event in stream]
    assert {frame.sample_rate for frame in frames} == {24_000}
    assert sum(frame.duration for frame in frames) == pytest.approx(LENGTH_S, abs=0.03)


async def test_an_interruption_stops_the_voice_and_blames_nobody() -> None:
    first = ToneVoice("first", 100)
    first.hold = asyncio.Event()
    chain = VoiceChain([first, ToneVoice("second", 200)], clock=Clock())
    for _ in range(5):
        stream = chain.synthesize(SENTENCE)
        await anext(stream)
        await stream.aclose()
        assert first.active == 0
    first.hold.set()
    assert await heard(chain) == only(100)


async def test_sessions_share_health_but_not_events() -> None:
    first = ToneVoice("first", 100, fail_after=never)
    root = VoiceChain([first, ToneVoice("second", 200)], clock=Clock())
    one, two = root.for_session(), root.for_session()
    seen_by_one, seen_by_two = changes(one), changes(two)
    for _ in range(2):
        await heard(one)
    assert len(first.asked) == 2
    await heard(two)
    assert len(first.asked) == 2  # known to be ill
    assert len(seen_by_one) == len(seen_by_two) == 1
    assert seen_by_two[0].reason == "down"
    await one.aclose()
    assert not first.closed
    await root.aclose()
    assert first.closed


async def test_a_listener_that_breaks_does_not_end_the_sentence() -> None:
    chain = VoiceChain([ToneVoice("first", 100, fail_after=never), ToneVoice("second", 200)])

    def broken(change: VoiceChanged) -> None:
        raise TypeError("a listener's own mistake")

    chain.on("voice_changed", broken)
    assert await heard(chain) == only(200)


async def test_a_rendered_line_is_not_asked_for_again_and_voices_do_not_mix() -> None:
    fails = iter([None, 0.0])
    first = ToneVoice("first", 100, fail_after=lambda text: next(fails, None))
    second = ToneVoice("second", 200)
    cache = RenderedLines()
    await cache.render([SENTENCE], first)
    chain = VoiceChain([first, second], cache=cache)
    assert await heard(chain, f"**{SENTENCE}**") == only(100)
    assert first.asked == [SENTENCE]

    reply = chain.reply()
    assert await heard(reply, "Thank you.") == only(200, len("Thank you.") * UNIT_S)
    assert await heard(reply) == only(200)  # not the first voice's rendering: one voice a reply
    assert second.asked == ["Thank you.", SENTENCE]


async def test_lines_are_rendered_ahead_in_the_voice_that_is_well() -> None:
    first = ToneVoice("first", 100, fail_after=never)
    second = ToneVoice("second", 200)
    chain = VoiceChain([first, second], cache=RenderedLines(), clock=Clock())
    await chain.for_session().render_ahead([SENTENCE])
    assert second.asked == []  # the first is not known to be ill yet
    for _ in range(2):
        await heard(chain, "Thank you.")
    await chain.for_session().render_ahead([SENTENCE])
    assert second.asked[-1] == SENTENCE
    asked = len(second.asked)
    assert await heard(chain) == only(200)
    assert len(second.asked) == asked
    with pytest.raises(ValueError, match="no cache"):
        await VoiceChain([second]).render_ahead([SENTENCE])


def test_a_chain_without_voices_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        VoiceChain([])
