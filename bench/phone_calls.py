"""Many telephone interviews at once, and one caller more.

    python -m bench.phone_calls               six calls (a minute and a half)
    python -m bench.phone_calls --calls 12

One caller says a few sentences, so that the recogniser knows what speech costs and admits more;
then all the others dial, key a PIN, agree and hear the first question; a caller more is answered
486 (busy); and all of them answer at the same time. kamailio, Janus and `viva serve --phone` are
real; root only. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import phone_office as stage
from bench.phone_office import Office, gaps_ms, spread_ms
from server.phone.softphone.errors import Refused
from server.rehearsal import words
from server.rehearsal.client import Invitation
from server.rehearsal.phone.caller import PhoneClient
from server.rehearsal.phone.ground import why_not

CALLS = 6
BETWEEN_S = 0.5
"""From one caller's dialling to the next one's."""
BUSY = 486
ANSWER = "I used Python and testing every day. In my last job I built a payment system for a bank."


@dataclass
class Held:
    """One of the calls."""

    interview_id: str
    leg: PhoneClient
    question_s: float
    """From dialling until the first question was said."""
    heard_s: float
    """So much of our voice came to the caller until then."""
    answered_s: float = 0.0
    """From the answer's last sound until it was written."""
    error_rate: float = 1.0
    gaps: Sequence[float] = ()


@dataclass
class Result:
    calls: list[Held]
    one_more: int
    """How one caller more was answered; 0 if with a call."""
    live: int
    """Interviews that the server said it held meanwhile."""


async def measure(calls: int) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        async with stage.office(Path(folder), lines=calls, places=calls) as it:
            stage.spoken(ANSWER)  # beforehand
            first, *others = [await it.invite() for _ in range(calls)]
            held = [await _up(it, first)]
            await _answers(it, held[0], f"{ANSWER} {ANSWER}")
            began = [_up(it, one, BETWEEN_S * place) for place, one in enumerate(others)]
            held += await asyncio.gather(*began)
            one_more, live = await _one_more(it), await it.operator.live()
            await asyncio.gather(*(_answers(it, one, ANSWER) for one in held))
            return Result(held, one_more, live)


async def _up(it: Office, invitation: Invitation, after_s: float = 0.0) -> Held:
    await asyncio.sleep(after_s)
    began = time.monotonic()
    leg = await it.join(invitation)
    await it.asked(invitation.interview_id)
    heard_s = stage.loud_s(leg.call, began)
    return Held(invitation.interview_id, leg, time.monotonic() - began, heard_s)


async def _one_more(it: Office) -> int:
    try:
        call = await it.phone.call(stage.SERVER)
    except Refused as refused:
        return refused.code
    await call.hang_up()
    return 0


async def _answers(it: Office, held: Held, answer: str) -> None:
    before, sound = await it.last(held.interview_id), stage.spoken(answer)
    began = time.monotonic()
    await held.leg.call.say(sound)
    ended, at = time.monotonic(), time.time()
    settled = await it.event(held.interview_id, "turn_settled", after=before)
    held.answered_s = settled["at"] - at
    held.error_rate = words.compare(answer, settled["text"]).rate
    held.gaps = gaps_ms(held.leg.call, began, ended)


def figures(result: Result) -> dict[str, Any]:
    calls = result.calls
    return {
        "name": "phone_calls",
        "calls": len(calls),
        "live": result.live,
        "one_more": result.one_more,
        "question_s": _spread([one.question_s for one in calls]),
        "heard_s": _spread([one.heard_s for one in calls]),
        "answered_s": _spread([one.answered_s for one in calls]),
        "word_error_rate": _spread([one.error_rate for one in calls]),
        "gap_ms": spread_ms([gap for one in calls for gap in one.gaps]),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"p50": round(stage.rank(values, 0.5), 2), "max": round(max(values), 2)}


def missed(result: Result) -> list[str]:
    """What must not be, in words."""
    wrong = [
        f"call {place}: the answer was heard with {one.error_rate:.0%} of its words wrong"
        for place, one in enumerate(result.calls, 1)
        if one.error_rate > 0.1
    ]
    wrong += [
        f"call {place}: of the words before the first question {one.heard_s:.1f} s were heard"
        for place, one in enumerate(result.calls, 1)
        if one.heard_s < 2
    ]
    if result.live != len(result.calls):
        wrong.append(f"{result.live} interviews were held")
    if result.one_more != BUSY:
        wrong.append(f"one caller more was answered {result.one_more}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.phone_calls")
    parser.add_argument("--calls", type=int, default=CALLS)
    options = parser.parse_args()
    if reason := why_not("janus", "kamailio"):
        print(json.dumps({"name": "phone_calls", "skipped": reason}))
        return 0
    result = asyncio.run(measure(options.calls))
    wrong = missed(result)
    for text in wrong:
        print(f"MISSED  {text}")
    print(json.dumps(figures(result)))
    return len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())
