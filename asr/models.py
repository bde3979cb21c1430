"""Which models there are, where they lie on this machine, and how they get there.

Only `fetch` uses the network. Each model has a folder of its own under the models folder, with a
`manifest.json` that names every file's size and SHA-256.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from asr import rehearsal
from asr.errors import FetchFailed, ModelDamaged, ModelMissing, UnknownModel

logger = logging.getLogger(__name__)

HUB = "https://huggingface.co"
MODELSCOPE = "https://modelscope.cn"
MANIFEST = "manifest.json"

REPOSITORIES = {
    "tiny": "Systran/faster-whisper-tiny",
    "base": "Systran/faster-whisper-base",
    "small": "Systran/faster-whisper-small",
    "medium": "Systran/faster-whisper-medium",
    "large-v2": "Systran/faster-whisper-large-v2",
    "large-v3": "Systran/faster-whisper-large-v3",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
}
"""Converted for CTranslate2. Any other `owner/name` of such a model works too."""

REHEARSAL = "rehearsal"
REQUIRED = ("config.json", "model.bin", "tokenizer.json")
_WANTED = {*REQUIRED, "preprocessor_config.json", "vocabulary.json", "vocabulary.txt"}

Progress = Callable[[str, int, int], None]
"""Called with a file's name, bytes that arrived and bytes in all."""


@dataclass(frozen=True)
class RemoteFile:
    path: str
    url: str
    size: int
    sha256: str | None
    """None for small files, whose sum the hub does not tell."""


def default_model(device: str) -> str:
    return "large-v3-turbo" if device == "cuda" else "small"


def default_compute_type(device: str) -> str:
    return "float16" if device == "cuda" else "int8"


def resolve(name_or_path: str, folder: Path) -> Path:
    """The model's folder on this machine. Never downloads."""
    if name_or_path == REHEARSAL:
        return rehearsal.MODEL_DIR
    if _is_path(name_or_path):
        path = Path(name_or_path).expanduser()
        if not path.is_dir():
            raise ModelMissing(f"There is no folder {path}. Name a model to fetch: {_names()}.")
        check_files(path)
        return path
    repository_of(name_or_path)
    path = folder / folder_name(name_or_path)
    if not path.is_dir():
        raise ModelMissing(
            f"The speech model {name_or_path!r} is not in {folder}."
            f" Fetch it once: viva models fetch {name_or_path}"
        )
    check_files(path)
    return path


def check_files(path: Path) -> None:
    if not path.is_dir():
        raise ModelMissing(f"There is no model folder {path}.")
    missing = [name for name in REQUIRED if not (path / name).is_file()]
    if not any((path / f"vocabulary.{end}").is_file() for end in ("json", "txt")):
        missing.append("vocabulary.json")
    if missing:
        raise ModelDamaged(
            f"{path} is not a whole CTranslate2 Whisper model: {', '.join(missing)} missing."
            " Fetch it again: viva models fetch"
        )


def repository_of(name: str) -> str:
    if name in REPOSITORIES:
        return REPOSITORIES[name]
    if name.count("/") == 1 and all(part and not part.startswith(".") for part in name.split("/")):
        return name
    raise UnknownModel(f"There is no speech model {name!r}. Known: {_names()}, or owner/name.")


def folder_name(name: str) -> str:
    return name.replace("/", "--")


def verify(path: Path) -> dict[str, str]:
    """Read every file again; the SHA-256 of each, or `ModelDamaged`."""
    manifest = read_manifest(path)
    found: dict[str, str] = {}
    for name, expected in manifest["files"].items():
        file = path / name
        if not file.is_file():
            raise ModelDamaged(f"{file} is missing. Fetch it again: viva models fetch")
        found[name] = sha256(file)
        if found[name] != expected["sha256"]:
            raise ModelDamaged(f"{file} has changed on disk. Fetch it again: viva models fetch")
    return found


def read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise ModelDamaged(f"{path} has no {MANIFEST}: it was not fetched by viva.") from e
    except json.JSONDecodeError as e:
        raise ModelDamaged(f"{path / MANIFEST} is not JSON: {e}") from e
    return manifest


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(
    name: str,
    folder: Path,
    *,
    source: str = "hub",
    repository: str | None = None,
    revision: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download a model; an interrupted download goes on where it stopped.

    `source` is `hub`, `modelscope`, or the address of a mirror of the hub (`modelscope+http://…`
    for one of ModelScope). `repository` is needed where the source keeps the model under another
    name.
    """
    repository = repository or repository_of(name)
    files = [f for f in _listing(source, repository, revision) if f.path in _WANTED]
    _check_listing(files, repository, source)
    target = folder / folder_name(name)
    partial = folder / f".{folder_name(name)}.partial"
    try:
        partial.mkdir(parents=True, exist_ok=True)
        _check_space(partial, files)
        sums = {file.path: _download(file, partial, progress or _silent) for file in files}
        _write_manifest(partial, name, source, repository, files, sums)
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
    except OSError as e:
        raise FetchFailed(f"Cannot write {name} to {folder}: {e}") from e
    check_files(target)
    return target


def _is_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or Path(text).is_dir()


def _names() -> str:
    return ", ".join(REPOSITORIES)


def _silent(_file: str, _done: int, _total: int) -> None:
    pass


def _listing(source: str, repository: str, revision: str | None) -> list[RemoteFile]:
    if source == "hub":
        return _hub_listing(HUB, repository, revision)
    if source == "modelscope":
        return _modelscope_listing(MODELSCOPE, repository, revision)
    if source.startswith("modelscope+http"):
        return _modelscope_listing(source.removeprefix("modelscope+"), repository, revision)
    if source.startswith(("http://", "https://")):
        return _hub_listing(source, repository, revision)
    raise FetchFailed(f"The source {source!r} is not hub, modelscope or an http address.")


def _hub_listing(endpoint: str, repository: str, revision: str | None) -> list[RemoteFile]:
    endpoint = endpoint.rstrip("/")
    at = f"/revision/{quote(revision, safe='')}" if revision else ""
    info = _get_json(f"{endpoint}/api/models/{repository}{at}", {"blobs": "true"}, repository)
    try:
        base = f"{endpoint}/{repository}/resolve/{info['sha']}"
        return [
            RemoteFile(
                path=row["rfilename"],
                url=f"{base}/{quote(row['rfilename'])}",
                size=row["size"],
                sha256=(row.get("lfs") or {}).get("sha256"),
            )
            for row in info["siblings"]
        ]
    except (KeyError, TypeError) as e:
        raise FetchFailed(f"{endpoint} does not answer as a model hub does: {e}") from e


def _modelscope_listing(endpoint: str, repository: str, revision: str | None) -> list[RemoteFile]:
    base = f"{endpoint.rstrip('/')}/api/v1/models/{repository}/repo"
    branch = revision or "master"
    query = {"Revision": branch, "Recursive": "true"}
    info = _get_json(f"{base}/files", query, repository)
    at = f"{base}?Revision={quote(branch, safe='')}"
    try:
        return [
            RemoteFile(
                path=row["Path"],
                url=f"{at}&FilePath={quote(row['Path'], safe='')}",
                size=row["Size"],
                sha256=row.get("Sha256") or None,
            )
            for row in info["Data"]["Files"]
            if row.get("Type") == "blob"
        ]
    except (KeyError, TypeError) as e:
        raise FetchFailed(f"{endpoint} does not answer as ModelScope does: {e}") from e


def _get_json(url: str, query: dict[str, str], repository: str) -> Any:
    import httpx  # here, since only fetching needs it

    try:
        reply = httpx.get(url, params=query, follow_redirects=True, timeout=30)
        if reply.status_code in (401, 404):  # the hub says 401 for what does not exist
            raise FetchFailed(f"{reply.url.host} has no model {repository}.")
        reply.raise_for_status()
        return reply.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as e:
        raise FetchFailed(f"Cannot list {repository} at {url}: {e}") from e


def _check_listing(files: Iterable[RemoteFile], repository: str, source: str) -> None:
    names = {file.path for file in files}
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise FetchFailed(
            f"{repository} at {source} is not a CTranslate2 Whisper model:"
            f" it has no {', '.join(missing)}."
        )


def _check_space(partial: Path, files: Iterable[RemoteFile]) -> None:
    have = sum(f.stat().st_size for f in partial.iterdir() if f.is_file())
    needed = sum(file.size for file in files) - have
    free = shutil.disk_usage(partial).free
    if needed > free:
        raise FetchFailed(f"{needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free at {partial}.")


def _download(file: RemoteFile, folder: Path, progress: Progress) -> str:
    """The file's SHA-256, once it is here whole."""
    import httpx

    path = folder / file.path
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
    found = sha256(path)
    if size > file.size or (file.sha256 and found != file.sha256):
        path.unlink()
        raise FetchFailed(
            f"{file.path}: wrong checksum, so it was thrown away. Try again, or another source."
        )
    return found


def _write_manifest(
    folder: Path,
    name: str,
    source: str,
    repository: str,
    files: Iterable[RemoteFile],
    sums: dict[str, str],
) -> None:
    entries = {f.path: {"size": f.size, "sha256": sums[f.path]} for f in files}
    text = json.dumps(
        {"name": name, "source": source, "repository": repository, "files": entries}, indent=2
    )
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
