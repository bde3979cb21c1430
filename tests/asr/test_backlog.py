"""Whose turn it is, and who is refused: no threads, no clock."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.backlog import Backlog, Job, Limits
from asr.errors import Overloaded
from asr.recognition import Piece, Priority, Source

STREAMS = 6


def job(
    source: object = None,
    bucket: int = 10,
    *,
    seconds: float = 1.0,
    priority: Priority = Priority.FINAL,
    deadline: float | None = None,
) -> Job:
    piece = Piece(np.zeros(round(seconds * 16_000), np.float32), "en")
    return Job(piece, priority, source, deadline, bucket)


def backlog(*jobs: Job, **limits: float) -> Backlog:
    made = Backlog(Limits(**limits))  # type: ignore[arg-type]
    for one in jobs:
        made.admit(one, 0.0)
    return made


asks = st.tuples(st.just("ask"), st.integers(0, STREAMS - 1), st.sampled_from([5, 10, 30]))
others = st.tuples(st.sampled_from(["take", "take", "give up"]), st.integers(0, 99), st.just(0))


@given(st.lists(asks | asks | others, max_size=120), st.integers(1, 4), st.integers(1, 3))
def test_no_stream_waits_for_more_batches_than_there_are_streams_before_it(
    script: list[tuple[str, int, int]], max_batch: int, workers: int
) -> None:
    line = backlog(max_batch=max_batch, workers=workers, max_queued=1000, max_wait_s=1000.0)
    waiting: dict[int, list[Job]] = {}  # what must come out, in this order in each stream
    patience: dict[int, int] = {}  # batches in which the stream must be served

    for what, number, bucket in [*script, *[("take", 0, 0)] * len(script)]:
        if what == "ask":
            asked = job(number, bucket)
            line.admit(asked, 0.0)
            waiting.setdefault(number, []).append(asked)
            patience.setdefault(number, len(waiting))
        elif what == "give up" and waiting:
            source = sorted(waiting)[number % len(waiting)]
            gone = waiting[source][-1]
            assert line.withdraw(gone)
            waiting[source].remove(gone)
        elif what == "take":
            batch = line.take()
            assert bool(batch) == bool(waiting)
            assert len(batch) <= max_batch
            assert len({one.bucket for one in batch}) <= 1
            served = [one.source for one in batch]
            for one in batch:
                assert one is waiting[one.source].pop(0)  # type: ignore[index]
            patience = {s: left - 1 for s, left in patience.items() if s not in served}
            assert all(left > 0 for left in patience.values())
            if batch:
                line.finished()
        for source in [s for s, jobs in waiting.items() if not jobs]:
            del waiting[source]
            patience.pop(source, None)
        for source in waiting:
            patience.setdefault(source, len(waiting))
    assert not waiting
    assert len(line) == 0


def test_a_batch_is_the_first_in_turn_and_whatever_fits_it() -> None:
    long = job("b", 30)
    short = [job("a"), job("c"), job("a"), job("d")]
    line = backlog(short[0], long, *short[1:])
    assert line.take() == [short[0], short[1], short[3], short[2]]  # a, c, d, and a again
    assert line.take() == [long]


def test_a_long_piece_is_next_after_one_batch_of_short_ones() -> None:
    line = backlog(*[job(f"s{i}") for i in range(8)], job("long", 30), max_batch=4)
    for _ in range(2):
        line.take()
        line.finished()
        for i in range(8):
            line.admit(job(f"t{i}"), 0.0)
    assert [one.source for one in line.take()] == ["long"]


def test_workers_that_are_free_share_what_waits() -> None:
    line = backlog(*[job(i) for i in range(6)], workers=2)
    assert [len(line.take()) for _ in range(3)] == [3, 3, 0]


def test_a_batch_holds_no_more_audio_than_it_may() -> None:
    line = backlog(*[job(i, seconds=8.0) for i in range(4)], max_batch_s=20.0)
    assert [len(line.take()) for _ in range(2)] == [2, 2]
    line = backlog(job(0, seconds=29.0), max_batch_s=20.0)
    assert len(line.take()) == 1  # alone, but not never


def test_an_interim_enters_an_idle_recogniser_only_and_one_at_a_time() -> None:
    line = backlog(workers=2)
    first = job("a", priority=Priority.INTERIM)
    line.admit(first, 0.0)
    for _ in range(2):  # while it waits, and while it is recognised
        with pytest.raises(Overloaded):
            line.admit(job("b", priority=Priority.INTERIM), 0.0)
        line.take()
    line.finished()
    line.admit(job("b", priority=Priority.INTERIM), 0.0)


def test_an_interim_that_waits_gives_way_to_a_final() -> None:
    interim, final = job("a", priority=Priority.INTERIM), job("b")
    line = backlog(interim)
    assert line.admit(final, 0.0) is interim
    assert line.take() == [final]
    assert line.take() == []


def test_a_piece_that_cannot_be_begun_in_its_time_is_refused_when_it_is_asked_for() -> None:
    line = backlog(job("a", seconds=20.0))  # a second of work, by the first estimate
    with pytest.raises(Overloaded, match="more than there is time for"):
        line.admit(job("b", deadline=10.5), 10.0)
    line.admit(job("b", deadline=12.0), 10.0)
    assert len(line) == 2


def test_what_became_late_is_taken_out_and_the_rest_stays() -> None:
    late, early, interim = job("a", deadline=1.0), job("a"), job("b", priority=Priority.INTERIM)
    line = backlog(late, early)
    assert line.late(0.9) == []
    assert line.late(1.0) == [late]
    assert line.take() == [early]
    line.finished()
    line.admit(interim, 2.0)
    assert line.withdraw(interim)
    assert not line.withdraw(interim)


def test_the_estimate_learns_from_what_the_work_took() -> None:
    line = backlog(max_wait_s=1.0)
    for _ in range(100):
        line.learn(audio_s=10.0, took_s=0.01)
    for i in range(20):
        line.admit(job(i, seconds=29.0), 0.0)
    for _ in range(100):
        line.learn(audio_s=10.0, took_s=10.0)
    with pytest.raises(Overloaded, match="20 pieces of speech wait"):
        line.admit(job("more"), 0.0)


def fill(line: Backlog, client: object, *, seconds: float = 1.0) -> int:
    """How many pieces of so many streams of one client get in."""
    for n in range(1000):
        try:
            line.admit(job(Source(client, n), seconds=seconds), 0.0)
        except Overloaded:
            return n
    raise AssertionError("there is no end to it")


def test_one_client_leaves_room_for_others_and_they_for_it() -> None:
    line = backlog(max_queued=64, max_wait_s=1000.0)
    assert fill(line, "a") == 48
    assert fill(line, "b") == 12
    assert fill(line, "c") == 3
    while line.take():
        line.finished()
    assert fill(line, "c") == 48


def test_long_pieces_fill_a_clients_share_by_their_work() -> None:
    line = backlog(max_queued=1000, max_wait_s=8.0)  # 160 s of speech, as nothing was learnt yet
    assert fill(line, "a", seconds=10.0) == 12
    assert fill(line, "b", seconds=1.0) == 30


def test_one_batch_that_took_very_long_does_not_shut_clients_out() -> None:
    """Such as one for which a copy of the model was loaded, or in which the machine stood still."""
    line = backlog(max_wait_s=8.0)
    line.learn(audio_s=1.0, took_s=600.0)
    for _ in range(100):
        line.admit(job(Source("a"), seconds=10.0), 0.0)
        line.take()
        line.finished()
        line.learn(audio_s=10.0, took_s=0.5)
    assert line.cost < 0.1


def test_a_client_that_is_alone_in_the_process_has_all_of_the_queue() -> None:
    line = backlog(*(job(n) for n in range(64)), max_queued=64, max_wait_s=1000.0)
    assert len(line) == 64
