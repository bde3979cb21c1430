"""The neural voice's process: a sherpa-onnx model, spoken to as `tts.child` says.

It stands apart because sherpa-onnx ends its process over many a fault in a model's files, and so
that no computation of a voice can hold up a call. It imports nothing of Viva, so it is run by file;
it ends when stdin does. Its one argument is JSON:

    {"family": "vits", "files": {"model": …, "tokens": …}, "rules": "", "archives": "",
     "threads": 2}

    request   {"id": 1, "text": …, "phonemes": null, "speaker": 0, "speed": 1.0}
              {"cancel": 1}
    answer    READY with JSON (sample_rate, speakers), once; AUDIO (int16), END; or ERROR
"""

import contextlib
import json
import os
import queue
import signal
import struct
import sys
import threading
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

HEADER = struct.Struct("<IBI")
READY, AUDIO, END, ERROR = 0, 1, 2, 3
_FAMILIES = {
    "vits": "OfflineTtsVitsModelConfig",
    "matcha": "OfflineTtsMatchaModelConfig",
    "kokoro": "OfflineTtsKokoroModelConfig",
}


class Frames:
    """Frames to the parent, over a copy of stdout: what a library prints must not get between."""

    def __init__(self) -> None:
        self._out: BinaryIO = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)

    def write(self, request_id: int, kind: int, payload: bytes) -> None:
        try:
            self._out.write(HEADER.pack(request_id, kind, len(payload)) + payload)
            self._out.flush()
        except BrokenPipeError:
            os._exit(0)  # nobody listens any more


class Voice:
    """The model; spoken to from one thread."""

    def __init__(self, config: dict[str, Any], frames: Frames) -> None:
        import sherpa_onnx

        family = config["family"]
        files = getattr(sherpa_onnx, _FAMILIES[family])(**config["files"])
        model = sherpa_onnx.OfflineTtsModelConfig(
            **{family: files}, num_threads=config["threads"], provider="cpu"
        )
        whole = sherpa_onnx.OfflineTtsConfig(
            model=model, rule_fsts=config["rules"], rule_fars=config["archives"]
        )
        if not whole.validate():
            raise ValueError("sherpa-onnx refuses these files")
        self._sherpa, self._frames = sherpa_onnx, frames
        self._tts = sherpa_onnx.OfflineTts(whole)
        self._cancelled_to = 0
        """The parent asks one at a time: whatever came before a cancelled request is over too."""

    def describe(self) -> bytes:
        about = {"sample_rate": self._tts.sample_rate, "speakers": self._tts.num_speakers}
        return json.dumps(about).encode()

    def cancel(self, request_id: int) -> None:
        self._cancelled_to = max(self._cancelled_to, request_id)

    def speak(self, request: dict[str, Any]) -> None:
        request_id = request["id"]
        try:
            if request_id > self._cancelled_to:
                self._generate(request)
        except Exception as error:  # whatever a model's graph raises: this request failed, no more
            self._frames.write(request_id, ERROR, str(error).encode())
        else:
            self._frames.write(request_id, END, b"")

    def _generate(self, request: dict[str, Any]) -> None:
        how = self._sherpa.GenerationConfig()
        how.sid, how.speed = request["speaker"], request["speed"]
        if phonemes := request["phonemes"]:
            how.phoneme_codepoints = [[ord(char) for char in phonemes]]
        faults: list[str] = []

        def made(samples: NDArray[np.float32], _progress: float) -> int:
            """Called for each sentence inside the clause; 0 stops the rest."""
            if request["id"] <= self._cancelled_to:
                return 0
            if not np.isfinite(samples).all():
                faults.append("the model gave samples that are not numbers")
                return 0
            pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2")
            self._frames.write(request["id"], AUDIO, pcm.tobytes())
            return 1

        self._tts.generate("" if phonemes else request["text"], how, made)
        if faults:
            raise ValueError(faults[0])


def _read(voice: Voice, requests: "queue.SimpleQueue[dict[str, Any]]") -> None:
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if "cancel" in request:
            voice.cancel(request["cancel"])
        else:
            requests.put(request)
    os._exit(0)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    frames = Frames()
    try:
        voice = Voice(json.loads(sys.argv[1]), frames)
    except Exception as error:  # the last line on stderr is the reason that the operator reads
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    frames.write(0, READY, voice.describe())
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(voice, requests), daemon=True).start()
    while True:
        voice.speak(requests.get())


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
