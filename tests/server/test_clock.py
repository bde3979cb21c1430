"""The process's clock for events."""

from __future__ import annotations

import asyncio
import time

import pytest

from server.clock import Clock


def test_it_tells_unix_seconds() -> None:
    assert Clock()() == pytest.approx(time.time(), abs=0.05)


def test_it_does_not_jump_with_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    before = clock()
    for jump in (7200.0, -7200.0):
        wall = time.time
        monkeypatch.setattr(time, "time", lambda wall=wall, jump=jump: wall() + jump)
        assert 0 <= clock() - before < 1
        monkeypatch.undo()


def test_it_never_goes_back() -> None:
    clock = Clock()
    read = [clock() for _ in range(1000)]
    assert read == sorted(read)


async def test_a_loop_time_is_the_same_moment() -> None:
    clock = Clock()
    loop_time = asyncio.get_running_loop().time()
    assert clock.at(loop_time) == pytest.approx(clock(), abs=0.05)
    assert clock.at(loop_time + 5) - clock.at(loop_time) == pytest.approx(5, abs=1e-5)
