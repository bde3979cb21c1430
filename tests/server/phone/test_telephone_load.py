"""Many telephone calls, and a flood of them, over the real programs; figures by `bench/`."""

from __future__ import annotations

import json

import pytest

from bench import phone_calls, phone_flood
from server.rehearsal.phone.ground import why_not

SHORT_S = 2.0


@pytest.mark.phone
async def test_two_calls_at_once_are_held_and_a_third_is_busy() -> None:
    result = await _calls(2)
    assert phone_calls.missed(result) == []


@pytest.mark.soak
async def test_six_calls_at_once_are_held_and_a_seventh_is_busy() -> None:
    result = await _calls(phone_calls.CALLS)
    assert phone_calls.missed(result) == []


@pytest.mark.phone
async def test_a_flood_of_calls_without_a_password_gets_nowhere_and_the_call_goes_on() -> None:
    result = await _flood(SHORT_S, 1)
    assert result.begun == [] and result.went_on
    assert result.memory_more_mb < 2 * phone_flood.MOST_MB  # the goal is the long one's


@pytest.mark.soak
async def test_ten_seconds_of_flood_cost_a_call_nothing() -> None:
    result = await _flood(phone_flood.FLOOD_S, phone_flood.ROUNDS)
    assert phone_flood.missed(result) == []


async def _calls(count: int) -> phone_calls.Result:
    if reason := why_not("janus", "kamailio"):
        pytest.skip(reason)
    result = await phone_calls.measure(count)
    print(json.dumps(phone_calls.figures(result)))
    return result


async def _flood(seconds: float, rounds: int) -> phone_flood.Result:
    if reason := why_not("janus", "kamailio", "sipp"):
        pytest.skip(reason)
    result = await phone_flood.measure(seconds, rounds)
    print(json.dumps(phone_flood.figures(result)))
    return result
