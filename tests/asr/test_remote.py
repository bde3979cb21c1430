"""A recogniser elsewhere: every segment is answered once, whatever happens to the line."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from asr.errors import (
    AtCapacity,
    NoAnswer,
    Overloaded,
    RecognitionFailed,
    ServiceUnavailable,
    UnknownLanguage,
)
from asr.recognition import HeardWord, Priority, Recognition
from asr.service import client, protocol
from asr.service.client import RemoteRecogniser
from asr.service.server import Service
from asr.stt import WhisperSTT
from tests.asr.hearing import Ear, LoudnessVAD, by_level, tone
from tests.asr.services import TOKEN, ScriptedEngine, served
from tests.asr.speech import silence


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[RemoteRecogniser]:
    options = {"token": TOKEN, "wait_s": 5.0, "pauses_s": (0.02,), **options}
    remote = await asyncio.to_thread(lambda: RemoteRecogniser(url, **options))
    try:
        yield remote
    finally:
        await asyncio.to_thread(remote.close)


@pytest.fixture
async def remote(engine: ScriptedEngine) -> AsyncIterator[RemoteRecogniser]:
    async with served(engine) as (_, url), connected(url) as one:
        yield one


def audio(level: int, seconds: float = 0.512) -> np.ndarray:
    return tone(level, seconds).astype(np.float32) / 32_768


def ask(remote: RemoteRecogniser, level: int, **how: Any) -> "asyncio.Task[Recognition]":
    return asyncio.create_task(remote.recognise(audio(level), language="en", **how))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class Restarting:
    """A service at one port, there or not."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self.engine = engine
        self.port = 0
        self._server: Any = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def start(self, token: str = TOKEN) -> None:
        self.service = Service(self.engine, token=token, device="cpu")
        self._server = await self.service.listen("127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """As a killed process: connections just end, and nobody listens."""
        for one in self._server.connections:
            one.transport.abort()
        self._server.close()
        await self._server.wait_closed()


@pytest.fixture
async def place(engine: ScriptedEngine) -> AsyncIterator[Restarting]:
    one = Restarting(engine)
    await one.start()
    yield one
    engine.go.set()
    await one.die()


async def test_it_is_the_recogniser_that_the_service_has(
    remote: RemoteRecogniser, engine: ScriptedEngine
) -> None:
    assert (remote.model, remote.compute_type, remote.reachable) == ("script", "none", True)
    found = Recognition("yes", "en", -0.1, 0.2, (HeardWord("yes", 0.1, 0.3, 0.9),), 0.4)
    engine.script = lambda _audio, _priority: found
    assert await remote.recognise(audio(1000), language="en") == found


async def test_neither_the_token_nor_a_word_is_in_the_most_talkative_log(
    place: Restarting, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with connected(place.url) as remote:
            await remote.recognise(audio(1000), language="en")
    assert "connected to" in caplog.text
    assert TOKEN not in caplog.text
    assert "w1000" not in caplog.text


async def test_the_sound_arrives_as_it_was_sampled(
    remote: RemoteRecogniser, engine: ScriptedEngine
) -> None:
    got: list[np.ndarray] = []
    engine.script = lambda heard, _: got.append(heard) or by_level(heard)  # type: ignore[func-returns-value]
    pcm = np.random.default_rng(1).integers(-32_768, 32_767, 80_001).astype(np.int16)
    sent = pcm.astype(np.float32) / 32_768
    await remote.recognise(sent, language="en")
    assert np.array_equal(got[0], sent)


@pytest.mark.parametrize(
    "failure",
    [Overloaded("64 wait"), UnknownLanguage("no xx"), RecognitionFailed("no"), RuntimeError("no")],
)
async def test_a_refusal_comes_through_as_the_engine_makes_it(
    remote: RemoteRecogniser, engine: ScriptedEngine, failure: Exception
) -> None:
    engine.script = lambda _audio, _priority: failure
    kind = type(failure) if not isinstance(failure, RuntimeError) else RecognitionFailed
    with pytest.raises(kind, match=str(failure)) as refused:
        await remote.recognise(audio(1000), language="en")
    assert type(refused.value) is kind


async def test_interims_are_asked_for_as_such(
    remote: RemoteRecogniser, engine: ScriptedEngine
) -> None:
    await remote.recognise(audio(1000), language="en", priority=Priority.INTERIM)
    assert engine.asked == [Priority.INTERIM]


async def test_a_lost_connection_loses_no_segment(
    place: Restarting, engine: ScriptedEngine
) -> None:
    async with connected(place.url) as remote:
        for round_ in range(3):
            engine.go.clear()
            before = ask(remote, 1000 + round_)
            asked = len(engine.asked)
            await until(lambda asked=asked: len(engine.asked) > asked)  # type: ignore[misc]
            await place.die()
            await until(lambda: not remote.reachable)
            meanwhile = ask(remote, 2000 + round_)
            await place.start()
            engine.go.set()
            assert (await before).text == f"w{1000 + round_}"
            assert (await meanwhile).text == f"w{2000 + round_}"
        assert not remote._jobs
        assert remote._samples == 0


async def test_what_is_sent_again_waits_while_all_others_do_too(
    place: Restarting, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage every client sends all it has at once."""
    monkeypatch.setattr(client, "RETRY_S", 0.01)
    async with connected(place.url) as remote:
        await place.die()
        await until(lambda: not remote.reachable)
        waiting = ask(remote, 1000)
        full = [Overloaded("64 pieces wait")] * 3
        engine.script = lambda heard, _: full.pop() if full else by_level(heard)
        await place.start()
        assert (await waiting).text == "w1000"
        assert len(engine.asked) == 4


async def test_a_service_that_stops_is_followed_by_the_next(
    place: Restarting, engine: ScriptedEngine
) -> None:
    async with connected(place.url) as remote:
        place.service.drain()
        await place.service.drained()
        late = ask(remote, 1000)
        await place.die()
        await place.start()
        assert (await late).text == "w1000"


async def test_an_interim_is_not_waited_for(place: Restarting, engine: ScriptedEngine) -> None:
    async with connected(place.url) as remote:
        engine.go.clear()
        interim = ask(remote, 1000, priority=Priority.INTERIM)
        await until(lambda: len(engine.asked) == 1)
        await place.die()
        with pytest.raises(Overloaded, match="lost"):
            await interim
        with pytest.raises(Overloaded, match="away"):
            await ask(remote, 1000, priority=Priority.INTERIM)
        await place.start()


async def test_a_service_that_stays_away_is_given_up_in_the_end(place: Restarting) -> None:
    async with connected(place.url, give_up_after_s=0.2) as remote:
        await place.die()
        await until(lambda: "onnect call failed" in remote._line.why_not)
        with pytest.raises(NoAnswer, match=r"no answer in 0 s: .*[Cc]onnect"):
            await ask(remote, 1000)
        await place.start()


async def test_another_token_after_a_restart_does_not_end_the_trying(
    place: Restarting, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(place.url) as remote:
        await place.die()
        await place.start(token="some-other-token-1")
        waiting = ask(remote, 1000)
        await until(lambda: "token" in remote._line.why_not)
        await place.die()
        await place.start()
        assert (await waiting).text == "w1000"


async def test_another_model_after_a_restart_is_told(
    place: Restarting, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(place.url) as remote:
        await place.die()
        engine.model = "another"
        with caplog.at_level(logging.WARNING, "asr.service.client"):
            await place.start()
            await until(lambda: remote.model == "another")
        assert "has another now, not script" in caplog.text


async def test_a_caller_that_gave_up_frees_its_place(
    remote: RemoteRecogniser, engine: ScriptedEngine
) -> None:
    engine.go.clear()
    gone = ask(remote, 1000)
    await until(lambda: len(engine.asked) == 1)
    gone.cancel()
    await until(lambda: not remote._jobs)
    engine.go.set()
    assert (await ask(remote, 2000)).text == "w2000"


async def test_too_much_is_refused_here_already(
    place: Restarting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_HELD_S", 1.0)
    async with connected(place.url) as remote:
        await place.die()
        await until(lambda: not remote.reachable)
        waiting = ask(remote, 1000)
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="wait for ws://"):
            await ask(remote, 2000)
        await place.start()
        assert (await waiting).text == "w1000"


async def test_closing_fails_what_waits_and_all_that_comes_later(
    place: Restarting, engine: ScriptedEngine
) -> None:
    async with connected(place.url) as remote:
        engine.go.clear()
        waiting = ask(remote, 1000)
        await until(lambda: len(engine.asked) == 1)
        await asyncio.to_thread(remote.close)
        for task in (waiting, ask(remote, 2000), remote.enter("a")):
            with pytest.raises(RecognitionFailed, match="closed"):
                await task
        remote.leave("a")


async def test_a_session_learns_before_it_begins_whether_there_is_room(
    remote: RemoteRecogniser, engine: ScriptedEngine
) -> None:
    engine.room = 1
    await remote.enter("a")
    await remote.enter("a")
    with pytest.raises(AtCapacity, match="1 sessions are here"):
        await remote.enter("b")
    await remote.enter("c", regardless=True)
    await until(lambda: len(engine.inside) == 2)
    for session in ("a", "c", "never there"):
        remote.leave(session)
    await remote.enter("b")
    assert len(engine.inside) == 1


async def test_who_is_in_stays_in_when_the_service_is_started_again(
    place: Restarting, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(place.url) as remote:
        await remote.enter("a")
        await remote.enter("b")
        remote.leave("b")
        await until(lambda: len(engine.inside) == 1)
        await place.die()
        await until(lambda: not remote.reachable and not engine.inside)
        engine.room = 0
        await remote.enter("was here", regardless=True)  # and nobody is asked
        monkeypatch.setattr(client, "ENTER_S", 0.1)
        with pytest.raises(AtCapacity, match="is away"):
            await remote.enter("new")
        await place.start()
        await until(lambda: len(engine.inside) == 2)
        monkeypatch.setattr(client, "ENTER_S", 10.0)
        with pytest.raises(AtCapacity, match="2 sessions are here"):
            await remote.enter("new")


async def test_who_stopped_waiting_to_be_let_in_keeps_no_place(
    place: Restarting, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ENTER_S", 60.0)
    async with connected(place.url) as remote:
        await place.die()
        await until(lambda: not remote.reachable)
        entering = asyncio.create_task(remote.enter("gone"))
        await until(lambda: "gone" in remote._doors._sessions)
        entering.cancel()
        await asyncio.gather(entering, return_exceptions=True)
        await place.start()
        await remote.enter("b")
        assert len(engine.inside) == 1


async def test_any_loop_may_ask(remote: RemoteRecogniser) -> None:
    found = await asyncio.to_thread(asyncio.run, remote.recognise(audio(1000), language="en"))
    assert found.text == "w1000"


@pytest.mark.parametrize(
    ("token", "why"), [("x" * 16, "its token is another one"), (TOKEN, "Connect call failed")]
)
async def test_a_service_that_cannot_be_used_is_named_with_the_reason(
    place: Restarting, token: str, why: str
) -> None:
    if token == TOKEN:
        await place.die()
    with pytest.raises(ServiceUnavailable, match=why) as refused:
        async with connected(place.url, token=token, wait_s=2.0 if token == TOKEN else 30.0):
            pass
    assert place.url in str(refused.value)
    assert "viva asr" in str(refused.value)
    if token == TOKEN:
        await place.start()


async def test_what_is_no_recogniser_is_not_taken_for_one(place: Restarting) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(shout, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ServiceUnavailable, match="did not receive a valid HTTP response"):
            async with connected(f"ws://127.0.0.1:{port}", wait_s=2.0):
                pass


async def test_speech_is_not_sent_where_the_named_host_points_to(place: Restarting) -> None:
    async def point(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        there = f"Location: {place.url}/\r\n\r\n"
        writer.write(b"HTTP/1.1 307 Temporary Redirect\r\n" + there.encode())
        writer.close()

    async with await asyncio.start_server(point, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ServiceUnavailable, match="HTTP 307"):
            async with connected(f"ws://127.0.0.1:{port}", wait_s=2.0):
                pass


async def test_a_name_that_no_host_can_have_is_told() -> None:
    with pytest.raises(ServiceUnavailable, match="no host of that name"):
        async with connected(f"ws://{'a' * 64}.example", wait_s=2.0):
            pass


async def test_a_fault_that_nobody_thought_of_costs_one_connection(
    place: Restarting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And not the thread, without which every session would be deaf."""
    received, faults = RemoteRecogniser.received, [ArithmeticError("nobody thought of it")]

    def fail_once(remote: RemoteRecogniser, message: protocol.FromService) -> None:
        if faults:
            raise faults.pop()
        received(remote, message)

    monkeypatch.setattr(RemoteRecogniser, "received", fail_once)
    async with connected(place.url) as remote:
        assert (await ask(remote, 1000)).text == "w1000"
        assert remote.reachable
    assert "nobody thought of it" in caplog.text


async def test_a_session_hears_with_it_and_overload_reaches_the_session(
    remote: RemoteRecogniser, engine: ScriptedEngine
) -> None:
    """`asr.stt` knows no difference between it and the engine."""
    ears = WhisperSTT(remote, language="en", vad=LoudnessVAD(), retry_after_s=0.0)
    ear = Ear(ears)
    await ear.play(tone(1000, 0.512), silence(0.6))
    await ear.end()
    assert ear.finals == ["w1000"]
    engine.script = lambda _audio, _priority: Overloaded("64 pieces wait")
    again = Ear(ears)
    await again.play(tone(1000, 0.512), silence(0.6))
    await again.end()
    failed = again.segments[-1]
    assert (failed.verdict, failed.dropped_reason) == ("failed", "64 pieces wait")
