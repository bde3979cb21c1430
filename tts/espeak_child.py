"""The espeak-ng process: one JSON request a line on stdin, tagged PCM frames on stdout.

It stands apart because espeak-ng is GPL-3 and keeps global state. It imports nothing of Viva, so
it is run by file, and starts in the time Python needs. It ends when stdin does: a parent that
died, even by SIGKILL, leaves no child behind.

    request   {"id": 1, "text": …, "voice": "en-us", "rate": 165, "pitch": 50, "range": 50,
               "gap": 0}
              {"id": 2, "phonemes": text, "voice": "en-us"}
              {"cancel": 1}
    frame     header `<IBI` (id, kind, length of payload), payload
"""

import ctypes
import json
import os
import queue
import signal
import struct
import sys
import threading
from collections.abc import Iterator
from typing import Any

HEADER = struct.Struct("<IBI")
READY, AUDIO, END, ERROR = 0, 1, 2, 3
BUFFER_MS = 60
"""espeak-ng hands over its audio in pieces of this length."""
_SYNCHRONOUS = 2
_UTF8 = 1
_IPA = 2
_PARAMETERS = {"rate": 1, "pitch": 3, "range": 4, "gap": 7}
_SynthCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Espeak:
    """The library, spoken to from one thread."""

    def __init__(self, write: Any) -> None:
        import espeakng_loader

        self._write = write
        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self._lib.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
            ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        self._lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._lib.espeak_TextToPhonemes.argtypes = [
            ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int,
        ]  # fmt: skip
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate: int = self._lib.espeak_Initialize(_SYNCHRONOUS, BUFFER_MS, data, 0)
        self._callback = _SynthCallback(
            self._on_audio
        )  # kept, or ctypes frees it under the library
        self._lib.espeak_SetSynthCallback(self._callback)
        self._id = 0
        self._cancelled: set[int] = set()

    def cancel(self, request_id: int) -> None:
        self._cancelled.add(request_id)

    def answer(self, request: dict[str, Any]) -> None:
        if "phonemes" in request:
            self.spell(request)
        else:
            self.speak(request)

    def spell(self, request: dict[str, Any]) -> None:
        """AUDIO with JSON: [[IPA, the text it stands for], …], a pair for each clause."""
        try:
            self._choose(request["voice"])
        except ValueError as error:
            self._write(request["id"], ERROR, str(error).encode())
            return
        clauses = list(self._clauses(request["phonemes"].encode()))
        self._write(request["id"], AUDIO, json.dumps(clauses).encode())
        self._write(request["id"], END, b"")

    def _clauses(self, text: bytes) -> Iterator[tuple[str, str]]:
        buffer = ctypes.create_string_buffer(text)
        start = at = ctypes.addressof(buffer)
        pointer = ctypes.c_void_p(at)
        while pointer.value is not None:
            ipa = self._lib.espeak_TextToPhonemes(ctypes.byref(pointer), _UTF8, _IPA)
            end = pointer.value if pointer.value is not None else start + len(text)
            yield (
                ipa.decode(errors="replace"),
                text[at - start : end - start].decode(errors="replace"),
            )
            at = end

    def speak(self, request: dict[str, Any]) -> None:
        self._id = request["id"]
        try:
            self._set(request)
        except ValueError as error:
            self._write(self._id, ERROR, str(error).encode())
            return
        text = request["text"].encode() + b"\0"
        if self._id not in self._cancelled:
            self._lib.espeak_Synth(text, len(text), 0, 1, 0, _UTF8, None, None)
        self._cancelled = {later for later in self._cancelled if later > self._id}
        self._write(self._id, END, b"")

    def _set(self, request: dict[str, Any]) -> None:
        self._choose(request["voice"])
        for name, number in _PARAMETERS.items():
            self._lib.espeak_SetParameter(number, int(request[name]), 0)

    def _choose(self, voice: str) -> None:
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice!r}")

    def _on_audio(self, wav: Any, samples: int, _events: Any) -> int:
        if self._id in self._cancelled:
            return 1
        if samples > 0:
            self._write(self._id, AUDIO, ctypes.string_at(wav, samples * 2))
        return 0


def _write(request_id: int, kind: int, payload: bytes) -> None:
    try:
        sys.stdout.buffer.write(HEADER.pack(request_id, kind, len(payload)) + payload)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(0)  # nobody listens any more; raising out of a ctypes callback would be ignored


def _read(espeak: Espeak, requests: "queue.SimpleQueue[dict[str, Any]]") -> None:
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if "cancel" in request:
            espeak.cancel(request["cancel"])
        else:
            requests.put(request)
    os._exit(0)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    espeak = Espeak(_write)
    _write(0, READY, str(espeak.sample_rate).encode())
    if sys.argv[1:] == ["--once"]:
        espeak.speak(json.loads(sys.stdin.buffer.readline()))
        return
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(espeak, requests), daemon=True).start()
    while True:
        espeak.answer(requests.get())


if __name__ == "__main__":
    main()
