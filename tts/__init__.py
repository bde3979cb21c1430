"""Voices: edge-tts, the embedded espeak-ng voice, the fallback chain and the rendered-line cache."""
