"""What was fetched into a model's folder: each file's size and SHA-256, so that it can be read
again years later and compared.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

NAME = "manifest.json"


class FilesDamaged(Exception):
    """A folder is no longer what was fetched; the message names the file."""


def is_there(folder: Path) -> bool:
    """A folder that the operator made has none, and cannot be verified."""
    return (folder / NAME).is_file()


def verify(folder: Path) -> dict[str, str]:
    """Read every file again; the SHA-256 of each, or `FilesDamaged`."""
    found: dict[str, str] = {}
    for name, expected in read(folder)["files"].items():
        file = folder / name
        if not file.is_file():
            raise FilesDamaged(f"{file} is missing. Fetch it again: viva models fetch")
        found[name] = sha256(file)
        if found[name] != expected["sha256"]:
            raise FilesDamaged(f"{file} has changed on disk. Fetch it again: viva models fetch")
    return found


def read(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise FilesDamaged(f"{folder} has no {NAME}: it was not fetched by viva.") from e
    except ValueError as e:  # JSON's errors and Unicode's
        raise FilesDamaged(f"{folder / NAME} is not JSON: {e}") from e
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise FilesDamaged(f"{folder / NAME} lists no files.")
    return manifest


def write(folder: Path, files: dict[str, dict[str, Any]], **about: str) -> None:
    """`files`: size and sha256 of each; `about` says where they came from."""
    text = json.dumps({**about, "files": files}, indent=2)
    (folder / NAME).write_text(text + "\n", encoding="utf-8")


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
