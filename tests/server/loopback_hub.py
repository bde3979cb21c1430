"""A hub and a ModelScope on loopback, with the faults of real ones."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlparse

SHA = "0" * 40


class Hub:
    def __init__(self, repository: str, files: dict[str, bytes]) -> None:
        self.repository = repository
        self.files = files
        self.cut_after: dict[str, int] = {}
        """Bytes of a file after which the connection drops, once."""
        self.corrupt: set[str] = set()
        self.missing: set[str] = set()
        self.ranges: list[str] = []
        self.url = ""

    def listing(self) -> dict[str, object]:
        siblings = [
            {
                "rfilename": name,
                "size": len(data),
                "blobId": "b",
                "lfs": {"sha256": sha(data), "size": len(data), "pointerSize": 130}
                if name.endswith((".bin", ".onnx"))
                else None,
            }
            for name, data in self.files.items()
        ]
        return {"id": self.repository, "modelId": self.repository, "sha": SHA, "siblings": siblings}

    def modelscope_listing(self) -> dict[str, object]:
        rows = [
            {"Path": name, "Type": "blob", "Size": len(data), "Sha256": sha(data)}
            for name, data in self.files.items()
        ]
        return {"Code": 200, "Data": {"Files": [{"Path": "docs", "Type": "tree"}, *rows]}}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlparse(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            modelscope = f"/api/v1/models/{hub.repository}/repo"
            if url.path == f"/api/models/{hub.repository}":
                self._json(hub.listing())
            elif url.path == f"{modelscope}/files":
                self._json(hub.modelscope_listing())
            elif url.path == modelscope:
                self._file(query["FilePath"])
            elif url.path.startswith(f"/{hub.repository}/resolve/{SHA}/"):
                self._file(unquote(url.path.removeprefix(f"/{hub.repository}/resolve/{SHA}/")))
            else:
                self._json({"error": "Repository not found"}, 404, "RepoNotFound")

        def _json(self, body: object, status: int = 200, error: str | None = None) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            if error:
                self.send_header("X-Error-Code", error)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _file(self, name: str) -> None:
            if name in hub.missing:
                self._json({}, 404)
                return
            data = hub.files[name]
            if name in hub.corrupt:
                data = data[:-1] + bytes([data[-1] ^ 1])
            wanted = self.headers.get("Range")
            begin = 0
            if wanted:
                hub.ranges.append(f"{name} {wanted}")
                begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(data) - begin))
            self.end_headers()
            cut = hub.cut_after.pop(name, None)
            self.wfile.write(data[begin:cut])
            if cut is not None:
                self.close_connection = True
                self.connection.close()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
