"""Hearing: faster-whisper as one engine for every session, cut at pauses, behind LiveKit's STT.

Import from the modules, `from asr.stt import WhisperSTT`; `asr.engine`, `asr.gate`, `asr.models`.
This file imports nothing, so that `viva models` does not load LiveKit.
"""
