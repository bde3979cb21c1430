"""Whole calls over loopback sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from aiortc import RTCRtpSender
from livekit import rtc

from server.media.client import CallClient
from server.media.ice import IceSettings, PortRange
from server.media.input import RtcAudioInput
from server.media.output import RtcAudioOutput
from server.media.peer import MAX_MESSAGE, Peer

pytestmark = pytest.mark.media


def tone(hz: float, seconds: float, rate: int = 48000) -> np.ndarray:
    return (9000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


def spoken(seconds: float) -> rtc.AudioFrame:
    pcm = tone(300, seconds, 24000)
    return rtc.AudioFrame(pcm.tobytes(), 24000, 1, len(pcm))


def is_over(heard: list[np.ndarray]) -> bool:
    """Something loud was heard, and silence after it."""
    loud = [int(np.abs(pcm).max(initial=0)) > 3000 for pcm in heard]
    return any(loud) and not any(loud[-3:])


async def until(condition: Callable[[], object], within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - the condition is the other side's
            await asyncio.sleep(0.01)


Call = Callable[..., "asyncio.Future[tuple[CallClient, Peer]]"]


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    """Makes calls and ends them; no task of theirs may be left."""
    before, made = asyncio.all_tasks(), []

    async def make(codec: str = "opus", **options: object) -> tuple[CallClient, Peer]:
        client = CallClient(codec=codec)
        peer, answer = await Peer.answer(
            await client.offer(),
            codecs=(codec,),
            **options,  # type: ignore[arg-type]
        )
        made.append((client, peer))
        await client.accept(answer)
        await client.connected()
        return client, peer

    yield make  # type: ignore[misc]
    for client, peer in made:
        await client.close()
        await peer.close()
        await peer.close()
    await until(lambda: asyncio.all_tasks() - before <= {asyncio.current_task()})


async def test_the_candidate_is_heard_sample_for_sample(call: Call) -> None:
    client, peer = await call()
    heard: list[tuple[float, np.ndarray]] = []
    peer.on_heard(lambda pcm, rate, at: heard.append((at, pcm)))
    await client.say(tone(440, 1.0))
    await until(lambda: is_over([pcm for _, pcm in heard]))
    hearing = peer.hearing
    assert hearing.packets_arrived >= 50
    assert hearing.packets_lost == hearing.packets_bad == 0
    loud = [at for at, pcm in heard if np.abs(pcm).max() > 3000]
    assert loud[-1] + 0.02 - loud[0] == pytest.approx(1.0, abs=0.05)
    assert len({len(pcm) for _, pcm in heard}) == 1
    assert hearing.seconds_silent == hearing.seconds_concealed == 0


async def test_the_session_hears_and_speaks_across_a_rejoin(call: Call) -> None:
    output, source = RtcAudioOutput(), RtcAudioInput()
    ended: list[tuple[float, bool]] = []
    output.on("playback_finished", lambda e: ended.append((e.playback_position, e.interrupted)))
    first, peer = await call()
    output.attach(peer.track)
    source.attach(peer)
    await output.capture_frame(spoken(1.5))
    output.flush()
    await first.say(tone(440, 0.5))
    await first.drop()
    second, again = await call()
    output.attach(again.track)
    source.attach(again)
    await peer.close()
    await second.say(tone(440, 0.5))
    await asyncio.wait_for(output.wait_for_playout(), 30)
    await asyncio.sleep(0.2)
    source.close()
    samples = np.concatenate([np.frombuffer(f.data, np.int16) async for f in source])
    assert np.sum(np.abs(samples) > 3000) / 16000 > 0.6  # of a 1 s tone, above a third of its peak
    assert ended == [(1.5, False)]
    assert first.loud() and second.loud()
    output.close()


async def test_interruption_reaches_the_candidate_within_a_few_frames(call: Call) -> None:
    client, peer = await call()
    output = RtcAudioOutput()
    output.attach(peer.track)
    await output.capture_frame(spoken(5.0))
    output.flush()
    await until(lambda: client.loud())
    await asyncio.sleep(0.3)
    stopped = asyncio.get_running_loop().time()
    output.clear_buffer()
    await asyncio.sleep(0.4)
    late = [pcm for at, pcm in client.heard if at > stopped and np.abs(pcm).max(initial=0) > 1000]
    assert sum(map(len, late)) / client.heard_rate < 0.1
    output.close()


async def test_silence_of_the_network_is_noticed_and_its_end(call: Call) -> None:
    client, peer = await call(quiet_s=0.6)
    events: list[str] = []
    peer.on_quiet(lambda: events.append("quiet"))
    peer.on_back(lambda: events.append("back"))
    await asyncio.sleep(1.2)
    assert events == []
    track = client._track
    recv, held = track.recv, asyncio.Event()

    async def holding() -> object:
        await held.wait()
        return await recv()

    track.recv = holding
    await until(lambda: events == ["quiet"])
    held.set()
    await until(lambda: events == ["quiet", "back"])
    assert not peer.closed


async def test_a_loop_that_was_held_up_is_no_dead_line(call: Call) -> None:
    _, peer = await call(quiet_s=0.6)
    events: list[str] = []
    peer.on_quiet(lambda: events.append("quiet"))
    await asyncio.sleep(0.5)
    time.sleep(1.5)  # noqa: ASYNC251 — nothing is read meanwhile, though the line is well
    before = peer.hearing.packets_arrived
    await until(lambda: peer.hearing.packets_arrived > before + 20)
    assert events == []


async def test_a_dropped_call_is_quiet_and_a_hung_up_one_is_closed(call: Call) -> None:
    dropped, left = await call(quiet_s=0.6)
    events: list[str] = []
    left.on_quiet(lambda: events.append("quiet"))
    left.on_closed(lambda: events.append("closed"))
    await dropped.drop()
    await until(lambda: events == ["quiet"])
    hung_up, ended = await call()
    ended.on_closed(lambda: events.append("hung up"))
    await hung_up.close()
    await until(lambda: events[-1] == "hung up")
    assert ended.closed


async def test_a_call_that_is_never_made_is_closed() -> None:
    client = CallClient()
    peer, _ = await Peer.answer(await client.offer(), connect_s=0.3)
    closed = asyncio.Event()
    peer.on_closed(closed.set)
    await asyncio.wait_for(closed.wait(), 30)
    await peer.close()
    await client.close()


async def test_a_close_that_was_given_up_still_ends_the_call(call: Call) -> None:
    client, _ = await call()
    given_up = asyncio.create_task(client.close())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    given_up.cancel()
    async with asyncio.timeout(30):
        await client.close()


async def test_messages_go_both_ways_and_have_bounds(call: Call) -> None:
    client, peer = await call()
    got: list[dict] = []
    peer.on_message(got.append)
    assert peer.send({"too": "early"}) in (True, False)
    await client.channel_open()
    client.send({"type": "typed", "text": "grüß Gott 你好"})
    client.send({"type": "typed", "text": "x" * 100_000})
    client._channel.send("[1, 2")
    client._channel.send("[1, 2]")
    client._channel.send(b"\0\1")
    await until(lambda: len([m for m in client.messages if m["type"] == "error"]) == 4)
    assert got == [{"type": "typed", "text": "grüß Gott 你好"}]
    assert client.messages[-4]["limit"] == MAX_MESSAGE
    assert peer.send({"type": "caption", "text": "hello"})
    await until(lambda: client.messages[-1]["type"] == "caption")


async def test_a_listener_that_fails_does_not_end_the_call(call: Call) -> None:
    client, peer = await call()

    def failing(*_: object) -> None:
        raise TypeError("an owner's own mistake")

    peer.on_heard(failing)
    peer.on_message(failing)
    await client.channel_open()
    client.send({"type": "hello"})
    await client.say(tone(440, 0.3))
    await until(lambda: peer.hearing.seconds_heard > 0.2)  # what was sent last is on its way
    assert peer.connected


async def test_the_telephones_codec_is_spoken_and_heard(call: Call) -> None:
    client, peer = await call(codec="PCMU")
    heard: list[np.ndarray] = []
    peer.on_heard(lambda pcm, rate, at: heard.append(pcm))
    output = RtcAudioOutput()
    output.attach(peer.track)
    await output.capture_frame(spoken(0.5))
    output.flush()
    await client.say(tone(440, 0.5))
    await until(lambda: is_over(heard) and is_over([pcm for _, pcm in client.heard]))
    assert peer.codec == "pcmu"
    assert max(np.abs(pcm).max() for pcm in heard) == pytest.approx(9000, rel=0.1)
    loud = [pcm for _, pcm in client.heard if np.abs(pcm).max(initial=0) > 3000]
    assert sum(map(len, loud)) / client.heard_rate == pytest.approx(0.5, abs=0.05)
    output.close()


async def test_ports_are_given_back(call: Call) -> None:
    settings = IceSettings(ports=PortRange(42300, 42303))
    for _ in range(3):
        _, peer = await call(ice=settings)
        await peer.close()


async def test_losses_are_reported_to_the_sender_and_recovered(call: Call) -> None:
    client, peer = await call()
    receiver = peer._connection.getTransceivers()[0].receiver
    handle, count = receiver._handle_rtp_packet, 0

    async def lossy(packet: object, arrival_time_ms: int) -> None:
        nonlocal count
        count += 1
        if count % 10:
            await handle(packet, arrival_time_ms=arrival_time_ms)

    receiver._handle_rtp_packet = lossy
    t = np.arange(48000 * 3) / 48000
    voiced = sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 12))
    await client.say((5000 * voiced * (1 + np.sin(8 * np.pi * t)) / 2).astype(np.int16))
    hearing = peer.hearing
    assert hearing.packets_lost >= 10
    assert hearing.frames_recovered > hearing.packets_lost / 2
    sender = client._connection.getTransceivers()[0].sender
    async with asyncio.timeout(30):  # a report comes about once a second
        while not await reported_lost(sender):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def reported_lost(sender: RTCRtpSender) -> int:
    stats = await sender.getStats()
    return sum(s.packetsLost for s in stats.values() if s.type == "remote-inbound-rtp")
