"""espeak-ng in a process of its own (global state): JSON lines in, int16 at 22,050 Hz out."""

import ctypes
import json
import sys

import espeakng_loader

ESPEAK_RATE = 22_050


def main() -> None:
    library = espeakng_loader.load_library()
    parts: list[bytes] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    def collect(samples: int | None, count: int, _events: int) -> int:
        if samples and count > 0:
            parts.append(ctypes.string_at(samples, 2 * count))
        return 0

    rate = library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
    if rate != ESPEAK_RATE:
        raise RuntimeError(f"espeak-ng speaks at {rate} Hz")
    library.espeak_SetSynthCallback(collect)
    for line in sys.stdin:
        voice, words_per_minute, text = json.loads(line)
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice}")
        library.espeak_SetParameter(1, words_per_minute, 0)
        data = text.encode() + b"\0"
        library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, 1, None, None)
        pcm = b"".join(parts)
        parts.clear()
        sys.stdout.buffer.write(len(pcm).to_bytes(4, "little") + pcm)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
