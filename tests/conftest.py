"""For all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# Nothing here is about speed, and a busy machine takes its time. Without chance a change fails for
# what it did; HYPOTHESIS_PROFILE=search looks further, with other examples in each run.
settings.register_profile("viva", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "viva"))
