"""The operator's API key: from the settings, or made at the first start into a file that only its
owner reads.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from server.settings import Settings, SettingsError

FILE = "api_key"
MIN_LENGTH = 16


@dataclass(frozen=True)
class OperatorKey:
    hash: str
    """SHA-256 in hex."""
    file: Path | None = None
    """Where the key can be read, if it is not in the settings."""
    new: bool = False

    def matches(self, key: str) -> bool:
        return hmac.compare_digest(self.hash, _hash(key))


def operator_key(settings: Settings) -> OperatorKey:
    """The key of the settings, else of the data folder, made if there is none. Raises
    `SettingsError`.
    """
    given = settings.api_key.get_secret_value() if settings.api_key else ""
    if given:
        return OperatorKey(_hash_of_setting(given))
    file = settings.data_dir / FILE
    try:
        new = make_secret(file)
        return OperatorKey(_hash(file.read_text().strip()), file, new)
    except OSError as error:
        raise SettingsError(
            f"The API key {file} cannot be read or made: {error.strerror}."
            " Put that right, or give a key of your own as VIVA_API_KEY."
        ) from error


def make_secret(file: Path) -> bool:
    """A file with a new secret that only its owner reads; False if there is one already."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w") as out:
            out.write(secrets.token_urlsafe(32) + "\n")
            out.flush()
            os.fsync(out.fileno())
        os.link(part, file)  # whole or not at all, and never over another one
        return True
    except FileExistsError:
        return False
    finally:
        part.unlink()


def _hash_of_setting(given: str) -> str:
    if found := re.fullmatch(r"sha256:([0-9a-fA-F]{64})", given):
        return found[1].lower()
    if len(given) < MIN_LENGTH or given.startswith("sha256:"):
        raise SettingsError(
            f"VIVA_API_KEY needs at least {MIN_LENGTH} characters, or sha256: and 64 hex digits."
        )
    return _hash(given)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
