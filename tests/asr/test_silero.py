"""The stream of probabilities is the one that faster-whisper finds in the whole recording."""

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model

from asr.segmenter import WINDOW
from asr.silero import Silero
from tests.asr.speech import answer, silence

SPEECH = answer(0.5, "I worked as a nurse for five years.", 1.0, "How large is the team?", 0.5)
WHOLE = SPEECH[: len(SPEECH) // WINDOW * WINDOW]


def in_one_go(samples: np.ndarray) -> np.ndarray:
    # faster-whisper takes the last samples of what it is given for silence, in place.
    padded = np.append(samples, silence(1)[:WINDOW]).astype(np.float32) / 32_768
    return np.asarray(get_vad_model()(padded)).reshape(-1)[:-1]


@pytest.mark.parametrize("windows", [1, 3, 100, 10_000])
def test_a_stream_in_blocks_has_the_probabilities_of_the_whole(windows: int) -> None:
    vad, size = Silero(), windows * WINDOW
    found = [vad(WHOLE[at : at + size]) for at in range(0, len(WHOLE), size)]
    np.testing.assert_allclose(np.concatenate(found), in_one_go(WHOLE), atol=1e-4)


def test_each_stream_has_a_state_of_its_own() -> None:
    busy, fresh = Silero(), Silero()
    busy(WHOLE)
    np.testing.assert_array_equal(fresh(WHOLE), Silero()(WHOLE))


def test_speech_is_told_from_silence_noise_and_tones() -> None:
    rng = np.random.default_rng(5)
    t = np.arange(16_000 * 4 // WINDOW * WINDOW) / 16_000
    hiss = rng.normal(0, 300, len(t))
    hum = 2000 * np.sin(2 * np.pi * 50 * t) + hiss
    for sound in (np.zeros(len(t)), hiss, hum):
        assert Silero()(sound.astype(np.int16)).max() < 0.5
    assert (Silero()(WHOLE) > 0.5).mean() > 0.4


def test_nothing_gives_nothing_and_half_a_window_is_refused() -> None:
    assert len(Silero()(silence(0))) == 0
    with pytest.raises(ValueError, match="no whole windows"):
        Silero()(silence(1))
