"""What a repository of models holds: the listings of the Hugging Face hub and of ModelScope.

Only `viva models fetch` asks them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

HUB = "https://huggingface.co"
MODELSCOPE = "https://modelscope.cn"


class FetchFailed(Exception):
    """A download did not arrive whole; the same command goes on where it stopped."""


@dataclass(frozen=True)
class RemoteFile:
    path: str
    """In its repository, with `/`; below the folder that it is put into."""
    url: str
    size: int
    sha256: str | None
    """None for small files, whose sum the hub does not tell."""

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path).parts
        if not parts or ".." in parts or parts[0] == "/" or "\\" in self.path:
            raise FetchFailed(f"The source lists a file that lies outside: {self.path!r}.")


def listing(source: str, repository: str, revision: str | None) -> list[RemoteFile]:
    """`source` is `hub`, `modelscope`, or the address of a mirror of the hub (`modelscope+http://…`
    for one of ModelScope).
    """
    if source == "hub":
        return _hub(HUB, repository, revision)
    if source == "modelscope":
        return _modelscope(MODELSCOPE, repository, revision)
    if source.startswith("modelscope+http"):
        return _modelscope(source.removeprefix("modelscope+"), repository, revision)
    if source.startswith(("http://", "https://")):
        return _hub(source, repository, revision)
    raise FetchFailed(f"The source {source!r} is not hub, modelscope or an http address.")


def _hub(endpoint: str, repository: str, revision: str | None) -> list[RemoteFile]:
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


def _modelscope(endpoint: str, repository: str, revision: str | None) -> list[RemoteFile]:
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
