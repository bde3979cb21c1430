"""Models onto this machine: listed, downloaded, checked, and put into their folder whole or not at
all. For speech models and voices alike; what a kind of model consists of, its package says.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from server import hub, manifest
from server.hub import FetchFailed, RemoteFile

Progress = Callable[[str, int, int], None]
"""Called with a file's name, bytes that arrived and bytes in all."""


class Kind(Protocol):
    """What a kind of model consists of. Names may be patterns, in which `*` matches `/` too."""

    @property
    def title(self) -> str:
        """Such as `CTranslate2 Whisper model`."""
        ...

    @property
    def needed(self) -> Sequence[Sequence[str]]:
        """Of each group the first that is there; without one the model is not whole."""
        ...

    @property
    def wanted(self) -> Sequence[str]:
        """Taken where they are there."""
        ...


def fetch(
    name: str,
    folder: Path,
    *,
    repository: str,
    kinds: Sequence[Kind],
    source: str = "hub",
    revision: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download a model; an interrupted download goes on where it stopped.

    `kinds`: what it may be; the first that fits what the repository lists tells which files are
    taken. `source`: see `server.hub.listing`. Raises `FetchFailed`.
    """
    files = _chosen(hub.listing(source, repository, revision), kinds, f"{repository} at {source}")
    target = folder / folder_name(name)
    partial = folder / f".{folder_name(name)}.partial"
    try:
        partial.mkdir(parents=True, exist_ok=True)
        _check_space(partial, files)
        sums = {file.path: _download(file, partial, progress or _silent) for file in files}
        entries = {f.path: {"size": f.size, "sha256": sums[f.path]} for f in files}
        manifest.write(partial, entries, name=name, source=source, repository=repository)
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
    except OSError as e:
        raise FetchFailed(f"Cannot write {name} to {folder}: {e}") from e
    return target


def folder_name(name: str) -> str:
    return name.replace("/", "--")


def _silent(_file: str, _done: int, _total: int) -> None:
    pass


def _chosen(
    listed: Sequence[RemoteFile], kinds: Sequence[Kind], where: str
) -> Sequence[RemoteFile]:
    names = [file.path for file in listed]
    why_not = []
    for kind in kinds:
        groups = [_first_there(group, names) for group in kind.needed]
        if all(groups):
            taken = {name for group in groups for name in group}
            taken |= {name for pattern in kind.wanted for name in _matching(pattern, names)}
            return [file for file in listed if file.path in taken]
        missing = [
            " or ".join(g) for g, found in zip(kind.needed, groups, strict=True) if not found
        ]
        why_not.append(f"{where} is not a {kind.title}: it has no {', '.join(missing)}.")
    raise FetchFailed("\n".join(why_not))


def _first_there(group: Sequence[str], names: Sequence[str]) -> list[str]:
    return next((found for pattern in group if (found := _matching(pattern, names))), [])


def _matching(pattern: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]


def _check_space(partial: Path, files: Iterable[RemoteFile]) -> None:
    have = sum(f.stat().st_size for f in partial.rglob("*") if f.is_file())
    needed = sum(file.size for file in files) - have
    free = shutil.disk_usage(partial).free
    if needed > free:
        raise FetchFailed(f"{needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free at {partial}.")


def _download(file: RemoteFile, folder: Path, progress: Progress) -> str:
    """The file's SHA-256, once it is here whole."""
    import httpx  # here, since only fetching needs it

    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if not (path.is_file() and path.stat().st_size == file.size):
        try:
            _receive(file, path, progress)
        except httpx.HTTPStatusError as e:
            raise FetchFailed(f"{file.path}: the server answered {e.response.status_code}.") from e
        except httpx.HTTPError as e:
            raise FetchFailed(
                f"{file.path}: the download broke off ({e}). The same command goes on from there."
            ) from e
    return _check(file, path)


def _receive(file: RemoteFile, path: Path, progress: Progress) -> None:
    import httpx

    have = path.stat().st_size if path.is_file() and path.stat().st_size < file.size else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with httpx.stream("GET", file.url, headers=headers, follow_redirects=True, timeout=60) as reply:
        reply.raise_for_status()
        if reply.status_code != 206:
            have = 0  # the whole file comes, whatever was asked
        with path.open("ab" if have else "wb") as out:
            progress(file.path, have, file.size)
            for chunk in reply.iter_bytes():
                out.write(chunk)
                have += len(chunk)
                progress(file.path, have, file.size)


def _check(file: RemoteFile, path: Path) -> str:
    size = path.stat().st_size
    if size < file.size:
        raise FetchFailed(
            f"{file.path}: {size} of {file.size} bytes came. The same command goes on from there."
        )
    found = manifest.sha256(path)
    if size > file.size or (file.sha256 and found != file.sha256):
        path.unlink()
        raise FetchFailed(
            f"{file.path}: wrong checksum, so it was thrown away. Try again, or another source."
        )
    return found
