"""The service on loopback: who is let in, what is refused and how, and what the others notice."""

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from asr.errors import Overloaded, RecognitionFailed, UnknownLanguage
from asr.recognition import Priority
from asr.service import authorisation, connection, protocol, segments, stream
from asr.service.metrics import Metrics
from asr.service.parts import Parts
from asr.service.protocol import (
    End,
    Enter,
    Entered,
    Error,
    Flush,
    Leave,
    Ping,
    Pong,
    Ready,
    Recognise,
    Recognised,
    Sound,
    TurnedAway,
)
from asr.service.server import Service
from tests.asr.hearing import WINDOW, by_level, tone
from tests.asr.services import (
    TOKEN,
    ScriptedEngine,
    admitted,
    finals,
    get,
    hello,
    knock,
    listen,
    refusal,
    rest,
    send_sound,
    served,
)
from tests.asr.speech import silence

At = tuple[Service, str]


class Loudness:
    """In place of Silero: speech is what is loud."""

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        return (np.abs(samples.reshape(-1, WINDOW)).mean(axis=1) > 100).astype(np.float32)


@pytest.fixture(autouse=True)
def loudness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "Silero", Loudness)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
async def at(engine: ScriptedEngine) -> AsyncIterator[At]:
    async with served(engine) as running:
        yield running


def recognise(segment: int, samples: int, **fields: object) -> str:
    given = {"segment": segment, "samples": samples, "language": "en", **fields}
    return Recognise.model_validate(given).model_dump_json()


def frame(pcm: np.ndarray, at: int = 0, segment: int = 0) -> bytes:
    return protocol.pack(Sound(segment, at, pcm))


# --- who is let in --------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["the-token-of-others", "", TOKEN + "x", TOKEN + "\u00e9"])
async def test_nobody_without_the_token_becomes_a_connection(
    at: At, engine: ScriptedEngine, token: str
) -> None:
    with pytest.raises(InvalidStatus, match="401"):
        await knock(at[1], token)
    assert engine.asked == []


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        [("Authorization", f"Bearer {TOKEN}")] * 2,
    ],
)
async def test_the_token_is_shown_in_one_way(
    at: At, header: dict[str, str] | list[tuple[str, str]]
) -> None:
    with pytest.raises(InvalidStatus, match="401") as refused:
        await connect(at[1], proxy=None, additional_headers=header)
    assert refused.value.response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "first",
    [json.dumps({"type": "ping"}), "garbage", b"garbage", frame(tone(1000, 0.1))],
)
async def test_nothing_is_listened_to_before_the_hello(
    at: At, engine: ScriptedEngine, first: str | bytes
) -> None:
    async with knock(at[1]) as socket:
        await socket.send(first)
        assert await refusal(socket) == ("bad_message", 1008)
    assert engine.asked == []


async def test_a_connection_that_says_nothing_is_closed_soon(
    at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HELLO_S", 0.05)
    async with knock(at[1]) as socket:
        assert await refusal(socket) == ("bad_message", 1008)


async def test_who_is_let_in_learns_what_listens(at: At) -> None:
    async with knock(at[1]) as socket:
        await socket.send(hello())
        ready = protocol.from_service(str(await socket.recv()))
    assert ready == Ready(model="script", compute_type="none", device="cpu")


@pytest.mark.parametrize("wrong", [{"rate": 8000}, {"rate": 48_000}, {"channels": 2}])
async def test_another_rate_or_stereo_is_refused(at: At, wrong: dict[str, int]) -> None:
    async with knock(at[1]) as socket:
        await socket.send(hello(**wrong))
        assert await refusal(socket) == ("bad_format", 1008)


async def test_no_page_of_a_browser_gets_in(at: At) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        await knock(at[1], origin="http://127.0.0.1")


async def test_the_lengths_of_tokens_make_no_difference() -> None:
    assert authorisation.same("abc", "abc")
    assert not authorisation.same("abc", "abcd")
    assert not authorisation.same("", "abc")


# --- garbage at every stage -----------------------------------------------------------------------

GARBAGE: dict[str, tuple[str | bytes, str, int]] = {
    "no JSON": ("{", "bad_message", 1008),
    "an unknown type": ('{"type": "shout"}', "bad_message", 1008),
    "a second hello": (hello(), "bad_message", 1008),
    "a header alone": (bytes(12), "bad_frame", 1008),
    "half a sample": (bytes(15), "bad_frame", 1008),
    "random bytes": (bytes(range(1, 200)), "bad_frame", 1008),
    "an endless position": (struct.pack("<IQ", 0, 2**64 - 1) + bytes(2), "bad_frame", 1008),
}


@pytest.mark.parametrize("what", GARBAGE)
@pytest.mark.parametrize("kind", ["stream", "segments"])
@pytest.mark.parametrize("after_sound", [False, True])
async def test_garbage_is_refused_with_a_code_and_hurts_nobody_else(
    at: At, what: str, kind: str, after_sound: bool
) -> None:
    data, code, close = GARBAGE[what]
    async with admitted(at[1], kind=kind) as other, admitted(at[1], kind=kind) as socket:
        if after_sound:
            await _speak(socket, kind)
        await socket.send(data)
        assert await refusal(socket) == (code, close)
        await _speak(other, kind)
        await other.send(Ping().model_dump_json())
        await _until(other, lambda message: isinstance(message, Pong))


async def _speak(socket: ClientConnection, kind: str) -> None:
    if kind == "segments":
        await socket.send(recognise(0, 16_000))
    await send_sound(socket, tone(1000, 0.512))


async def _until(
    socket: ClientConnection, wanted: Callable[[protocol.FromService], bool]
) -> protocol.FromService:
    async with asyncio.timeout(10):
        while not wanted(message := protocol.from_service(str(await socket.recv()))):
            pass
    return message


async def test_a_frame_that_is_too_long_ends_the_connection(at: At) -> None:
    async with admitted(at[1]) as socket:
        await socket.send(bytes(protocol.MAX_FRAME + 1))
        said, code = await rest(socket)
        assert (said, code) == ([], 1009)


async def test_a_gap_or_an_overlap_in_a_stream_is_refused(at: At) -> None:
    for position in (5_000, 7_999, 8_001):
        async with admitted(at[1]) as socket:
            await send_sound(socket, silence(0.5))
            await socket.send(frame(silence(0.5), position))
            assert await refusal(socket) == ("bad_frame", 1008)


async def test_a_client_may_leave_at_any_byte(at: At) -> None:
    """What it would have sent is cut off everywhere, and the service goes on."""
    service, url = at
    port = int(url.rsplit(":", 1)[1])
    for kind in ("stream", "segments"):
        whole = await _bytes_of_a_session(kind)
        cuts = [*range(0, 400, 23), *range(400, len(whole), 1_999), len(whole)]
        for cut in cuts:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(whole[:cut])
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            del reader
    async with asyncio.timeout(10):
        while service._running:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert [one.text for one in finals(await listen(url, _word(1000)))] == ["w1000"]


async def test_a_client_may_leave_while_the_end_of_its_stream_is_recognised(
    at: At, engine: ScriptedEngine
) -> None:
    service, url = at
    engine.go.clear()
    async with admitted(url) as socket:
        await send_sound(socket, tone(1000, 0.512))
        await socket.send(End().model_dump_json())
        async with asyncio.timeout(10):
            while not engine.asked:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        socket.transport.abort()
    engine.go.set()
    async with asyncio.timeout(10):
        while service._running:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _bytes_of_a_session(kind: str) -> bytes:
    """As they leave a client."""
    caught = bytearray()
    over = asyncio.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)

        async def back() -> None:
            while data := await inner_reader.read(65_536):
                writer.write(data)
            writer.close()

        answering = asyncio.create_task(back())
        while data := await reader.read(65_536):
            caught.extend(data)
            inner_writer.write(data)
        inner_writer.close()
        await answering
        over.set()

    async with served(ScriptedEngine()) as (_, url):
        port = int(url.rsplit(":", 1)[1])
        async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
            between = server.sockets[0].getsockname()[1]
            async with admitted(f"ws://127.0.0.1:{between}", kind=kind) as socket:
                await _speak(socket, kind)
            await over.wait()
    return bytes(caught)


def _word(level: int) -> np.ndarray:
    return np.concatenate([tone(level, 0.512), silence(1.0)])


# --- too much, too fast, too little ---------------------------------------------------------------


async def test_a_stream_that_is_faster_than_its_recognition_is_told_so(
    at: At, engine: ScriptedEngine
) -> None:
    engine.go.clear()
    async with admitted(at[1]) as socket:
        with contextlib.suppress(ConnectionClosed):
            for second in range(60):
                await send_sound(socket, tone(1000, 1.0), at=second * len(tone(1000, 1.0)))
        said, code = await rest(socket)
    last = said[-1]
    assert isinstance(last, Error)
    assert (last.code, code) == ("too_fast", 1008)
    engine.go.set()


async def test_what_is_recognised_in_time_may_come_at_once(at: At) -> None:
    said = await listen(at[1], np.concatenate([_word(1000 + n) for n in range(60)]))
    assert [one.text for one in finals(said)] == [f"w{1000 + n}" for n in range(60)]


async def test_a_client_that_sends_nothing_is_closed_and_loses_nothing(
    engine: ScriptedEngine,
) -> None:
    async with served(engine, idle_s=0.2) as (_, url), admitted(url) as socket:
        await send_sound(socket, tone(1000, 0.512))
        said, code = await rest(socket)
        assert [one.text for one in finals(said)] == ["w1000"]
        assert isinstance(said[-1], Error)
        assert (said[-1].code, code) == ("idle", 1008)


class Unreading:
    """A client that asks and asks, and takes no answer."""

    def __init__(self) -> None:
        self.transport = self
        self.aborted = False
        self._said = iter([hello()])

    async def recv(self) -> str:
        return next(self._said, Ping().model_dump_json())

    async def send(self, _data: str) -> None:
        await asyncio.sleep(3600)

    def abort(self) -> None:
        self.aborted = True


async def test_a_client_that_reads_nothing_is_cut_off(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HELLO_S", 0.05)
    socket, metrics = Unreading(), Metrics(lambda: 0)
    await connection.Connection(
        socket,  # type: ignore[arg-type]
        Parts(engine, metrics),
        device="cpu",
        draining=asyncio.Event(),
    ).run()
    assert socket.aborted
    assert 'refused_total{code="too_slow"} 1.0' in metrics.text().decode()


async def test_more_segments_than_a_connection_may_hold_are_refused_one_by_one(
    at: At, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "MAX_HELD_S", 2.0)
    engine.go.clear()
    async with admitted(at[1], kind="segments") as socket:
        for number in range(3):
            await socket.send(recognise(number, 15_872))
            await send_sound(socket, tone(1000 + number, 1.0), segment=number)
        refused = await _until(socket, lambda message: isinstance(message, Error))
        assert isinstance(refused, Error)
        assert (refused.code, refused.segment) == ("overloaded", 2)
        engine.go.set()
        got = [await _until(socket, lambda one: isinstance(one, Recognised)) for _ in range(2)]
        assert sorted(one.text for one in got if isinstance(one, Recognised)) == ["w1000", "w1001"]
        await socket.send(recognise(2, 8_192))
        await send_sound(socket, tone(1002, 0.512), segment=2)
        again = await _until(socket, lambda one: isinstance(one, Recognised))
        assert isinstance(again, Recognised)
        assert again.text == "w1002"


# --- segments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Overloaded("64 pieces wait"), "overloaded"),
        (UnknownLanguage("no xx"), "unknown_language"),
        (RecognitionFailed("no"), "failed"),
        (RuntimeError("CTranslate2 says no"), "failed"),
    ],
)
async def test_what_one_segment_suffers_is_said_of_that_one(
    at: At, engine: ScriptedEngine, failure: Exception, code: str
) -> None:
    engine.script = lambda audio, _: failure if audio[0] < 0.05 else by_level(audio)
    async with admitted(at[1], kind="segments") as socket:
        for number, level in ((1, 1000), (2, 2000)):
            await socket.send(recognise(number, 8_192))
            await send_sound(socket, tone(level, 0.512), segment=number)
        said = [protocol.from_service(str(await socket.recv())) for _ in range(2)]
    assert [(one.code, one.segment) for one in said if isinstance(one, Error)] == [(code, 1)]
    assert [(one.text, one.segment) for one in said if isinstance(one, Recognised)] == [
        ("w2000", 2)
    ]


async def test_a_segment_longer_than_the_model_takes_is_refused_alone(at: At) -> None:
    async with admitted(at[1], kind="segments") as socket:
        await socket.send(recognise(1, 30 * 16_000))
        await send_sound(socket, tone(1000, 30.016)[: 30 * 16_000], segment=1)
        await socket.send(recognise(2, 8_192))
        await send_sound(socket, tone(2000, 0.512), segment=2)
        said = [protocol.from_service(str(await socket.recv())) for _ in range(2)]
    assert [(one.code, one.segment) for one in said if isinstance(one, Error)] == [("too_long", 1)]
    assert isinstance(said[1], Recognised)


async def test_a_cancelled_segment_is_answered_by_nothing(at: At, engine: ScriptedEngine) -> None:
    engine.go.clear()
    async with admitted(at[1], kind="segments") as socket:
        await socket.send(recognise(1, 8_192))
        await send_sound(socket, tone(1000, 0.512), segment=1)
        await socket.send('{"type": "cancel", "segment": 1}')
        await socket.send('{"type": "cancel", "segment": 99}')
        await socket.send(recognise(2, 16_384))
        await send_sound(socket, tone(2000, 0.512), segment=2)
        await socket.send('{"type": "cancel", "segment": 2}')
        await send_sound(socket, tone(2000, 0.512), segment=2, at=8_192)
        for _ in range(2):
            await socket.send(Ping().model_dump_json())
            assert isinstance(protocol.from_service(str(await socket.recv())), Pong)
            engine.go.set()
    assert engine.asked == [Priority.FINAL]
    metrics = (await asyncio.to_thread(get, f"{at[1]}/metrics"))[2]
    assert 'viva_asr_segments_total{outcome="cancelled"} 1.0' in metrics
    assert "failed" not in metrics


async def test_a_segment_takes_two_bytes_a_sample_however_small_its_frames(
    at: At, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    complete = segments.Segments._complete

    def look(self: segments.Segments, asked: segments._Asked) -> None:
        held.append(asked.sound.nbytes if asked.sound is not None else -1)
        complete(self, asked)

    monkeypatch.setattr(segments.Segments, "_complete", look)
    word = tone(1000, 0.512)
    async with admitted(at[1], kind="segments") as socket:
        await socket.send(recognise(1, len(word)))
        for position in range(0, len(word), 7):
            await socket.send(frame(word[position : position + 7], segment=1, at=position))
        got = await _until(socket, lambda one: isinstance(one, Recognised))
    assert held == [2 * len(word)]
    assert isinstance(got, Recognised) and got.text == "w1000"


@pytest.mark.parametrize(
    "data",
    [
        frame(tone(1000, 0.512), segment=5),
        frame(tone(1000, 0.512), at=2, segment=1),
        recognise(1, 9),
    ],
)
async def test_sound_or_a_number_that_was_not_due_is_refused(at: At, data: str | bytes) -> None:
    async with admitted(at[1], kind="segments") as socket:
        await socket.send(recognise(1, 16_000))
        await socket.send(data)
        code, close = await refusal(socket)
        assert code in ("bad_frame", "bad_message")
        assert close == 1008


async def test_controls_of_the_other_kind_are_refused(at: At) -> None:
    for kind, message in (("segments", Flush().model_dump_json()), ("stream", recognise(1, 9))):
        async with admitted(at[1], kind=kind) as socket:
            await socket.send(message)
            assert await refusal(socket) == ("bad_message", 1008)


# --- who may begin --------------------------------------------------------------------------------


async def test_a_stream_is_turned_away_before_it_begins_and_the_others_go_on(
    at: At, engine: ScriptedEngine
) -> None:
    engine.room = 1
    async with admitted(at[1]) as inside:
        async with knock(at[1]) as socket:
            await socket.send(hello())
            assert await refusal(socket) == ("at_capacity", 1013)
        async with admitted(at[1], regardless=True):  # one that goes on after a lost connection
            assert len(engine.inside) == 2
        await inside.send(End().model_dump_json())
        await rest(inside)
    async with asyncio.timeout(10):
        while engine.inside:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert [one.text for one in finals(await listen(at[1], _word(1000)))] == ["w1000"]


async def test_a_workers_sessions_enter_and_leave_one_by_one_and_all_with_it(
    at: At, engine: ScriptedEngine
) -> None:
    engine.room = 2

    async def enter(session: str, **more: bool) -> protocol.FromService:
        await socket.send(Enter(session=session, **more).model_dump_json())
        return protocol.from_service(str(await socket.recv()))

    async with admitted(at[1], kind="segments") as socket:
        assert await enter("a") == Entered(session="a")
        assert await enter("b") == await enter("b") == Entered(session="b")
        away = await enter("c")
        assert isinstance(away, TurnedAway)
        assert (away.session, away.text) == ("c", "2 sessions are here.")
        await socket.send(Leave(session="a").model_dump_json())
        await socket.send(Leave(session="unknown").model_dump_json())
        assert await enter("c") == Entered(session="c")
        assert await enter("d", regardless=True) == Entered(session="d")
        health = json.loads((await asyncio.to_thread(get, f"{at[1]}/healthz"))[2])
        assert (health["connections"], health["sessions"]) == (1, 3)
    async with asyncio.timeout(10):
        while engine.inside:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    metrics = (await asyncio.to_thread(get, f"{at[1]}/metrics"))[2]
    assert 'viva_asr_refused_total{code="at_capacity"} 1.0' in metrics


# --- what the operator sees -----------------------------------------------------------------------


async def test_health_says_what_is_loaded_and_how_busy_it_is(at: At) -> None:
    async with admitted(at[1]):
        status, kind, text = await asyncio.to_thread(get, f"{at[1]}/healthz")
    assert (status, kind) == (200, "application/json")
    assert json.loads(text) == {
        "state": "ready",
        "model": "script",
        "compute_type": "none",
        "device": "cpu",
        "connections": 1,
        "languages": {},
        "sessions": 1,
        "promised": 0.0,
        "queue": 0,
    }


async def test_metrics_are_what_prometheus_reads(at: At) -> None:
    await listen(at[1], _word(1000))
    with pytest.raises(InvalidStatus):
        await knock(at[1], "the-token-of-others")
    status, kind, text = await asyncio.to_thread(get, f"{at[1]}/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    for line in (
        'viva_asr_model_info{compute_type="none",device="cpu",model="script"} 1.0',
        'viva_asr_connections{kind="stream"} 0.0',
        "viva_asr_sessions 0.0",
        'viva_asr_audio_seconds_total{kind="stream"} 1.512',
        'viva_asr_segments_total{outcome="recognised"} 1.0',
        "viva_asr_recognition_seconds_count 1.0",
        'viva_asr_refused_total{code="unauthorised"} 1.0',
        "viva_asr_queued_segments 0.0",
    ):
        assert f"\n{line}\n" in text, line


async def test_there_is_no_other_page(at: At) -> None:
    assert (await asyncio.to_thread(get, f"{at[1]}/etc"))[0] == 404
    assert (await asyncio.to_thread(get, at[1]))[0] == 401


async def test_there_are_only_so_many_connections(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr.service.server.MAX_CONNECTIONS", 1)
    async with admitted(at[1]):
        with pytest.raises(InvalidStatus, match="503"):
            await knock(at[1])
    assert (await asyncio.to_thread(get, f"{at[1]}/healthz"))[0] == 200


# --- stopping -------------------------------------------------------------------------------------


async def test_a_service_that_stops_answers_what_it_took_in_and_lets_nobody_in(
    at: At, engine: ScriptedEngine
) -> None:
    service, url = at
    engine.go.clear()
    async with admitted(url) as speaker, admitted(url, kind="segments") as worker:
        await send_sound(speaker, tone(1000, 0.512))
        await worker.send(recognise(1, 8_192))
        await send_sound(worker, tone(2000, 0.512), segment=1)
        await worker.send(recognise(2, 8_192))  # half of it: its worker still has it
        for socket in (speaker, worker):
            await socket.send(Ping().model_dump_json())
            await _until(socket, lambda message: isinstance(message, Pong))
        service.drain()
        with pytest.raises(InvalidStatus, match="503"):
            await knock(url)
        health = json.loads((await asyncio.to_thread(get, f"{url}/healthz"))[2])
        assert health["state"] == "draining"
        engine.go.set()
        said, code = await rest(speaker)
        assert [one.text for one in finals(said)] == ["w1000"]
        assert isinstance(said[-1], Error)
        assert (said[-1].code, code) == ("draining", 1012)
        said, code = await rest(worker)
        assert isinstance(said[0], Recognised)
        assert said[0].text == "w2000"
        assert (len(said), code) == (2, 1012)


async def test_a_recogniser_that_hangs_does_not_hold_the_stop_up(engine: ScriptedEngine) -> None:
    engine.go.clear()
    async with served(engine, drain_s=0.2) as (service, url), admitted(url) as socket:
        await send_sound(socket, tone(1000, 0.512))
        await socket.send(Ping().model_dump_json())
        await _until(socket, lambda message: isinstance(message, Pong))
        service.drain()
        async with asyncio.timeout(60):  # else it would wait without end
            await service.drained()
