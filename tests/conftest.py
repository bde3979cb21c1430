"""For all tests."""

from __future__ import annotations

from hypothesis import settings

# Nothing here is about speed, and a busy machine takes its time.
settings.register_profile("viva", deadline=None)
settings.load_profile("viva")
