"""The delay that a telephone's way adds: from a caller's packet to our frame, and from our frame to
the caller's ear.

    python -m bench.phone_delay             1,500 frames each way and arm, at 0 and 5 % loss
    python -m bench.phone_delay --quick     150 at 5 %, to see that it runs

A real kamailio, a real Janus and the host's own media leg, in a network namespace; the caller is a
SIP telephone of ours (UDP, PCMU, 20 ms), which sends in a thread of its own and has the kernel's
time of each packet that comes. Three arms:

- *phone*: telephone, kamailio and Janus, and our peer;
- *webrtc*: the baseline, a WebRTC client with PCMU straight to our peer, as a browser is;
- *rtp*: one telephone calling the other, for what the measuring itself costs.

*In* runs from the sending of a packet to the sound's coming out behind the telephone's filter, for
the recogniser; *out* from the time at which our frame was due to its packet's arrival at the
caller. Both have what filters add by design. *playout* is the delay of a buffer at the caller that
is in time for 99 % of the packets. Both sides speak all the time. Losses are random and each way;
what was lost has no delay. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.phone_ends import EXTENSIONS, Ear, Prepared, answered, gateway, lossy
from bench.phone_frames import RATE, Heard, by_content, by_pattern, is_loud, speech, spread
from server.media.client import CallClient
from server.media.g711 import MU_LAW
from server.media.ice import IceSettings
from server.media.outgoing import SAMPLE_RATE
from server.media.peer import Peer
from server.media.receiver import RtpPacket
from server.media.resample import Resampler
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.impairment import Impairment
from server.phone.softphone.options import Options
from server.phone.softphone.phone import Phone
from server.rehearsal.phone import possible
from server.rehearsal.phone.ground import CALLERS, PBX, VIVA, Ground, until
from server.rehearsal.phone.registrar import Registrar

FIRST_S = 1.0
"""Left out: connections are made, and buffers find their size."""


async def by_phone(folder: Path, loss: float, seconds: float) -> dict[str, Any]:
    options = Options(("PCMU/8000",), sending=Impairment(loss), hearing=Impairment(loss))
    async with AsyncExitStack() as stack:
        next_call = await stack.enter_async_context(gateway(folder, lines=1))
        phone = Phone(CALLERS, PBX, "anna", EXTENSIONS["anna"], seed=1, options=options)
        await stack.enter_async_context(phone)
        coming = next_call()
        calling = asyncio.create_task(phone.call("viva"))
        peer = await answered(await coming)
        stack.push_async_callback(peer.close)
        call = await calling
        await until(lambda: peer.connected, what="not connected")
        ear = Ear(peer, seed=2)
        begun = await talked(call, seconds)
        await call.hang_up()
        return found(ear, sent_by(call, begun), heard_by(call, begun))


async def talked(call: PhoneCall, seconds: float) -> float:
    """Speak for so long; from when on it counts."""
    loop = asyncio.get_running_loop()
    begun = loop.time() + FIRST_S
    await call.say(speech(seconds + FIRST_S, seed=3))
    return begun


def sent_by(call: PhoneCall, since: float) -> list[tuple[float, bytes]]:
    sent = [one for one in call.sent_frames if one.at >= since and len(one.pcm)]
    return [(one.at, one.pcm.tobytes()) for one in sent if one.pcm.any()]


def heard_by(call: PhoneCall, since: float) -> list[Heard]:
    return [
        Heard(one.at, one.packet.timestamp, is_loud(one.pcm))
        for one in call.heard_frames
        if one.at >= since
    ]


def found(ear: Ear, sent: list[tuple[float, bytes]], heard: list[Heard]) -> dict[str, Any]:
    return {
        "in": spread(by_content(sent, ear.heard), ear.filter_s),
        "out": spread(by_pattern(ear.pattern.sent, heard), Resampler(SAMPLE_RATE, RATE).delay),
    }


async def by_webrtc(folder: Path, loss: float, seconds: float) -> dict[str, Any]:
    del folder
    loop, chance = asyncio.get_running_loop(), random.Random(4)
    client = CallClient(IceSettings(media_ip=VIVA), codec="pcmu")
    said = Prepared(speech(seconds + FIRST_S, seed=3), loop.time)
    client._track._encoder = said
    heard: list[Heard] = []

    def note(packet: RtpPacket) -> None:
        loud = is_loud(MU_LAW.decode(packet.payload))
        heard.append(Heard(loop.time(), packet.timestamp, loud))

    receiver = client._connection.getReceivers()[0]
    lossy(receiver, loss, chance, note)
    peer, answer = await Peer.answer(
        await client.offer(), ice=IceSettings(media_ip=VIVA), codecs=("pcmu",)
    )
    lossy(peer._transceiver.receiver, loss, chance)
    ear = Ear(peer, seed=2)
    try:
        await client.accept(answer)
        await client.connected()
        begun = loop.time() + FIRST_S
        await asyncio.sleep(seconds + FIRST_S)
    finally:
        await client.close()
        await peer.close()
    sent = [one for one in said.sent if one[0] >= begun]
    return found(ear, sent, [one for one in heard if one.at >= begun])


async def by_rtp(folder: Path, loss: float, seconds: float) -> dict[str, Any]:
    """Both ways are alike; each is measured in one direction."""
    del folder
    line = Impairment(loss)
    options = Options(("PCMU/8000",), sending=line, hearing=line)
    async with AsyncExitStack() as stack:
        anna, ben = phones = [
            Phone(CALLERS, PBX, name, EXTENSIONS[name], seed=seed, options=options)
            for seed, name in enumerate(("anna", "ben"))
        ]
        for one in phones:
            await stack.enter_async_context(one)
        calling = asyncio.create_task(anna.call("ben"))
        other = await ben.incoming()
        await other.answer()
        call = await calling
        begun = await talked(call, seconds)
        await asyncio.sleep(0.2)
        heard = [(one.at, one.pcm.tobytes()) for one in other.heard_frames]
        await call.hang_up()
        return {"one way": spread(by_content(sent_by(call, begun), heard))}


ARMS = {"phone": by_phone, "webrtc": by_webrtc, "rtp": by_rtp}


async def measure(folder: Path, losses: list[float], seconds: float) -> dict[str, dict[str, Any]]:
    """By arm and loss."""
    with Ground(folder) as ground:
        registrar = Registrar(ground, EXTENSIONS)
        await registrar.start()
        try:
            return {
                f"{arm}, {100 * loss:g} % loss": await ARMS[arm](folder, loss, seconds)
                for loss in losses
                for arm in ARMS
            }
        finally:
            registrar.stop()


def table(found: dict[str, dict[str, Any]]) -> str:
    rows = ["ms                     p50     p95  playout      max      n"]
    for arm, ways in found.items():
        rows += [
            f"{arm:15} {way:>3} {one['p50']:7} {one['p95']:7} {one['playout']:8} {one['max']:8}"
            f" {one['n']:6}"
            for way, one in ways.items()
        ]
    return "\n".join(rows)


def summary(found: dict[str, dict[str, Any]], quick: bool) -> dict[str, Any]:
    ours = {name: ways for name, ways in found.items() if name.startswith("phone")}
    direct = {name.replace("phone", "webrtc"): ways for name, ways in ours.items()}
    added = {
        name: {
            way: round(one["p95"] - found[other][way]["p95"], 2) for way, one in ours[name].items()
        }
        for name, other in zip(ours, direct, strict=True)
    }
    return {
        "name": "phone_delay",
        "quick": quick,
        "figures": ours,
        "baseline": {name: ways for name, ways in found.items() if name not in ours},
        "ratio": {"added_p95_ms": added},
        "n": {
            f"{name}, {way}": one["n"] for name, ways in found.items() for way, one in ways.items()
        },
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="150 frames: that it runs")
    parser.add_argument("--seconds", type=float, default=30.0, help="of speech for each arm")
    parser.add_argument(
        "--loss", type=float, nargs="+", default=[0.0, 5.0], help="percent, each way"
    )
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.loss = 3.0, [5.0]
    return options


def main() -> None:
    options = arguments()
    if why := possible.why_not():
        # A machine without them still passes its checks; who asked for figures gets an error.
        sys.exit(print(f"skipped: {why}") if options.quick else why)
    possible.enter(sys.executable, "-m", "bench.phone_delay")
    with tempfile.TemporaryDirectory() as folder:
        losses = [percent / 100 for percent in options.loss]
        found = asyncio.run(measure(Path(folder), losses, options.seconds))
    print(f"load {os.getloadavg()[0]:.1f}\n{table(found)}")
    print(json.dumps(summary(found, options.quick)))


if __name__ == "__main__":
    main()
