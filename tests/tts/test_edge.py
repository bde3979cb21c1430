import asyncio
import contextlib
import time
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
from aiohttp import web
from edge_server import EdgeServer, Turn, mp3, tone, whole_sentence
from edge_tts.drm import DRM, generate_sec_ms_gec_v2
from livekit.agents import (
    APIConnectionError,
    APIConnectOptions,
    APIError,
    APIStatusError,
    APITimeoutError,
)
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT

from tts.audio import SAMPLE_RATE, Samples
from tts.edge import EdgeTTS, Mp3Decoder

ONCE = APIConnectOptions(max_retry=0)


@pytest.fixture
async def server(tmp_path: Path):
    async with EdgeServer(tmp_path) as server:
        yield server
    DRM.clock_skew_seconds = 0.0  # edge-tts keeps it for the process


def voice_of(
    server: EdgeServer, *, first_chunk_timeout_s: float = 30, stall_timeout_s: float = 30
) -> EdgeTTS:
    """Patient, unless told otherwise: a busy machine is no failure."""
    return EdgeTTS(
        connector=server.connector,
        first_chunk_timeout_s=first_chunk_timeout_s,
        stall_timeout_s=stall_timeout_s,
    )


async def spoken(voice: EdgeTTS, text: str = "Hello there.") -> Samples:
    async with voice.synthesize(text, conn_options=ONCE) as stream:
        pcm = b"".join([bytes(event.frame.data) async for event in stream])
    return np.frombuffer(pcm, np.int16)


async def test_a_sentence_is_decoded_with_its_silences_cut(server: EdgeServer) -> None:
    samples = await spoken(voice_of(server))
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 160)
    assert len(samples) / SAMPLE_RATE == pytest.approx(1.0 + 0.02 + 0.2, abs=0.05)
    assert loud[0] <= 0.025 * SAMPLE_RATE
    spectrum = np.abs(np.fft.rfft(samples[:SAMPLE_RATE].astype(np.float64)))
    assert np.argmax(spectrum) == pytest.approx(440, abs=2)


async def test_the_words_and_the_voice_are_what_is_asked_for(server: EdgeServer) -> None:
    await spoken(voice_of(server), "**Tell** me <|im_end|> about R&D.")
    (ssml,) = server.heard
    assert "Tell me about R&amp;D." in ssml
    assert "EmmaMultilingualNeural" in ssml


async def test_the_first_frame_leaves_before_the_last_byte_arrives(server: EdgeServer) -> None:
    frame_arrived = asyncio.Event()

    async def waits_for_the_listener(turn: Turn) -> None:
        data = mp3(tone(1.0))
        await turn.text("turn.start")
        await turn.audio(data[: len(data) // 2])
        await frame_arrived.wait()  # the rest is sent only once something was heard
        await turn.audio(data[len(data) // 2 :])
        await turn.text("turn.end")

    server.script = waits_for_the_listener
    async with voice_of(server).synthesize("Hi.", conn_options=ONCE) as stream:
        first = await anext(stream)
        frame_arrived.set()
        rest = [event async for event in stream]
    assert first.frame.samples_per_channel > 0
    assert sum(event.frame.duration for event in rest) > 0.3


async def test_word_times_count_from_the_first_sound(server: EdgeServer) -> None:
    async def with_words(turn: Turn) -> None:
        await turn.text("turn.start")
        await turn.word("Hello", 0.2, 0.7)
        await turn.word("there", 0.7, 1.2)
        await turn.audio(mp3(tone(1.0, lead_s=0.2)))
        await turn.text("turn.end")

    server.script = with_words
    async with voice_of(server).synthesize("Hello there.", conn_options=ONCE) as stream:
        events = [event async for event in stream]
    words = [w for event in events for w in event.frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, [])]
    assert [str(word) for word in words] == ["Hello", "there"]
    # The encoder itself delays the sound by about 50 ms, which the cut takes off as well.
    assert words[1].end_time == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize("status", [403, 503])
async def test_a_refusal_is_a_status_error(server: EdgeServer, status: int) -> None:
    server.status = status
    with pytest.raises(APIStatusError) as refused:
        await spoken(voice_of(server))
    assert refused.value.status_code == status


async def test_a_wrong_clock_is_set_by_the_service_and_tried_again(server: EdgeServer) -> None:
    server.clock_ahead_s = 3600

    def only_with_the_right_time(request: web.Request) -> int:
        token = parse_qs(request.query_string)["Sec-MS-GEC"][0]
        return 101 if token == generate_sec_ms_gec_v2(time.time() + 3600) else 403

    server.answers = only_with_the_right_time  # type: ignore[method-assign]
    assert len(await spoken(voice_of(server))) > SAMPLE_RATE
    assert len(server.requests) == 2


async def silent(turn: Turn) -> None:
    await turn.text("turn.start")
    await turn.audio(mp3(np.zeros(SAMPLE_RATE, np.int16)))
    await turn.text("turn.end")


async def empty(turn: Turn) -> None:
    await turn.text("turn.start")
    await turn.text("turn.end")


@pytest.mark.parametrize("script", [silent, empty])
async def test_audio_without_sound_is_a_failure(server: EdgeServer, script) -> None:
    server.script = script
    with pytest.raises(APIError, match="no audio"):
        await spoken(voice_of(server))


async def half(turn: Turn) -> None:
    data = mp3(tone(1.0))
    await turn.text("turn.start")
    await turn.audio(data[: len(data) // 2])


async def hangs(turn: Turn) -> None:
    await half(turn)
    await asyncio.Event().wait()


async def hangs_at_once(turn: Turn) -> None:
    await turn.text("turn.start")
    await asyncio.Event().wait()


async def rubbish(turn: Turn) -> None:
    await turn.websocket.send_str("no header at all")


async def not_mp3(turn: Turn) -> None:
    await turn.text("turn.start")
    await turn.audio(b"<html>busy</html>" * 300)
    await turn.text("turn.end")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (half, APIConnectionError),
        (hangs, APITimeoutError),
        (hangs_at_once, APITimeoutError),
        (rubbish, APIConnectionError),
        (not_mp3, APIError),
    ],
)
async def test_a_service_that_fails_in_mid_sentence_is_an_error(
    server: EdgeServer, script, error: type[APIError]
) -> None:
    server.script = script
    voice = voice_of(server, first_chunk_timeout_s=0.3, stall_timeout_s=0.3)
    with pytest.raises(error):
        await spoken(voice)


async def test_what_came_before_the_failure_is_still_heard(server: EdgeServer) -> None:
    server.script = half
    heard = 0.0
    async with voice_of(server).synthesize("Hello there.", conn_options=ONCE) as stream:
        with pytest.raises(APIConnectionError):
            async for event in stream:
                heard += event.frame.duration
    assert 0.3 < heard < 0.9


LONG = "一句话， 有好几个词。 " * 180
"""Over 5000 bytes: edge-tts cuts at 4096, and makes a connection for each part."""


async def test_a_long_line_of_two_parts_is_one_sound(server: EdgeServer) -> None:
    samples = await spoken(voice_of(server), LONG)
    assert len(server.heard) == 2
    # The service's silence between the parts stays; the edges are cut.
    assert len(samples) / SAMPLE_RATE == pytest.approx(1 + 1 + 1 + 0.2, abs=0.15)


async def test_a_first_part_that_is_cut_short_is_not_hidden_by_the_second(
    server: EdgeServer,
) -> None:
    scripts = iter([half, whole_sentence])

    async def in_turn(turn: Turn) -> None:
        await next(scripts)(turn)

    server.script = in_turn
    with pytest.raises(APIConnectionError, match="mid-sentence"):
        await spoken(voice_of(server), LONG)


async def test_no_server_is_a_connection_error(tmp_path: Path) -> None:
    async with EdgeServer(tmp_path) as server:
        voice = voice_of(server)
    with pytest.raises(APIConnectionError):
        await spoken(voice)
    await server._connectors[-1].really_close()


async def test_an_interruption_hangs_up(server: EdgeServer) -> None:
    left = asyncio.Event()

    async def endless(turn: Turn) -> None:
        await half(turn)
        with contextlib.suppress(ConnectionError):
            async for _ in turn.websocket:
                pass
        left.set()

    server.script = endless
    stream = voice_of(server).synthesize("Hello there.", conn_options=ONCE)
    await anext(stream)
    await stream.aclose()
    async with asyncio.timeout(10):
        await left.wait()


async def test_a_bad_voice_or_rate_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="voice"):
        EdgeTTS("no such voice")
    with pytest.raises(ValueError, match="rate"):
        EdgeTTS(rate="quickly")


async def test_words_that_say_nothing_open_no_connection(server: EdgeServer) -> None:
    assert len(await spoken(voice_of(server), "🎉 <|im_end|>")) == 0
    assert server.requests == []


def test_what_is_no_mp3_is_skipped_over() -> None:
    data, decoder = mp3(tone(0.5)), Mp3Decoder()
    pcm = decoder.push(b"ID3\x04" + bytes(60) + data[:1440] + b"<html>" + data[1440:])
    pcm += decoder.flush()
    assert len(pcm) / 2 / SAMPLE_RATE == pytest.approx(1.5, abs=0.15)


@pytest.mark.parametrize("size", [1, 7, 144, 1000, 10**6])
def test_mp3_may_be_cut_anywhere(size: int) -> None:
    data, decoder = mp3(tone(0.5)), Mp3Decoder()
    pcm = b"".join(decoder.push(data[i : i + size]) for i in range(0, len(data), size))
    whole = Mp3Decoder()
    assert pcm + decoder.flush() == whole.push(data) + whole.flush()
