"""When a phone's line is dead."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from server.media.liveness import Arrival, Steady
from server.phone.watchdog import LineWatch

FRAME = 160


@dataclass
class Phone:
    watch: LineWatch = field(default_factory=LineWatch)
    now: float = 10.0
    seq: int = 65530
    ts: int = (1 << 32) - 400

    def __post_init__(self) -> None:
        self.watch.connected(self.now)

    def send(self, frames: int) -> None:
        for _ in range(frames):
            self._arrive(FRAME)
            self.ts += FRAME
            self.now += 0.02

    def digit(self, frames: int) -> None:
        for _ in range(frames):
            self._arrive(0)
            self.now += 0.02
        self.ts += frames * FRAME

    def comfort(self) -> None:
        self._arrive(0, comfort=True)

    def pause(self, seconds: float, *, clock: bool = True) -> None:
        self.now += seconds
        self.ts += round(seconds * 8000) if clock else 0

    def lose(self, packets: int) -> None:
        self.seq += packets
        self.pause(packets * 0.02)

    def _arrive(self, samples: int, comfort: bool = False) -> None:
        self.seq += 1
        self.watch.arrived(
            Arrival(self.now, self.seq & 0xFFFF, self.ts & 0xFFFFFFFF, samples, 8000, comfort)
        )

    def dead_after(self) -> float:
        """Seconds from the latest packet until the line counts as dead."""
        tenths = next(n for n in range(1000) if self.watch.quiet(self.now + n / 10))
        return tenths / 10


def test_a_phone_that_sends_without_pause_is_dead_after_three_seconds() -> None:
    phone = Phone()
    phone.send(500)
    assert phone.dead_after() == pytest.approx(3.0, abs=0.11)
    assert not phone.watch.pausing


def test_one_that_pauses_is_dead_after_fifteen() -> None:
    phone = Phone()
    phone.send(50)
    phone.pause(2.0)
    phone.send(1)
    assert phone.dead_after() == pytest.approx(15.0, abs=0.11)


def test_a_pause_whose_clock_stands_still_is_one_too() -> None:
    phone = Phone()
    phone.send(50)
    phone.pause(2.0, clock=False)
    phone.send(1)
    assert phone.watch.pausing


def test_comfort_noise_says_that_a_pause_comes_and_keeps_the_line_alive() -> None:
    phone = Phone()
    phone.send(50)
    phone.comfort()
    assert phone.dead_after() == pytest.approx(15.0, abs=0.11)
    phone.pause(14.0)
    phone.comfort()
    assert phone.dead_after() == pytest.approx(15.0, abs=0.11)


def test_one_that_never_sent_gets_the_longer_time() -> None:
    assert Phone().dead_after() == pytest.approx(15.0, abs=0.11)


def test_loss_and_digits_are_no_pause_of_the_phone() -> None:
    phone = Phone()
    phone.send(50)
    phone.lose(60)
    phone.send(50)
    phone.digit(30)
    phone.send(50)
    phone.digit(1)
    assert not phone.watch.pausing
    assert phone.dead_after() == pytest.approx(3.0, abs=0.11)


def test_before_the_connection_nothing_is_quiet() -> None:
    assert not LineWatch().quiet(1e6)


def test_on_hold_nothing_is_dead_and_afterwards_it_counts_anew() -> None:
    phone = Phone()
    phone.send(50)
    phone.watch.hold(True, phone.now)
    assert not phone.watch.quiet(phone.now + 1e6)
    phone.pause(600.0)
    phone.watch.hold(False, phone.now)
    assert phone.dead_after() == pytest.approx(15.0, abs=0.11)
    phone.send(50)
    assert not phone.watch.pausing
    assert phone.dead_after() == pytest.approx(3.0, abs=0.11)


def test_a_browser_has_one_limit() -> None:
    watch = Steady(4.0)
    assert not watch.quiet(100.0)
    watch.connected(100.0)
    assert not watch.quiet(103.9) and watch.quiet(104.0)
    watch.arrived(Arrival(104.0, 1, 0, 960, 48000))
    assert not watch.quiet(107.9) and watch.quiet(108.0)
    watch.hold(True, 108.0)
    assert not watch.quiet(1e6)
    watch.hold(False, 200.0)
    assert not watch.quiet(203.9) and watch.quiet(204.0)


@pytest.mark.parametrize("watch", [LineWatch(), Steady(4.0)])
def test_a_line_that_stops_has_stopped_long_before_it_counts_as_dead(
    watch: LineWatch | Steady,
) -> None:
    phone = Phone(watch)  # type: ignore[arg-type]  # of either kind
    phone.send(50)
    assert not watch.stopped(phone.now)
    assert watch.stopped(phone.now + 0.2) and not watch.quiet(phone.now + 0.2)
    phone.pause(0.5)
    phone.send(1)
    assert not watch.stopped(phone.now)
    watch.hold(True, phone.now)
    assert not watch.stopped(phone.now + 9)


def test_a_phone_that_pauses_has_not_stopped() -> None:
    phone = Phone()
    phone.send(50)
    phone.pause(0.5)
    phone.send(50)
    assert phone.watch.pausing and not phone.watch.stopped(phone.now + 5)
