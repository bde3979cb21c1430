"""What is missing from a microphone, by the clock."""

from __future__ import annotations

from server.microphone import FAINT, NO_PACKETS_S, SILENT_S, Microphone, Missing


def watched(
    microphone: Microphone,
    seconds: float,
    *,
    start: float = 100.0,
    connected: bool = True,
    packets: int = 50,
    listening: bool = True,
    peak: int = 0,
) -> list[tuple[float, Missing]]:
    """What is said, and after how many seconds, while nothing changes."""
    found = []
    for tick in range(int(seconds * 2) + 1):
        microphone.heard(peak)
        missing = microphone.look(
            start + tick / 2, connected=connected, packets=packets, listening=listening
        )
        if missing is not None:
            found.append((tick / 2, missing))
    return found


def test_no_packets_are_told_of_once() -> None:
    assert watched(Microphone(), 60, packets=0) == [(NO_PACKETS_S, "no_audio")]


def test_the_time_is_counted_from_the_connection() -> None:
    microphone = Microphone()
    assert watched(microphone, 30, packets=0, connected=False) == []
    assert watched(microphone, 10, packets=0, start=130) == [(NO_PACKETS_S, "no_audio")]


def test_digital_silence_is_told_of_when_it_lasts() -> None:
    assert watched(Microphone(), 60, peak=FAINT) == [(SILENT_S, "silent")]


def test_a_quiet_room_is_no_silence() -> None:
    assert watched(Microphone(), 120, peak=FAINT + 1) == []


def test_while_the_interviewer_speaks_nobody_has_to() -> None:
    microphone = Microphone()
    for start in range(0, 100, 20):
        assert watched(microphone, 9, start=start) == []
        assert watched(microphone, 9, start=start + 10, listening=False) == []


def test_after_sound_it_is_said_again() -> None:
    microphone = Microphone()
    assert watched(microphone, 25) == [(SILENT_S, "silent")]
    assert watched(microphone, 5, start=130, peak=3000) == []
    assert watched(microphone, 25, start=135) == [(SILENT_S, "silent")]
