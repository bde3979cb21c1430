"""Which Viva this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def code_version() -> str:
    try:
        return version("viva-interviewer")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "unknown"
