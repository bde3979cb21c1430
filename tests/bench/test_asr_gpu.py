"""The GPU's benchmark, without one: its search, its sessions in processes, its shape."""

import asyncio

import numpy as np
import pytest

from asr.recognition import Audio, Piece
from asr.segmenter import SAMPLE_RATE
from bench import asr_gpu, gpu_watch, random_whisper
from bench.asr_gpu import Search, ratio, shares
from bench.paced_accounts import Session, accounts
from bench.paced_arms import Arm
from bench.paced_model import Model, Watched
from bench.paced_processes import Spoken, converse, mouths
from bench.paced_speech import speech
from tests.asr.test_engine_batches import Script
from tests.asr.test_engine_batches import piece as numbered


def noise(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.asarray(rng.normal(0, 3_000, round(seconds * SAMPLE_RATE)), np.int16)


@pytest.mark.parametrize("limit", [0, 1, 5, 31, 32, 100, 3000])
def test_the_search_ends_within_a_twelfth_of_the_most_that_is_fine(limit: int) -> None:
    search, tried = Search(32, most=2048), []
    while (n := search.next()) is not None:
        tried.append(n)
        search.learn(n, n <= limit)
    most = min(limit, 2048)
    assert search.good <= most <= search.good + max(1, search.good // 12)
    assert len(tried) == len(set(tried)) and all(0 < n <= 2048 for n in tried)


def test_sessions_in_processes_send_every_segment_once() -> None:
    # Silero hears no words in it: what counts is that all that is cut arrives, and only once.
    said = [("yes", noise(0.5))]
    sessions = [Session(speech(said, 0.5, seed)) for seed in range(3)]
    heard: list[tuple[int, int]] = []

    async def recognise(audio: Audio, session: int) -> tuple[str, float | None]:
        heard.append((session, len(audio)))
        return "yes", 0.0

    async def run() -> list[Spoken]:
        with mouths(said, 3, 0.5, 0.1, processes=2) as pipes:
            return await converse(pipes, sessions, recognise, drain_s=30.0)

    told = asyncio.run(run())
    assert len(told) == 2 and all(0 < one.vad_s <= one.cpu_s for one in told)
    assert len(heard) == sum(len(session.pieces) for session in sessions)
    for session in sessions:
        book = accounts(session)
        assert book.sent == len(session.speech.pcm) and (book.lost, book.doubled) == (0, 0)


def test_the_parts_cpu_is_told_apart() -> None:
    watched = Watched(Script(), None)
    watched.decode_many([Piece(numbered(1), "en")])
    assert len(watched.spans) == 1
    watched.spans, watched.features_s = [(2.0, 0.5), (1.0, 0.5)], [0.25, 0.25]
    arm = Arm(lambda audio, session: asyncio.sleep(0, ("", None)), watched=watched)
    used = asr_gpu._Used(process_s=4.0, loop_s=1.0, wall_s=5.0)
    told = [Spoken(5.0, 1.0, 0.8, 0.001), Spoken(5.0, 2.0, 1.2, 0.002)]
    found = shares(used, told, arm, workers=2, gpu=gpu_watch.Watch())
    assert (found.loop, found.workers, found.features, found.other) == (0.2, 0.2, 0.1, 0.4)
    assert (found.ears, found.vad, found.busiest_ear, found.late_p99_ms) == (0.6, 0.4, 0.4, 2.0)
    assert found.busy == 0.3


def test_the_ratio_is_of_the_engines_best_to_the_lock() -> None:
    arms = [("engine", "float16", 96), ("lock", "float16", 12), ("engine", "int8_float16", 108)]
    found = [{"arm": a, "compute_type": c, "most": n} for a, c, n in arms]
    assert ratio(found) == 9.0
    assert ratio(found[:1]) is None


def test_the_card_is_read_and_half_a_line_left_out() -> None:
    found = gpu_watch.Watch()
    gpu_watch.read("50, 1000\n100, 2000\n[N/A], 5\n7", found)
    assert (found.utilisation, found.memory_mib) == (75.0, 2000)


def test_the_large_shape_has_the_tokens_and_layers_of_its_model() -> None:
    shape = random_whisper.SHAPES["large-v3-turbo"]
    specials = random_whisper._specials(shape.languages)
    assert random_whisper.TEXT_TOKENS + len(specials) == 51_866
    assert (shape.layers, shape.decoder_layers, shape.width, shape.mels) == (32, 4, 1280, 128)
    assert all(layer < 4 and head < shape.heads for layer, head in shape.alignment_heads)


def test_a_shape_with_fewer_decoder_layers_and_more_bands_is_recognised(tmp_path) -> None:
    shape = random_whisper.Shape(2, 2, 64, ((0, 0),), 1, 128, 100)
    random_whisper.write(shape, tmp_path / "odd", "float16")

    async def hear() -> str:
        async with asr_gpu.ARMS["engine"](Model.of(tmp_path / "odd"), asr_gpu.OPEN) as arm:
            text, _ = await arm.recognise(np.zeros(SAMPLE_RATE, np.float32), 0)
            assert arm.watched is not None and arm.sizes() == {"1": 1}
            assert len(arm.watched.spans) == len(arm.watched.features_s) == 1
            return text

    assert isinstance(asyncio.run(hear()), str)
