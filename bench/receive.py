"""What is heard of what arrives: the ear of the embedded transport, beside aiortc as it comes.

    python -m bench.receive            everything that can run here (about four minutes)
    python -m bench.receive --quick    fewer networks and packets (for CI)

Both arms get the same packets at the same times:

- *calls*: real WebRTC connections over loopback; a shim in front of the receiver loses, delays and
  reorders packets, then gives each to our receiver and to an untouched RTCRtpReceiver;
- *simulated*: the ear and aiortc's JitterBuffer alone, in virtual time, many more packets;
- *cost*: CPU of receiving and decoding one second of audio, in this process;
- *words*: espeak-ng sentences through Opus, the losses, both arms, and the rehearsal recogniser;
- *browser*: Chromium (where it is installed) sends speech; which losses FEC gives back.

The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import statistics
import tempfile
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import numpy as np
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack, RTCRtpReceiver
from aiortc.rtp import RtpPacket
from av import AudioFrame
from numpy.typing import NDArray

from server.media import opus
from server.media.client import CallClient
from server.media.ear import Conceal, Decode, Ear, Silence
from server.media.peer import Peer
from server.media.receiver import EarReceiver
from server.media.resample import Resampler

Pcm = NDArray[np.int16]

RATE, FRAME, FRAME_S = 48000, 960, 0.02
HANDLE = "_handle_rtp_packet"
"""Where aiortc gives a receiver its packets; losses are made in front of it, so that the RTCP
reports tell of them."""
FIRST = 5
"""Packets at the beginning that every network lets through, so that both arms begin alike: what
is overtaken by the very first packet belongs to no stream yet."""


@dataclass(frozen=True)
class Network:
    """What happens to packets on the way."""

    name: str
    loss: float = 0.0
    burst: int = 1
    jitter_s: float = 0.0
    """Uniform; packets may overtake one another."""
    reorder: float = 0.0
    """This share comes 30 ms later than its neighbours."""
    stall_every_s: float = 0.0
    """About this often nothing passes for 80-300 ms, then everything at once."""

    def schedule(self, sent: Sequence[float], seed: int) -> list[float | None]:
        """When each packet arrives, or None."""
        rng = random.Random(seed)
        lost: set[int] = set()
        for n in range(FIRST, len(sent)):
            if rng.random() < self.loss / self.burst:
                lost.update(range(n, n + self.burst))
        out: list[float | None] = []
        stalls = list(self._stalls(sent[-1], rng))
        for n, at in enumerate(sent):
            if n >= FIRST:
                at += rng.random() * self.jitter_s + (0.03 if rng.random() < self.reorder else 0.0)
                at = next((end for begin, end in stalls if begin <= at < end), at)
            out.append(None if n in lost else at)
        return out

    def _stalls(self, until: float, rng: random.Random) -> Iterator[tuple[float, float]]:
        at = self.stall_every_s
        while self.stall_every_s and at < until:
            yield at, at + rng.uniform(0.08, 0.3)
            at += self.stall_every_s * rng.uniform(0.5, 1.5)


NETWORKS = (
    Network("no loss"),
    Network("1 % loss", loss=0.01),
    Network("2 % loss", loss=0.02),
    Network("5 % loss", loss=0.05),
    Network("10 % loss", loss=0.10),
    Network("5 % loss, bursts of 3", loss=0.05, burst=3),
    Network("jitter 30 ms", jitter_s=0.03),
    Network("jitter 80 ms", jitter_s=0.08),
    Network("2 % reordered", reorder=0.02),
    Network("stalls 80-300 ms", stall_every_s=2.0),
)
QUICK = (NETWORKS[0], NETWORKS[3], NETWORKS[6])


@dataclass
class Arm:
    """What one way of receiving made of the packets."""

    heard: int = 0
    held: list[float] = field(default_factory=list)
    samples: int = 0

    def held_ms(self, share: float) -> float:
        return float(np.quantile(self.held, share) * 1000) if self.held else float("nan")


@dataclass
class Result:
    network: str
    sent: int
    arrived: int
    ours: Arm
    theirs: Arm
    owed: int
    """Samples that our output must have: what was sent, and what was inserted in stalls."""
    inserted: int

    @property
    def exact(self) -> bool:
        return self.ours.samples == self.owed


# Speech.


def babble(seconds: float, seed: int = 1) -> Pcm:
    """Voiced and unvoiced sound with syllables: enough for Opus to take it for speech."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.4 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voiced = sum(np.sin(k * phase) / k for k in range(1, 14))
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * t) + 0.3, 0, 1)
    return (4000 * syllables * voiced + 150 * rng.standard_normal(len(t))).astype(np.int16)


def encoded(pcm: Pcm, bitrate: int = 24000) -> list[bytes]:
    encoder = opus.Encoder(RATE, bitrate=bitrate, fec_loss_percent=10)
    whole = pcm[: len(pcm) // FRAME * FRAME]
    return [encoder.encode(frame) for frame in whole.reshape(-1, FRAME)]


# Simulated: both arms in virtual time.


@dataclass(frozen=True)
class Arrival:
    at: float
    n: int
    payload: bytes


def arrivals(payloads: Sequence[bytes], network: Network, seed: int) -> list[Arrival]:
    times = network.schedule([n * FRAME_S for n in range(len(payloads))], seed)
    came = [
        Arrival(at, n, p)
        for n, (at, p) in enumerate(zip(times, payloads, strict=True))
        if at is not None
    ]
    return sorted(came, key=lambda arrival: arrival.at)


def packet(arrival: Arrival) -> RtpPacket:
    made = RtpPacket(
        payload_type=96,
        sequence_number=arrival.n & 0xFFFF,
        timestamp=arrival.n * FRAME & 0xFFFFFFFF,
    )
    made.ssrc, made.payload = 1, arrival.payload
    setattr(made, "_data", arrival.payload)  # noqa: B010 - as the receiver does
    return made


Play = Callable[[Decode | Conceal | Silence], None]


def through_ear(came: Sequence[Arrival], play: Play | None = None) -> tuple[Arm, Ear]:
    """The ear alone, pumped at each arrival and each wake time."""
    ear, arm = Ear(RATE), Arm()

    def pump(now: float) -> float | None:
        while True:
            operation, wake = ear.pull(now)
            if operation is None:
                return wake
            arm.samples += operation.samples
            if isinstance(operation, Decode):
                arm.heard += 1
                arm.held.append(now - operation.arrived)
            if play is not None:
                play(operation)

    wake: float | None = None
    for arrival in came:
        while wake is not None and wake < arrival.at:
            wake = pump(wake)
        ear.push(
            arrival.n & 0xFFFF, arrival.n * FRAME & 0xFFFFFFFF, arrival.payload, FRAME,
            arrival.at, ssrc=1,
        )  # fmt: skip
        wake = pump(arrival.at)
    ear.end()
    pump(came[-1].at)
    return arm, ear


def through_aiortc(
    came: Sequence[Arrival], play: Callable[[bytes, int], None] | None = None
) -> Arm:
    """aiortc's JitterBuffer alone, with the receiver's own numbers."""
    buffer, arm = JitterBuffer(capacity=16, prefetch=4), Arm()
    arrived = {arrival.n * FRAME & 0xFFFFFFFF: arrival.at for arrival in came}
    for arrival in came:
        _, frame = buffer.add(packet(arrival))
        if frame is not None:
            arm.heard += 1
            arm.samples += FRAME
            arm.held.append(arrival.at - arrived[frame.timestamp])
            if play is not None:
                play(frame.data, frame.timestamp)
    return arm


def simulate(network: Network, count: int, seed: int = 7) -> Result:
    came = arrivals([b"\0"] * count, network, seed)
    ours, ear = through_ear(came)
    owed = (max(a.n for a in came) - min(a.n for a in came) + 1) * FRAME
    owed += ear.counters.inserted - ear.counters.skipped
    return Result(
        network.name, count, len(came), ours, through_aiortc(came), owed, ear.counters.inserted
    )


# Calls: both arms over the embedded transport.


class _NoTransport:
    """What an untouched receiver needs of a DTLS transport; its reports go nowhere."""

    state = "connected"
    _stats_id = "bench"

    def _register_rtp_receiver(self, *_: object) -> None: ...
    def _unregister_rtp_receiver(self, *_: object) -> None: ...
    async def _send_rtp(self, data: bytes) -> None: ...


class Untouched:
    """aiortc's receiver as it comes, with a consumer that reads its track."""

    def __init__(self, codec: RTCRtpCodecParameters) -> None:
        self.arm = Arm()
        self.arrived: dict[int, float] = {}
        self._codec = codec
        self._origin: int | None = None
        self._receiver = RTCRtpReceiver("audio", cast(RTCDtlsTransport, _NoTransport()))
        self._receiver._track = RemoteStreamTrack(kind="audio")
        self._reading = asyncio.create_task(self._read())

    async def start(self) -> None:
        await self._receiver.receive(RTCRtpReceiveParameters(codecs=[self._codec]))

    async def handle(self, rtp: RtpPacket, arrival_time_ms: int) -> None:
        if self._origin is None:
            self._origin = rtp.timestamp
        self.arrived[rtp.timestamp - self._origin & 0xFFFFFFFF] = _now()
        await self._receiver._handle_rtp_packet(rtp, arrival_time_ms)

    async def _read(self) -> None:
        while True:
            try:
                frame = await self._receiver.track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, AudioFrame) and frame.pts is not None
            self.arm.heard += 1
            self.arm.samples += frame.samples
            at = self.arrived.get(frame.pts & 0xFFFFFFFF)
            if at is not None:
                self.arm.held.append(_now() - at)

    async def stop(self) -> None:
        await asyncio.sleep(0.2)
        self._receiver._handle_disconnect()
        await self._reading
        await self._receiver.stop()


def _now() -> float:
    return asyncio.get_running_loop().time()


class Shim:
    """Stands before a peer's receiver and lets the network happen to its packets."""

    def __init__(self, peer: Peer, network: Network, seconds: float, seed: int) -> None:
        transceiver = peer._connection.getTransceivers()[0]
        self._receiver = transceiver.receiver
        self._deliver = self._receiver._handle_rtp_packet
        self.untouched = Untouched(transceiver._codecs[0])
        count = int(seconds / FRAME_S) + 100
        self._delays = [
            None if at is None else at - n * FRAME_S
            for n, at in enumerate(network.schedule([n * FRAME_S for n in range(count)], seed))
        ]
        self.sent = self.arrived = 0
        self.last, self.over = len(self._delays), False
        self.stamps: list[int] = []
        self._tasks: set[asyncio.Task[None]] = set()
        setattr(self._receiver, HANDLE, self._arrive)

    async def _arrive(self, rtp: RtpPacket, arrival_time_ms: int) -> None:
        if self.sent >= self.last:
            return
        delay = self._delays[self.sent]
        self.sent += 1
        if delay is None:
            return
        if delay < 0.0005:
            await self._give(rtp, arrival_time_ms)
        else:
            asyncio.get_running_loop().call_later(delay, self._later, rtp, arrival_time_ms)

    def _later(self, rtp: RtpPacket, arrival_time_ms: int) -> None:
        task = asyncio.create_task(self._give(rtp, arrival_time_ms))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _give(self, rtp: RtpPacket, arrival_time_ms: int) -> None:
        if self.over:
            return
        self.arrived += 1
        self.stamps.append(rtp.timestamp)
        await self._deliver(rtp, arrival_time_ms=arrival_time_ms)
        await self.untouched.handle(rtp, arrival_time_ms)


async def call(network: Network, seconds: float, seed: int) -> Result:
    client = CallClient()
    peer, answer = await Peer.answer(await client.offer())
    shim = Shim(peer, network, seconds, seed)
    await shim.untouched.start()
    ours, ear = Arm(), peer._ear
    assert ear is not None
    ear.held_s = ours.held.append

    def hear(pcm: Pcm, rate: int, at: float) -> None:
        del rate, at
        ours.samples += len(pcm)

    peer.on_heard(hear)
    await client.accept(answer)
    await client.connected()
    await client.say(babble(seconds, seed))
    shim.last = shim.sent  # the silence that follows is not part of it
    await asyncio.sleep(0.1)  # for what is on the way; and nothing is filled in so short a time
    shim.over = True
    ear.close()
    counters = ear._ear.counters
    ours.heard = counters.played
    offsets = [(s - shim.stamps[0] + (1 << 31) & 0xFFFFFFFF) - (1 << 31) for s in shim.stamps]
    owed = max(offsets) - min(offsets) + FRAME + counters.inserted - counters.skipped
    await shim.untouched.stop()
    await client.close()
    await peer.close()
    return Result(
        network.name, shim.sent, shim.arrived, ours, shim.untouched.arm, owed, counters.inserted
    )


async def calls(networks: Sequence[Network], seconds: float, at_once: int = 3) -> list[Result]:
    results: list[Result] = []
    for start in range(0, len(networks), at_once):
        group = networks[start : start + at_once]
        results += await asyncio.gather(*(call(n, seconds, 11 + start) for n in group))
    return results


# Cost: CPU of one second of audio, through both receivers whole.


async def cost(seconds: float) -> tuple[float, float]:
    """CPU seconds per second of audio, ours and aiortc's, from packets to 48 kHz samples."""
    packets = [packet(arrival) for arrival in arrivals(encoded(babble(seconds)), NETWORKS[0], 3)]
    ear = EarReceiver("opus", lambda pcm, rate, at: None)
    begin = time.process_time()
    for one in packets:
        ear.add(one)
    ours = time.process_time() - begin
    ear.close()
    codec = RTCRtpCodecParameters("audio/opus", clockRate=RATE, channels=2, payloadType=96)
    untouched = Untouched(codec)
    await untouched.start()
    begin = time.process_time()
    for n, one in enumerate(packets):
        await untouched.handle(one, 0)
        if n % 50 == 0:
            await asyncio.sleep(0)  # let its consumer read, as in a call
    while untouched.arm.heard < len(packets) - 8:  # noqa: ASYNC110 - a thread decodes
        await asyncio.sleep(0.001)
    theirs = time.process_time() - begin
    await untouched.stop()
    return ours / seconds, theirs / seconds


# Words: what a recogniser makes of it.


def heard_by_ear(came: Sequence[Arrival]) -> Pcm:
    decoder, out = opus.Decoder(), []

    def play(operation: Decode | Conceal | Silence) -> None:
        match operation:
            case Decode():
                out.append(decoder.decode(operation.payload))
            case Conceal():
                out.append(decoder.conceal(operation.samples, operation.next_payload))
            case Silence():
                out.append(np.zeros(operation.samples, np.int16))

    through_ear(came, play)
    return np.concatenate(out)


def heard_by_aiortc(came: Sequence[Arrival]) -> Pcm:
    decoder, out = OpusDecoder(), []

    def play(payload: bytes, timestamp: int) -> None:
        for frame in decoder.decode(JitterFrame(payload, timestamp)):
            assert isinstance(frame, AudioFrame)
            out.append(frame.to_ndarray().reshape(-1, 2)[:, 0].copy())

    through_aiortc(came, play)
    return np.concatenate(out)


def answers(repeats: int) -> list[tuple[str, Pcm]]:
    """Lines of the rehearsal's candidates, and their sound at 48 kHz."""
    import prompts
    from agent import planfile
    from server.rehearsal.candidates import built_in
    from server.rehearsal.voicebox import rendered
    from tts.audio import SAMPLE_RATE

    plan = planfile.parse((files(prompts) / "plans" / "rehearsal_en.yaml").read_bytes())
    spoken: list[tuple[str, Pcm]] = []
    for seed in range(repeats):
        script = built_in(plan, seed)
        for line in dict.fromkeys(step.say for step in script.steps() if step.say):
            sound = Resampler(SAMPLE_RATE, RATE).push(rendered(line, script.voice))
            spoken.append((line, sound))
    return spoken


def words(losses: Sequence[float], repeats: int) -> list[dict[str, Any]]:
    """Word error rates of rehearsal answers."""
    import jiwer
    from whisper_normalizer.english import EnglishTextNormalizer

    from asr import rehearsal
    from asr.whisper import Whisper

    recogniser = Whisper(rehearsal.model_dir(), device="cpu")
    normal = EnglishTextNormalizer()
    # Quiet before and after, as in a call: the line's first packets are not the stream's.
    quiet = np.zeros(RATE // 2, np.int16)
    spoken = [
        (line, encoded(np.concatenate((quiet, sound, quiet)))) for line, sound in answers(repeats)
    ]
    rows = []
    for loss in losses:
        network = Network(f"{loss:.0%} loss", loss=loss)
        texts: dict[str, list[str]] = {"ours": [], "aiortc": []}
        for seed, (_, payloads) in enumerate(spoken):
            came = arrivals(payloads, network, seed)
            for arm, hear in (("ours", heard_by_ear), ("aiortc", heard_by_aiortc)):
                pcm = Resampler(RATE, 16000).push(hear(came)).astype(np.float32) / np.float32(32768)
                heard = recogniser.decode(pcm, language="en", words=False).text
                texts[arm].append(normal(heard))
        truth = [normal(line) for line, _ in spoken]
        rows.append(
            {
                "loss": loss,
                **{arm: round(jiwer.wer(truth, said), 4) for arm, said in texts.items()},
                "words": sum(len(line.split()) for line in truth),
            }
        )
    return rows


# Browser: Chromium sends, we lose, FEC gives back.

PAGE = """<!doctype html><title>receive</title><script type="module">
const pc = new RTCPeerConnection({iceServers: []});
const media = await navigator.mediaDevices.getUserMedia(
  {audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
media.getTracks().forEach(track => pc.addTrack(track, media));
await pc.setLocalDescription();
const answer = await fetch("/offer", {method: "POST", body: pc.localDescription.sdp});
await pc.setRemoteDescription({type: "answer", sdp: await answer.text()});
</script>"""
CHROMIUM = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


async def browser(seconds: float, loss: float) -> dict[str, Any] | None:
    """None where there is no Chromium."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    if binary is None:
        return None
    peers: asyncio.Queue[Peer] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:  # a connection opened in advance and never used
            writer.close()
            return
        length = next(
            (int(x.split(":")[1]) for x in head.splitlines() if x.lower().startswith("content-le")),
            0,
        )
        body = (await reader.readexactly(length)).decode()
        if head.startswith("POST"):
            peer, body = await Peer.answer(body)
            peers.put_nowait(peer)
        else:
            body = PAGE
        data = body.encode()
        kind = b"text/html" if body is PAGE else b"application/sdp"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        voice = Path(folder) / "voice.wav"
        with wave.open(str(voice), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(np.concatenate([sound for _, sound in answers(1)]).tobytes())
        process = await asyncio.create_subprocess_exec(
            binary,
            *CHROMIUM,
            f"--user-data-dir={folder}/profile",
            f"--use-file-for-fake-audio-capture={voice}",
            f"http://127.0.0.1:{port}/",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            return await _browse(await asyncio.wait_for(peers.get(), 60), seconds, loss)
        finally:
            process.terminate()
            await process.wait()
            server.close()
            await server.wait_closed()


async def _browse(peer: Peer, seconds: float, loss: float) -> dict[str, Any]:
    receiver = peer._connection.getTransceivers()[0].receiver
    deliver, rng = receiver._handle_rtp_packet, random.Random(5)
    begin, with_fec, counted = _now(), 0, 0

    async def lossy(rtp: RtpPacket, arrival_time_ms: int) -> None:
        nonlocal with_fec, counted
        if _now() - begin > 10:  # Chromium takes a while to believe the reports
            counted += 1
            with_fec += opus.has_fec(rtp.payload)
        if rng.random() >= loss:
            await deliver(rtp, arrival_time_ms=arrival_time_ms)

    setattr(receiver, HANDLE, lossy)
    await asyncio.sleep(seconds)
    hearing = peer.hearing
    ear = peer._ear
    assert ear is not None
    await peer.close()
    return {
        "packets": hearing.packets_arrived,
        "lost": hearing.packets_lost,
        "recovered": hearing.frames_recovered,
        "with_fec": round(with_fec / max(counted, 1), 3),
        "heard_of_arrived": ear._ear.counters.played / max(hearing.packets_arrived, 1),
    }


# The report.


def table(title: str, results: Sequence[Result]) -> None:
    print(f"\n{title}\n")
    print(
        f"{'network':<24}{'sent':>7}{'arrived':>8} | {'heard':>8}{'held p50':>9}{'p95':>6}"
        f"{'samples':>9} | {'aiortc':>8}{'held p50':>9}{'p95':>6}"
    )
    for r in results:
        extra = "exact" if r.exact else "WRONG"
        if r.exact and r.inserted:
            extra = f"+{r.inserted / RATE:.1f} s"
        print(
            f"{r.network:<24}{r.sent:>7}{r.arrived:>8} |"
            f" {r.ours.heard / r.arrived:>8.5f}{r.ours.held_ms(0.5):>6.1f} ms"
            f"{r.ours.held_ms(0.95):>6.1f}{extra:>9} |"
            f" {r.theirs.heard / r.arrived:>8.5f}{r.theirs.held_ms(0.5):>6.0f} ms"
            f"{r.theirs.held_ms(0.95):>6.0f}"
        )


def figures(results: Sequence[Result], theirs: bool = False) -> dict[str, Any]:
    out = {}
    for r in results:
        arm = r.theirs if theirs else r.ours
        row: dict[str, Any] = {
            "heard_of_arrived": round(arm.heard / r.arrived, 5),
            "held_p50_ms": round(arm.held_ms(0.5), 1),
            "held_p95_ms": round(arm.held_ms(0.95), 1),
        }
        if not theirs:
            row |= {"samples_exact": r.exact, "inserted_s": round(r.inserted / RATE, 2)}
        out[r.network] = row
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer networks and packets")
    parser.add_argument("--no-browser", action="store_true")
    options = parser.parse_args()
    quick = options.quick
    networks = QUICK if quick else NETWORKS
    simulated = [simulate(n, 3000 if quick else 30000) for n in networks]
    table("Simulated (virtual time)", simulated)
    real = asyncio.run(calls(networks, 6.0 if quick else 22.0))
    table("Calls (embedded transport over loopback)", real)
    runs = [asyncio.run(cost(20.0 if quick else 60.0)) for _ in range(3)]
    ours, theirs = (statistics.median(run[arm] for run in runs) for arm in (0, 1))
    print(f"\nCPU per second of audio: {ours:.5f} s, aiortc {theirs:.5f} s")
    rates = words((0.0, 0.05, 0.10), 1 if quick else 6)
    print("\nWord error rate of rehearsal answers (EnglishTextNormalizer, jiwer)")
    for row in rates:
        print(f"  {row['loss']:>4.0%}  ours {row['ours']:.2%}  aiortc {row['aiortc']:.2%}")
    fec = None if quick or options.no_browser else asyncio.run(browser(40.0, 0.05))
    if fec is None:
        print("\nChromium: not measured (not installed, or left out)")
    else:
        print(
            f"\nChromium at 5 % loss: {fec['recovered']} of {fec['lost']} lost frames recovered"
            f" by FEC; {fec['with_fec']:.0%} of packets carried a copy after 10 s"
        )
    five = next(i for i, n in enumerate(networks) if n.loss == 0.05)
    print(
        json.dumps(
            {
                "name": "receive",
                "figures": {
                    "calls": figures(real),
                    "simulated": figures(simulated),
                    "cpu_s_per_audio_s": round(ours, 5),
                    "wer": rates,
                    "chromium": fec,
                },
                "baseline": {
                    "calls": figures(real, theirs=True),
                    "simulated": figures(simulated, theirs=True),
                    "cpu_s_per_audio_s": round(theirs, 5),
                },
                "ratio": {
                    "heard_at_5_percent_loss": round(
                        real[five].ours.heard / max(real[five].theirs.heard, 1), 3
                    ),
                    "cpu": round(ours / theirs, 2),
                },
                "n": {
                    "calls": sum(r.arrived for r in real),
                    "simulated": sum(r.arrived for r in simulated),
                },
            }
        )
    )


if __name__ == "__main__":
    main()
