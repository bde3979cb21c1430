"""The local neural voice: time to the first audio by clauses, against whole sentences.

    python -m bench.local_voice --model DIR            # a voice's folder; --language zh for Chinese
    python -m bench.local_voice --quick                # a model made here: proves only that it runs

Both arms use one process and one model, in turns, each sentence in both: `clause` is the voice as
it speaks in an interview, `whole` gives the model the sentence in one piece, as it comes from the
framework. Time runs from asking to the first frame, with the model loaded and warm.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tts.audio import BYTES_PER_SECOND
from tts.clauses import clauses
from tts.espeak_process import EspeakProcess
from tts.neural import NeuralTTS
from tts.neural_folder import find
from tts.neural_process import NeuralProcess
from tts.voice import speak, voice_id

SENTENCES = {
    "en": (
        "Thank you for telling me about that, and now I would like to hear about a project of yours"
        " that did not go as you had planned, what you did then, and what came of it.",
        "Let us go on to the next question: when a service that you own becomes slow for a few of"
        " its users, how do you find out where the time goes?",
        "Take all the time that you need, and when you are ready, tell me which of the two designs"
        " you would choose, and why.",
    ),
    "zh": (
        "谢谢你的回答，接下来我想请你介绍一个没有按计划完成的项目，你当时做了什么，结果怎么样。",
        "我们进入下一个问题：当你负责的服务对少数用户变慢的时候，你怎样找出时间花在了哪里？",
        "请不要着急，准备好了以后，告诉我这两个设计你会选哪一个，为什么。",
    ),
}


class Whole(NeuralTTS):
    """The same voice, given the sentence in one piece."""

    def split(self, text: str) -> list[str]:
        return [text]


@dataclass
class Arm:
    voice: NeuralTTS
    first_s: list[float] = field(default_factory=list)
    computed_s: list[float] = field(default_factory=list)
    sound_s: list[float] = field(default_factory=list)

    async def say(self, text: str) -> None:
        began, first, heard = time.perf_counter(), 0.0, 0
        async with contextlib.aclosing(speak(self.voice, text)) as pieces:
            async for piece in pieces:
                first = first or time.perf_counter() - began
                heard += len(piece.pcm)
        self.first_s.append(first)
        self.computed_s.append(time.perf_counter() - began)
        self.sound_s.append(heard / BYTES_PER_SECOND)

    def figures(self) -> dict[str, float]:
        return {
            "first_audio_p50_ms": round(1000 * statistics.median(self.first_s), 1),
            "first_audio_max_ms": round(1000 * max(self.first_s), 1),
            "real_time_factor": round(sum(self.computed_s) / sum(self.sound_s), 4),
        }


async def measure(folder: Path, language: str, rounds: int, threads: int) -> dict[str, object]:
    spelling = EspeakProcess()
    process = NeuralProcess(find(folder), threads=threads, stall_timeout_s=600)
    arms = {
        name: Arm(make(process, spelling, language, patience_s=600))
        for name, make in (("clause", NeuralTTS), ("whole", Whole))
    }
    try:
        for arm in arms.values():  # warm: the first sentence pays for memory that is not there yet
            await Arm(arm.voice).say(SENTENCES[language][0])
        for text in SENTENCES[language] * rounds:
            for arm in arms.values():
                await arm.say(text)
    finally:
        await process.aclose()
        await spelling.aclose()
    found = {name: arm.figures() for name, arm in arms.items()}
    medians = [found[name]["first_audio_p50_ms"] for name in ("whole", "clause")]
    return {
        "voice": voice_id(arms["clause"].voice),
        "language": language,
        "threads": threads,
        "sentences": rounds * len(SENTENCES[language]),
        "clauses": sum(len(clauses(text)) for text in SENTENCES[language]),
        **found,
        "whole_over_clause": round(medians[0] / medians[1], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, help="a voice's folder")
    parser.add_argument("--language", choices=sorted(SENTENCES), default="en")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one round, a model made here")
    options = parser.parse_args()
    if not options.quick and options.model is None:
        parser.error("give a folder with --model, or --quick")
    with tempfile.TemporaryDirectory() as made:
        folder = options.model or _made(Path(made))
        rounds = 1 if options.quick else options.rounds
        found = asyncio.run(measure(folder, options.language, rounds, options.threads))
    print(json.dumps({"model_made_here": options.model is None, **found}, ensure_ascii=False))


def _made(folder: Path) -> Path:
    from tests.tts import tiny_voices

    return tiny_voices.kokoro(folder / "made")


if __name__ == "__main__":
    main()
