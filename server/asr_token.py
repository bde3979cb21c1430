"""The token of `viva asr`: from the settings, or made at its first start into a file that only its
owner reads. A worker on the same machine finds it there too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from server.api.keys import MIN_LENGTH, make_secret
from server.settings import Settings, SettingsError

FILE = "asr_token"


@dataclass(frozen=True)
class AsrToken:
    value: str = field(repr=False)
    file: Path | None = None
    """Where it can be read, if it is not in the settings."""
    new: bool = False


def of_service(settings: Settings) -> AsrToken:
    """What `viva asr` asks for, made if there is none. Raises `SettingsError`."""
    if given := _given(settings):
        return AsrToken(given)
    file = settings.data_dir / FILE
    try:
        new = make_secret(file)
        return AsrToken(_checked(file.read_text(encoding="utf-8").strip(), str(file)), file, new)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The token {file} cannot be read or made: {_why(error)}."
            " Put that right, or give a token of your own as VIVA_ASR_TOKEN."
        ) from error


def of_worker(settings: Settings) -> str:
    """What a client of `viva asr` shows; it makes none. Raises `SettingsError`."""
    if given := _given(settings):
        return given
    file = settings.data_dir / FILE
    try:
        return _checked(file.read_text(encoding="utf-8").strip(), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"VIVA_ASR_URL needs the token of that `viva asr`, and {file} cannot be read:"
            f" {_why(error)}. Give it as VIVA_ASR_TOKEN."
        ) from error


def _given(settings: Settings) -> str:
    given = settings.asr_token.get_secret_value() if settings.asr_token else ""
    return _checked(given, "VIVA_ASR_TOKEN") if given else ""


def _checked(token: str, where: str) -> str:
    if len(token) < MIN_LENGTH:
        raise SettingsError(f"{where} needs at least {MIN_LENGTH} characters.")
    if not re.fullmatch(r"[!-~]+", token):  # it travels in a header of HTTP
        raise SettingsError(f"{where} may have letters, digits and signs of ASCII only, no spaces.")
    return token


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or "it is no text"
