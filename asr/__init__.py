"""Hearing: faster-whisper as one engine for every session, cut at pauses, behind LiveKit's STT."""
