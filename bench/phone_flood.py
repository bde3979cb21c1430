"""What a flood of INVITEs without a password does to a call: its sound, memory, and whether any of
them gets into an interview.

    python -m bench.phone_flood             3 rounds, 10 s each way and 10 s of quiet (3 minutes)
    python -m bench.phone_flood --quick     one round of 2 s (for CI)

SIPp sends 200 a second while a candidate is in an interview by telephone: once straight to the
gateway's SIP port, from an address that is not the PBX, and once through a PBX that asks nobody for
a password, so that every free line takes a call. Before each flood there is as long a quiet, of the
same call; the arrival of each RTP packet is measured by the caller. kamailio, Janus and `viva serve
--phone` are real; root only. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

from bench import phone_office as stage
from bench.phone_office import Office, gaps_ms, spread_ms
from server.phone.softphone.call import PhoneCall
from server.rehearsal.phone.caller import PhoneClient
from server.rehearsal.phone.ground import CALLERS, PBX, STRANGER, VIVA, Running, why_not

RATE = 200
FLOOD_S, ROUNDS = 10.0, 3
LINES = 4
SETTLE_S = 3.0
"""After a flood, before memory is looked at."""
MOST_RATIO, MOST_MB = 1.2, 20.0
"""Goals: gap p99 in a stranger's flood to that without; memory after a flood to that before. What a
PBX lets through is calls, which cost what calls cost."""
Way = Literal["stranger", "through_pbx"]

INVITE = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="flood">
<send><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:nobody[call_number]@[local_ip]>;tag=[call_number]
To: <sip:[service]@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:nobody@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=u 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
]]></send>
</scenario>
"""
"""Sent and left: whoever tries for a way in does not stay for what is answered."""


@dataclass
class Measured:
    """One way of the flood."""

    quiet: list[float] = field(default_factory=list)
    """Gaps in milliseconds."""
    flooded: list[float] = field(default_factory=list)
    sent: int = 0
    seconds: float = 0.0

    @property
    def ratio(self) -> float:
        return stage.rank(self.flooded, 0.99) / stage.rank(self.quiet, 0.99)


@dataclass
class Result:
    ways: dict[Way, Measured]
    memory_mb: list[float]
    """Of server and gateway: before the first flood, and after each."""
    begun: list[str]
    """Of interviews that nobody was let into: what was written in them nevertheless."""
    went_on: bool
    """The candidate's answer was heard after the floods."""

    @property
    def memory_more_mb(self) -> float:
        """After the flood that took most."""
        return max(after - before for before, after in pairwise(self.memory_mb))


def flood(it: Office, way: Way, seconds: float) -> Running:
    count, local = round(RATE * seconds), {"stranger": STRANGER, "through_pbx": CALLERS}[way]
    target = f"{PBX}:5060" if way == "through_pbx" else f"{VIVA}:{sip_port(it)}"
    rate = ("-s", stage.SERVER, "-r", str(RATE), "-m", str(count))
    return it.ground.sipp(INVITE, *rate, target, ip=local, port=5090)


def sip_port(it: Office) -> int:
    """Where the gateway takes SIP."""
    state = json.loads((it.folder / "janus" / "state.json").read_text(encoding="utf-8"))
    return int(state["sip_ports"][0])


async def measure(seconds: float, rounds: int) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        async with stage.office(Path(folder), lines=LINES, challenge_calls=False) as it:
            bystander, candidate = await it.invite(), await it.invite()
            leg = await it.join(candidate)
            await it.asked(candidate.interview_id)
            memory = [it.memory_mb()]
            ways: dict[Way, Measured] = {way: Measured() for way in get_args(Way)}
            for _ in range(rounds):
                for way in ways:
                    await _one(it, leg.call, way, seconds, ways[way])
                    await asyncio.sleep(SETTLE_S)
                    memory.append(it.memory_mb())
            began = await _begun(it, bystander.interview_id)
            return Result(ways, memory, began, await _still_heard(it, leg, candidate.interview_id))


async def _one(it: Office, call: PhoneCall, way: Way, seconds: float, measured: Measured) -> None:
    measured.quiet += gaps_ms(call, *await stage.for_s(seconds))
    began = time.monotonic()
    sipp = flood(it, way, seconds)
    try:
        status = await sipp.ended(within_s=10 * seconds + 30)
        ended = time.monotonic()
    finally:
        sipp.kill()
    if status:
        raise RuntimeError(f"sipp ended with {status}: {sipp.said[-1500:]}")
    measured.flooded += gaps_ms(call, began, ended)
    measured.sent += round(RATE * seconds)
    measured.seconds += ended - began


async def _begun(it: Office, interview_id: str) -> list[str]:
    log = await it.operator.events(interview_id)
    return [kind for entry in log if (kind := entry["event"]["type"]) != "interview_created"]


async def _still_heard(it: Office, leg: PhoneClient, interview_id: str) -> bool:
    await leg.call.say(stage.spoken("I used Python and testing every day."))
    return "Python" in (await it.event(interview_id, "segment_heard"))["text"]


def figures(result: Result) -> dict[str, Any]:
    ways = {
        way: {
            "sent": one.sent,
            "per_second": round(one.sent / one.seconds),
            "gap_ms_quiet": spread_ms(one.quiet),
            "gap_ms_flood": spread_ms(one.flooded),
            "p99_ratio": round(one.ratio, 2),
        }
        for way, one in result.ways.items()
    }
    return {
        "name": "phone_flood",
        "ways": ways,
        "memory_mb": [round(one) for one in result.memory_mb],
        "memory_more_mb": round(result.memory_more_mb, 1),
        "interviews_begun": len(result.begun),
        "call_went_on": result.went_on,
    }


def missed(result: Result) -> list[str]:
    """Goals that were not reached, in words."""
    wrong = [
        f"{way}: RTP gap p99 is {one.ratio:.2f} times that without"
        for way, one in result.ways.items()
        if way == "stranger" and one.ratio > MOST_RATIO
    ]
    if result.memory_more_mb > MOST_MB:
        wrong.append(f"memory grew by {result.memory_more_mb:.0f} MB")
    if result.begun:
        wrong.append(f"an interview began: {result.begun}")
    return wrong if result.went_on else [*wrong, "the call did not go on"]


def table(result: Result) -> str:
    heads = "way           sent   quiet p50  p99   max   flood p50  p99   max   ratio"
    rows = [
        f"{way:12} {one.sent:5d}   {_row(one.quiet)}   {_row(one.flooded)}   {one.ratio:.2f}"
        for way, one in result.ways.items()
    ]
    return "\n".join([heads, *rows])


def _row(gaps: Sequence[float]) -> str:
    told = spread_ms(gaps)
    return f"{told['p50']:9} {told['p99']:5} {told['max']:5}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.phone_flood")
    parser.add_argument("--quick", action="store_true", help="one round of 2 s")
    options = parser.parse_args()
    if reason := why_not("janus", "kamailio", "sipp"):
        print(json.dumps({"name": "phone_flood", "skipped": reason}))
        return 0
    seconds, rounds = (2.0, 1) if options.quick else (FLOOD_S, ROUNDS)
    result = asyncio.run(measure(seconds, rounds))
    print(table(result))
    wrong = missed(result)
    for text in wrong:
        print(f"MISSED  {text}")
    print(json.dumps(figures(result)))
    return 0 if options.quick else len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())
