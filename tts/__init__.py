"""Voices: edge-tts, the embedded espeak-ng voice, the fallback chain, the rendered-line cache."""
