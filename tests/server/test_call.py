"""Whole spoken calls: loopback WebRTC, the host's own thread, real hearing, voice and store."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live_calls import (
    AGREED,
    BANK,
    CALM,
    HOTEL,
    PYTHON,
    SUCCESS,
    Caller,
    Exchange,
    at_once,
    census,
    exchange,
    until,
)

from agent.events import (
    AudioMeasured,
    CallJoined,
    CallLeft,
    Incident,
    InterviewEnded,
    LineSpoken,
    MoveHeard,
    QuestionAsked,
    SegmentHeard,
    TurnSettled,
)
from agent.plan import Plan
from asr import rehearsal
from asr.engine import Engine
from server.call import Call, LeaveReason
from server.equipment import Equipment
from server.host import CallHost
from server.media.client import CallClient
from server.media.peer import Peer
from server.media.recording import Recorder
from server.phone.bridge import GatewayState
from server.rehearsal import model
from server.rehearsal.evidence import recording
from server.rehearsal.faults import NONE
from server.rehearsal.sound import nearest, onsets
from server.store import StaleLease, Store
from tests.asr.speech import errors, words
from tests.session.short_plans import short_plan

pytestmark = pytest.mark.media

PLAN = short_plan({"think_time_s": 3})
ROUNDS = 10


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    with model.serving(NONE) as url:
        yield url


@pytest.fixture(scope="module")
def slow_model_url() -> Iterator[str]:
    with model.serving(NONE, delay_s=2.5) as url:
        yield url


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rendered")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine.load(rehearsal.MODEL_DIR, device="cpu", floor_s=rehearsal.FLOOR_S) as loaded:
        yield loaded


@pytest.fixture
async def at(
    tmp_path: Path, rendered: Path, model_url: str, engine: Engine
) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, rendered, model_url, engine) as made:
        yield made


async def caller(at: Exchange, plan: Plan = PLAN, **consent: bool) -> Caller:
    return Caller(at, plan, await at.invite(plan, **consent))


def heard(client: CallClient | None) -> float:
    """Seconds of sound that the candidate heard."""
    assert client is not None
    return sum(end - begin for begin, end in client.loud())


def assert_said_once(heard_words: str, *said: str) -> None:
    """The recogniser may mishear a word on a busy machine; a sentence lost or doubled it is not."""
    wrong = errors(" ".join(said), heard_words)
    assert wrong < min(len(words(one)) for one in said) * 0.7, (said, heard_words)


def text_of(segments: list[SegmentHeard]) -> str:
    return " ".join(segment.text for segment in segments)


# --- a call ---------------------------------------------------------------------------------------


async def out_of_the_last_words(ada: Caller, at: Exchange) -> None:
    """Joined, asked for a person, and dropped while that is being replied to."""
    await ada.join()
    await ada.event(LineSpoken, kind="greeting")
    await at.host.request(ada.interview_id, "person")
    await ada.event(MoveHeard)
    before = heard(ada.client)
    await until(lambda: heard(ada.client) > before + 0.3)
    await ada.drop()
    await ada.event(CallLeft, reason="dropped")
    assert not await ada.all(InterviewEnded)


async def test_who_drops_out_of_the_last_words_has_a_report_soon(
    tmp_path: Path, rendered: Path, model_url: str, engine: Engine
) -> None:
    async with (
        exchange(tmp_path, rendered, model_url, engine, hold_s=3.0) as at,
        await caller(at) as ada,
        await caller(at) as bob,
    ):
        await at_once(*(out_of_the_last_words(one, at) for one in (ada, bob)))
        await bob.join()  # and hears the rest
        assert await ada.ended() == await bob.ended() == "declined_ai"
        await asyncio.sleep(3.5)
        assert sorted(at.ended) == sorted([ada.interview_id, bob.interview_id])
        assert [len(await one.all(InterviewEnded)) for one in (ada, bob)] == [1, 1]


async def test_calls_at_the_same_time_hear_only_their_own_words(at: Exchange) -> None:
    said = {"ada": (PYTHON, BANK), "bob": (CALM, SUCCESS), "cat": (AGREED, HOTEL)}
    said["dan"] = (SUCCESS, PYTHON)
    held: dict[str, Caller] = {}

    async def hold(name: str) -> None:
        async with await caller(at) as one:
            held[name] = one
            await one.join()
            for question, words in zip(("first", "second"), said[name], strict=True):
                await one.asked(question)
                await asyncio.sleep(0.3)
                await one.say(words)
            assert await one.ended() == "completed"

    await at_once(*(hold(name) for name in said))
    for name, one in held.items():
        answers = await one.answers()
        for question, mine in zip(("first", "second"), said[name], strict=True):
            heard_words = " ".join(answers[question])
            others = {other for name in said for other in said[name]} - {mine}
            nearest_other = min(errors(other, heard_words) for other in others)
            assert errors(mine, heard_words) < nearest_other, (name, answers)
        assert heard(one.client) > 4
        [measured] = await one.all(AudioMeasured)
        assert measured.packets > 300
    assert at.host.live == 0
    assert sorted(at.ended) == sorted(one.interview_id for one in held.values())
    await told_in_order(held["ada"])


async def told_in_order(one: Caller) -> None:
    """What the page is told follows the log, and the states follow the talk."""
    log = await one.log()
    seqs = [message["seq"] for message in one.read if message["type"] == "committed"]
    assert seqs == list(range(len(log) - len(seqs) + 1, len(log) + 1))
    final = [m for m in one.read if m["type"] == "caption" and m["final"]]
    spoken = [m["text"] for m in final if m["speaker"] == "interviewer"]
    assert spoken == [e.text for e in log if isinstance(e, LineSpoken)]
    mine = [m["text"] for m in final if m["speaker"] == "candidate"]
    assert mine == [e.text for e in log if isinstance(e, SegmentHeard)]
    states = one.states()
    assert states.count("ended") == 1 and states[-1] == "ended"
    assert states.index("listening") < states.index("speaking")
    assert "reconnecting" not in states


# --- breaking off and going on --------------------------------------------------------------------


async def test_a_reload_in_mid_answer_goes_on_at_the_same_question(at: Exchange) -> None:
    async with await caller(at) as ada:
        await ada.join()
        await ada.asked("first")
        await asyncio.sleep(0.3)
        await ada.say(PYTHON)
        old, old_epoch = ada.client, ada.epoch
        await ada.join()  # the old connection is still up, and its last words are under way
        replaced = await ada.told(type="notice", code="replaced")
        assert replaced["epoch"] == old_epoch
        with pytest.raises(StaleLease):
            await at.store.append(ada.interview_id, old_epoch, [Incident(at=1.0, kind="late")])
        assert at.host.live == 1
        await ada.event(LineSpoken, kind="welcome_back")
        assert old is not None
        silent_since = asyncio.get_running_loop().time()
        await asyncio.sleep(0.3)
        await ada.say(BANK)
        await ada.asked("second")
        assert not [end for _, end in old.loud() if end > silent_since + 0.5]
    assert_said_once(text_of(await ada.all(SegmentHeard)), PYTHON, BANK)
    assert_said_once(" ".join((await ada.answers())["first"]), PYTHON, BANK)
    assert len(await ada.all(LineSpoken, kind="greeting")) == 1
    assert [e.epoch for e in await ada.all(CallJoined)] == [1, 2]
    assert (await ada.all(CallLeft))[0].reason == "replaced"


async def test_a_dead_line_is_noticed_and_the_interview_goes_on(
    at: Exchange, slow_model_url: str, tmp_path: Path, rendered: Path, engine: Engine
) -> None:
    slow_store = tmp_path / "slow"
    slow_store.mkdir()
    async with exchange(slow_store, rendered, slow_model_url, engine) as slow:
        await at_once(
            _drop_in_mid_answer(at, 0.0),
            _drop_under_the_interviewers_voice(at),
            _drop_before_a_word(at),
        )
        await at_once(_drop_in_mid_answer(at, 0.3), _drop_before_the_reply(slow))


async def lost(one: Caller) -> None:
    """The network is gone; it is noticed long before aiortc would."""
    before = len(one.read)
    await one.drop()
    async with asyncio.timeout(15):
        await one.told(before, type="state", state="reconnecting")
    await one.event(CallLeft, reason="dropped")


async def _drop_in_mid_answer(at: Exchange, pause_s: float) -> None:
    """Also where a turn would end before the line counts as dead."""
    async with await caller(at) as ada:
        await ada.join()
        await ada.asked("first")
        await asyncio.sleep(0.3)
        await ada.say(PYTHON, pause_s)
        await lost(ada)
        await ada.join()
        await ada.event(LineSpoken, kind="welcome_back")
        await asyncio.sleep(0.3)
        await ada.say(BANK)
        await ada.asked("second")
    asked = [e.question_id for e in await ada.all(QuestionAsked)]
    assert asked == ["first", "second"], await ada.story()
    assert_said_once(text_of(await ada.all(SegmentHeard)), PYTHON, BANK)
    assert_said_once(" ".join((await ada.answers())["first"]), PYTHON, BANK)


async def _drop_under_the_interviewers_voice(at: Exchange) -> None:
    long = short_plan({"text": "Think of two colleagues who disagreed. What did the team decide?"})
    async with await caller(at, long) as ada:
        await ada.join()
        await ada.event(QuestionAsked)
        await asyncio.sleep(0.5)
        await lost(ada)
        await ada.join()
        await ada.event(LineSpoken, kind="repeat")
        await asyncio.sleep(0.3)
        await ada.say(AGREED)
        await ada.asked("second")
    assert len(await ada.all(QuestionAsked, question_id="first")) == 1
    assert_said_once(" ".join((await ada.answers())["first"]), AGREED)
    ids = [line.utterance_id for line in await ada.all(LineSpoken)]
    assert len(ids) == len(set(ids))


async def _drop_before_a_word(at: Exchange) -> None:
    async with await caller(at) as ada:
        await ada.join()
        await lost(ada)
        await ada.join()
        await ada.event(QuestionAsked, question_id="first")
        await ada.event(LineSpoken, kind="welcome_back")
    assert len(await ada.all(LineSpoken, kind="greeting")) <= 1
    assert not await ada.all(TurnSettled)


async def _drop_before_the_reply(slow: Exchange) -> None:
    """The model is thinking about a settled turn: it is asked once more, and nothing is lost."""
    async with await caller(slow) as ada:
        await ada.join()
        await ada.asked("first")
        await asyncio.sleep(0.3)
        await ada.say(PYTHON)
        await ada.event(TurnSettled)
        await lost(ada)
        await ada.join()
        await ada.asked("second")
    assert_said_once(" ".join((await ada.answers())["first"]), PYTHON)
    assert [e.turn_id for e in await ada.all(MoveHeard)] == ["c1"]
    assert len(await ada.all(QuestionAsked, question_id="second")) == 1


async def test_two_devices_at_once_leave_one_live_leg(at: Exchange) -> None:
    async with await caller(at) as ada:
        for _ in range(ROUNDS):
            barrier = asyncio.Barrier(2)

            async def device(barrier: asyncio.Barrier = barrier) -> int:
                client = CallClient()
                offer = await client.offer()
                await barrier.wait()
                answer = await at.host.offer(ada.interview_id, offer, "offer")
                await client.close()
                return answer.epoch

            async with asyncio.timeout(20):
                epochs = await asyncio.gather(device(), device())
            assert len(set(epochs)) == 2
            assert at.host.live <= 1
        await ada.join()
        assert at.host.live == 1
        await ada.event(LineSpoken)
        joined = [e.epoch for e in await ada.all(CallJoined)]
        assert joined == list(range(1, 2 * ROUNDS + 2)), "nobody comes back by itself"
        await asyncio.sleep(0.3)
        await until(lambda: heard(ada.client) > 0.3)
    assert len(await ada.all(LineSpoken, kind="greeting")) == 1
    assert len(await ada.all(QuestionAsked, question_id="first")) <= 1


async def test_between_voice_and_keyboard_and_back(at: Exchange) -> None:
    three = short_plan({"think_time_s": 3})
    async with await caller(at, three) as ada:
        await ada.join()
        await ada.asked("first")
        voice = ada.epoch
        text = await ada.join_by_text()
        assert text == voice + 1
        await ada.event(LineSpoken, kind="repeat")
        await ada.type(PYTHON)
        await ada.asked("second")
        await ada.join()
        await at.host.close_text(ada.interview_id, text)  # its socket is closed after the fact
        assert at.host.live == 1
        await ada.event(LineSpoken, 2, kind="welcome_back")
        await ada.event(LineSpoken, 2, kind="repeat")
        await asyncio.sleep(0.3)
        await ada.say(SUCCESS)
        assert await ada.ended() == "completed"
    assert [e.channel for e in await ada.all(CallJoined)] == ["web", "text", "web"]
    answers = await ada.answers()
    assert answers["first"] == [PYTHON]
    assert_said_once(" ".join(answers["second"]), SUCCESS)
    assert [e.source for e in await ada.all(TurnSettled)][:2] == ["typed", "spoken"]
    assert len(await ada.all(LineSpoken, kind="greeting")) == 1


# --- a microphone that gives nothing --------------------------------------------------------------


def without_microphone() -> CallClient:
    """A page that was not allowed the microphone: connected, and not a packet from it."""
    client = CallClient()
    [transceiver] = client._connection.getTransceivers()
    transceiver.direction = "recvonly"
    return client


async def test_a_microphone_that_gives_nothing_is_told_of_and_ends_no_interview(
    at: Exchange,
) -> None:
    ladder = short_plan({"think_time_s": 1}, silence_ladder_s=(3.0, 6.0, 30.0))
    chinese = short_plan({"text": "你做过什么？"}, {"text": "为什么？"}, language="zh")

    async def no_packets() -> None:
        async with await caller(at, ladder) as ada:
            await ada.join(without_microphone())
            await ada.told(type="notice", code="no_audio")
            await ada.event(Incident, kind="no_audio")
            await ada.event(LineSpoken, kind="repeat")
            await ada.type(PYTHON)
            await ada.asked("second")
            assert len(await ada.all(Incident)) == 1
            assert not await ada.all(CallLeft)
        notices = [m for m in ada.read if m["type"] == "notice"]
        assert [(m["code"], "microphone" in m["text"]) for m in notices] == [("no_audio", True)]

    async def muted() -> None:
        async with await caller(at, chinese) as ada:
            await ada.join()
            said = await ada.told(type="notice", code="silent")
            assert "麦克风" in said["text"]
            await ada.event(Incident, kind="silent")
            assert not await ada.all(CallLeft)

    await at_once(no_packets(), muted())


# --- the recording --------------------------------------------------------------------------------


async def test_words_are_found_in_the_recording_at_their_time_across_a_rejoin(
    at: Exchange,
) -> None:
    async with (
        await caller(at, recording=True) as ada,
        await caller(at, recording=False) as bob,
    ):
        await asyncio.gather(ada.join(), bob.join())
        await at_once(ada.asked("first"), bob.asked("first"))
        await asyncio.sleep(0.3)
        await at_once(ada.say(PYTHON), bob.say(CALM))
        await ada.asked("second")
        await lost(ada)
        await ada.join()
        await ada.event(LineSpoken, kind="repeat")
        await asyncio.sleep(0.5)
        await ada.say(SUCCESS)
        assert await ada.ended() == "completed"
        await at.host.drop(bob.interview_id)
    assert not (at.folder / bob.interview_id).exists(), "no consent, no file"
    folder = at.folder / ada.interview_id
    started_at = json.loads((folder / "timeline.json").read_text())["started_at"]
    whole = await at.recordings.audio(ada.interview_id)
    assert whole is not None
    sound = recording(whole.read_bytes(), started_at)
    starts = onsets(sound.samples, sound.rate)
    segments = await ada.all(SegmentHeard)
    assert_said_once(text_of(segments), PYTHON, SUCCESS)
    for segment in segments:
        first = segment.words[0].t0 - started_at
        found = nearest(starts, first)
        assert found is not None
        assert found == pytest.approx(first, abs=0.3), segment.text
    await at.recordings.erase(ada.interview_id)
    assert not folder.exists()


# --- what is left behind --------------------------------------------------------------------------


class DeafOnce(Equipment):
    """Its first ears fail, when the leg is half made."""

    deaf = True

    def hearing(self, *parts: Any) -> Any:
        if self.deaf:
            self.deaf = False
            raise RuntimeError("no voice activity detector")
        return super().hearing(*parts)


async def test_a_leg_that_breaks_while_it_begins_leaves_nothing(
    tmp_path: Path, rendered: Path, model_url: str, engine: Engine
) -> None:
    async with (
        exchange(tmp_path, rendered, model_url, engine, places=1, equipment=DeafOnce) as at,
        await caller(at, recording=True) as ada,
    ):
        with pytest.raises(RuntimeError, match="no voice activity"):
            await ada.join()
        assert at.host.live == 0
        await gone(at.host, "RTCPeerConnection", "RTCDtlsTransport")
        assert "recording" not in [thread.name for thread in threading.enumerate()]
        await ada.join()
        await ada.asked("first")


class Unstoppable(Recorder):
    async def stop(self) -> None:
        await super().stop()
        raise OSError("the disk is gone")


class Failing(Equipment):
    def recorder(self, interview_id: str, on_failed: Callable[[str], None]) -> Recorder:
        return Unstoppable(self._settings.recordings_folder / interview_id, on_failed=on_failed)


class TelephoneLine:
    """A companion of the host with a peer of its own, which outlives the leg."""

    state = GatewayState("up")
    peer: Peer
    leg: Call

    def __init__(self, host: CallHost) -> None:
        self.host = host
        self.left: list[LeaveReason | None] = []

    async def start(self) -> None:
        self.loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        await self.peer.close()

    async def join(self, interview_id: str, offer: str) -> str:
        self.peer, answer = await Peer.answer(offer)
        self.leg = await self.host.join_line(interview_id, self.peer, self.left.append)
        return answer


async def test_whoever_has_the_line_learns_of_its_end_even_if_the_leg_cannot_be_closed_well(
    tmp_path: Path, rendered: Path, model_url: str, engine: Engine
) -> None:
    lines: list[TelephoneLine] = []

    def companion(store: Store) -> Callable[[CallHost, Equipment], TelephoneLine]:
        return lambda host, equipment: lines.append(TelephoneLine(host)) or lines[0]

    async with exchange(
        tmp_path, rendered, model_url, engine, equipment=Failing, companion=companion
    ) as at:
        [line], client = lines, CallClient()
        joining = line.join(await at.invite(PLAN, recording=True), await client.offer())
        future = asyncio.run_coroutine_threadsafe(joining, line.loop)
        await client.accept(await asyncio.wrap_future(future))
        await client.connected()
        line.loop.call_soon_threadsafe(line.leg.leave, "dropped")
        await until(lambda: line.left == ["dropped"])
        await client.close()


async def test_twenty_joins_and_drops_leave_no_task_thread_socket_or_memory(at: Exchange) -> None:
    async with await caller(at, recording=True) as ada:

        async def come_and_go(times: int) -> None:
            for n in range(times):
                await ada.join()
                assert ada.client is not None
                await (ada.client.drop() if n % 2 else ada.client.close())
            await at.host.drop(ada.interview_id)
            await asyncio.sleep(0.5)

        await come_and_go(4)
        before, memory = census(at.host), resident_mb()
        await come_and_go(20)
        await until(lambda: census(at.host) <= before, why=lambda: str(census(at.host) - before))
        grown = resident_mb() - memory
    assert grown < 60, f"{grown:.0f} MB more after 20 joins"


async def gone(host: CallHost, *owners: str) -> None:
    """No task of these classes is left on the call loop."""

    def left() -> list[str]:
        names = [task.get_coro().__qualname__ for task in asyncio.all_tasks(host._loop)]
        return [name for name in names if name.startswith(owners)]

    await until(lambda: not left(), why=lambda: str(left()))


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
