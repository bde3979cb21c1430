"""Telephone sound on its way to the recogniser: no hum, and nothing of our own voice."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.signal import lfilter

from server.media import g711, g722
from server.media.resample import Resampler
from server.phone.echo import EchoGuard
from server.phone.sound import PhoneSound
from server.phone.soundprep import SAMPLE_RATE, SoundPrep
from tts.espeak import render

RATE = 8000
PIECE = RATE // 50
QUESTION = (
    "Thank you for calling. This is an automated interviewer.",
    "Please tell me about a project that you are proud of, and what your own part in it was.",
)
ANSWER = ("We had only six months to replace the payment system.", "My role was the database.")


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return 8000 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def whole(sound: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def loudness(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(sound.astype(float) ** 2)))


@pytest.mark.parametrize(("hertz", "loss"), [(50, 20.0), (60, 20.0), (0, 60.0)])
def test_hum_and_direct_current_are_taken_out(hertz: float, loss: float) -> None:
    hum = whole(tone(hertz) if hertz else np.full(RATE, 4000.0))
    out = SoundPrep().push(hum, RATE)[SAMPLE_RATE // 2 :]
    assert loudness(out) < loudness(hum) * 10 ** (-loss / 20)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("hertz", [300, 1000, 3000])
def test_the_voices_band_passes_at_any_rate(rate: int, hertz: float) -> None:
    sound, prep = whole(tone(hertz, rate=rate)), SoundPrep()
    out = np.concatenate([prep.push(part, rate) for part in np.split(sound, 50)])
    assert len(out) == SAMPLE_RATE
    assert loudness(out[4000:]) == pytest.approx(loudness(sound), rel=0.03)


def test_a_clipped_line_does_not_wrap() -> None:
    square = whole(np.sign(tone(900)) * 32767)
    out = SoundPrep().push(square, RATE)
    shape = np.repeat(np.sign(square), 2)
    lag = max(range(40), key=lambda n: float(shape[:15000] @ out[n : n + 15000].astype(float)))
    assert np.mean(np.sign(out[lag : lag + 15000]) == shape[:15000]) > 0.9


def test_nothing_in_is_nothing_out() -> None:
    assert len(SoundPrep().push(np.zeros(0, np.int16), RATE)) == 0


# Echo.


@cache
def said(sentences: tuple[str, ...], voice: str, db: float = -20.0) -> np.ndarray:
    """24 kHz, at so many decibels below full scale."""
    pause = np.zeros(9600, np.int16)
    sound = np.concatenate([np.concatenate((render(s, voice=voice), pause)) for s in sentences])
    level = loudness(sound[np.abs(sound) > 200])
    return whole(sound * (32767 * 10 ** (db / 20) / level))


def narrow(sound: np.ndarray) -> np.ndarray:
    return Resampler(24000, RATE).push(sound).astype(float)


class Line:
    """A telephone line that returns what it hears, and a person at its end."""

    def __init__(self, echo_db: float | None, delay: float, person: np.ndarray, at: float) -> None:
        self.ours = np.concatenate([said(QUESTION, "en-us+f3"), said(QUESTION, "en-us+f3")])
        length = len(self.ours) // 3 + RATE
        self.person, self.echo = np.zeros(length), np.zeros(length)
        begin = round(at * RATE)
        self.person[begin : begin + len(person)] = person[: length - begin]
        if echo_db is not None:
            back = lfilter([1.0, 0.3, -0.2, 0.1], 1.0, narrow(self.ours)) * 10 ** (echo_db / 20)
            self.echo[round(delay * RATE) :][: len(back)] = back[: length - round(delay * RATE)]
        noise = np.random.default_rng(3).standard_normal(length) * 15
        sum_ = whole(self.person + self.echo + noise)
        self.came = g711.A_LAW.decode(g711.A_LAW.encode(sum_))
        self.guard = EchoGuard()
        self.out = self._run()

    def _run(self) -> np.ndarray:
        out = []
        for n in range(len(self.came) // PIECE):
            at = 50.0 + n * 0.02
            ours = self.ours[n * 480 : n * 480 + 480]
            self.guard.played(np.pad(ours, (0, 480 - len(ours))), 24000, at)
            out.append(self.guard.heard(self.came[n * PIECE :][:PIECE], RATE, at + 0.003))
        return np.concatenate(out)


def pieces(sound: np.ndarray) -> np.ndarray:
    count = len(sound) // PIECE
    parts = sound[: count * PIECE].astype(float).reshape(count, PIECE)
    return np.sqrt((parts**2).mean(axis=1))


NOBODY = np.zeros(0)
KNOWN = 250
"""Pieces (5 s) after which an echo is known."""


@pytest.mark.parametrize(("echo_db", "delay"), [(-6.0, 0.6), (-18.0, 0.02), (-30.0, 0.2)])
def test_our_own_voice_is_silenced(echo_db: float, delay: float) -> None:
    line = Line(echo_db, delay, NOBODY, 0.0)
    path = line.guard.path
    assert path is not None
    assert path.delay == pytest.approx(delay, abs=0.03)
    echo = pieces(line.echo)[KNOWN : len(line.out) // PIECE] > 40
    left = pieces(line.out)[KNOWN:] > 40
    assert echo.sum() > 100
    assert (left & echo).sum() < 0.08 * echo.sum()


@pytest.mark.parametrize(("voice", "loud"), [("en-us+m3", -34.0), ("en-us+f2", -20.0)])
def test_who_speaks_into_our_voice_without_an_echo_is_not_touched(voice: str, loud: float) -> None:
    line = Line(None, 0.0, narrow(said(ANSWER + ANSWER, voice, loud)), 0.2)
    assert line.guard.path is None
    assert np.array_equal(line.out, line.came[: len(line.out)])


@pytest.mark.parametrize(
    ("voice", "echo_db", "kept"),
    [("en-us+m3", -6.0, 0.9), ("en-us+f2", -12.0, 0.95), ("en-us+m3", -24.0, 0.98)],
)
def test_a_persons_words_into_an_echo_are_kept(voice: str, echo_db: float, kept: float) -> None:
    line = Line(echo_db, 0.15, narrow(said(ANSWER, voice)), 5.2)
    assert line.guard.path is not None
    person = pieces(line.person)[: len(line.out) // PIECE]
    speaks = person > 300
    passed = pieces(line.out) > 30
    assert speaks.sum() > 100
    assert (speaks & passed).sum() > kept * speaks.sum()


def test_while_we_are_silent_nothing_is_touched() -> None:
    guard, sound = EchoGuard(), narrow(said(ANSWER, "en-us+m3"))
    came = whole(sound)
    for n in range(len(came) // PIECE):
        guard.played(np.zeros(480, np.int16), 24000, n * 0.02)
        piece = came[n * PIECE :][:PIECE]
        assert guard.heard(piece, RATE, n * 0.02) is piece


def test_an_echo_that_goes_away_is_forgotten() -> None:
    line = Line(-10.0, 0.1, NOBODY, 0.0)
    assert line.guard.path is not None
    begin = 50.0 + len(line.came) / RATE
    ours = said(QUESTION, "en-us+f3")
    for n in range(len(ours) // 480):
        at = begin + n * 0.02
        line.guard.played(ours[n * 480 :][:480], 24000, at)
        line.guard.heard(np.zeros(PIECE, np.int16), RATE, at)
    assert line.guard.path is None


def test_the_legs_filter_gives_sixteen_kilohertz_with_its_time() -> None:
    sound = PhoneSound()
    encoder, decoder = g722.Encoder(), g722.Decoder()
    for n in range(20):
        sound.played(np.zeros(480, np.int16), n * 0.02)
        heard = decoder.decode(encoder.encode(whole(tone(700, 0.02, 16000))))
        pcm, rate, at = sound.filter(heard, 16000, n * 0.02)
        assert (len(pcm), rate) == (320, 16000)
        assert at == pytest.approx(n * 0.02, abs=0.01)
    pcm, rate, at = sound.filter(np.zeros(160, np.int16), 8000, 1.0)
    assert (len(pcm), rate) == (320, 16000)
    assert 0.99 < at < 1.0
