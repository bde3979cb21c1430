"""Word errors by telephone beside those by browser: the same sentences, the same losses.

    python -m bench.phone_words             six candidates, 0, 2 and 5 % loss (a few minutes)
    python -m bench.phone_words --quick     one candidate, to see that it runs

In virtual time, with the rehearsal's sentences and its recogniser: espeak-ng, the codec, losses
(random, the same packets for both), our ear, and what a telephone's sound goes through before the
recogniser. *phone* is PCMU, which has no copy of a lost packet; *browser*, the baseline, is Opus
with FEC. The gateway changes no packet, and is left out: `viva rehearse --phone` has it. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import jiwer
import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer

from asr import rehearsal
from asr.whisper import Whisper
from bench.receive import (
    RATE,
    Arrival,
    Network,
    Pcm,
    answers,
    arrivals,
    encoded,
    heard_by_ear,
    through_ear,
)
from server.media.ear import Conceal, Decode, Silence
from server.media.g711 import MU_LAW, Decoder
from server.media.resample import Resampler
from server.phone.soundprep import SAMPLE_RATE, SoundPrep

NARROW = Decoder.sample_rate
FRAME = NARROW // 50
LOSSES = (0.0, 0.02, 0.05)


def narrow(pcm: Pcm) -> list[bytes]:
    """48 kHz as a telephone sends it."""
    sound = Resampler(RATE, NARROW).push(pcm)
    whole = sound[: len(sound) // FRAME * FRAME]
    return [MU_LAW.encode(frame) for frame in whole.reshape(-1, FRAME)]


def heard_by_phone(came: Sequence[Arrival]) -> Pcm:
    """At 16 kHz. The ear counts in 48 kHz here, as for Opus."""
    decoder, prepared, out = Decoder(), SoundPrep(), []
    each = RATE // NARROW

    def play(operation: Decode | Conceal | Silence) -> None:
        match operation:
            case Decode():
                pcm = decoder.decode(operation.payload)
            case Conceal():
                pcm = decoder.conceal(operation.samples // each)
            case Silence():
                pcm = np.zeros(operation.samples // each, np.int16)
        out.append(prepared.push(pcm, NARROW))

    through_ear(came, play)
    return np.concatenate(out)


def heard_by_browser(came: Sequence[Arrival]) -> Pcm:
    """At 16 kHz."""
    return Resampler(RATE, SAMPLE_RATE).push(heard_by_ear(came))


Encode = Callable[[Pcm], list[bytes]]
Hear = Callable[[Sequence[Arrival]], Pcm]
ARMS: dict[str, tuple[Encode, Hear]] = {
    "phone": (narrow, heard_by_phone),
    "browser": (encoded, heard_by_browser),
}


def measure(spoken: Sequence[tuple[str, Pcm]], losses: Sequence[float]) -> list[dict[str, Any]]:
    """A row for each arm and loss."""
    recogniser, normal = Whisper(rehearsal.model_dir(), device="cpu"), EnglishTextNormalizer()
    truth = [normal(line) for line, _ in spoken]
    rows = []
    for arm, (encode, hear) in ARMS.items():
        payloads = [encode(pcm) for _, pcm in spoken]
        for loss in losses:
            network = Network(f"{loss:.0%} loss", loss=loss)
            sounds = [hear(arrivals(one, network, seed)) for seed, one in enumerate(payloads)]
            heard = [_recognised(recogniser, pcm) for pcm in sounds]
            rows.append({"arm": arm, "loss": loss} | errors(truth, list(map(normal, heard))))
            print(_line(rows[-1]), flush=True)
    return rows


def _recognised(recogniser: Whisper, pcm: Pcm) -> str:
    sound = pcm.astype(np.float32) / np.float32(32768)
    return recogniser.decode(sound, language="en", words=False).text


def errors(truth: list[str], heard: list[str]) -> dict[str, Any]:
    found = jiwer.process_words(truth, heard)
    return {
        "words": found.hits + found.substitutions + found.deletions,
        "wer": round(found.wer, 4),
        "deletions": found.deletions,
        "substitutions": found.substitutions,
        "insertions": found.insertions,
    }


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['arm']:8} {row['loss']:4.0%} loss: {row['wer']:7.2%} of {row['words']} words,"
        f" {row['deletions']} deleted, {row['substitutions']} wrong, {row['insertions']} added"
    )


def with_quiet(spoken: Sequence[tuple[str, Pcm]]) -> list[tuple[str, Pcm]]:
    """Before and after, as in a call: the line's first packets are not the sentence's."""
    quiet = np.zeros(RATE // 2, np.int16)
    return [(line, np.concatenate((quiet, pcm, quiet))) for line, pcm in spoken]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one candidate, 5 %% loss")
    quick: bool = parser.parse_args().quick
    began = time.monotonic()
    rows = measure(with_quiet(answers(1 if quick else 6)), LOSSES[-1:] if quick else LOSSES)
    print(f"{time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}")
    by = {(row["arm"], row["loss"]): row for row in rows}
    result = {
        "name": "phone_words",
        "quick": quick,
        "figures": [row for row in rows if row["arm"] == "phone"],
        "baseline": [row for row in rows if row["arm"] == "browser"],
        "ratio": {
            f"more_wer_at_{loss:.0%}": round(
                by["phone", loss]["wer"] - by["browser", loss]["wer"], 4
            )
            for _, loss in by
        },
        "n": rows[0]["words"],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
