"""A real vLLM on loopback with the tiny model, in a process group of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import environment
import httpx

MODEL = "tiny"
READY_S = 240.0
FOLDER = environment.ROOT / ".cache" / "tiny-qwen2"
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
OPTIONS = [
    "--max-model-len=16384",
    "--enable-auto-tool-choice",
    "--tool-call-parser=hermes",
    '--structured-outputs-config={"backend":"xgrammar","disable_any_whitespace":true}',
    "--enable-prompt-tokens-details",
    "--scheduling-policy=priority",
    "--shutdown-timeout=10",
]
"""Those of the serve line in docs/model.md."""
HERE = ["--dtype=bfloat16", "--max-num-seqs=8", "--host=127.0.0.1"]
"""What a machine without a GPU needs besides, and the port below."""


class Server:
    """The process and what can be asked of it from outside."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.root = f"http://127.0.0.1:{port}"
        self.url = f"{self.root}/v1"
        self.log = log

    def signal(self, number: int) -> None:
        """To the whole group: a killed API server would leave its engine behind."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def running(self) -> float:
        """Requests in the engine now."""
        text = httpx.get(f"{self.root}/metrics", timeout=10).text
        name = "vllm:num_requests_running"
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.root}/health", timeout=5).is_success:
                    return
            time.sleep(0.5)
        raise RuntimeError(f"vLLM did not start:\n{self.log.read_text()[-3000:]}")


def make_model() -> None:
    script = Path(__file__).with_name("tiny_model.py")
    if not (FOLDER / "model.safetensors").is_file():
        subprocess.run([environment.PYTHON, script, FOLDER], check=True, capture_output=True)


@contextmanager
def serving(log: Path) -> Iterator[Server]:
    make_model()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    # By module: the scripts of an environment name the folder it was made in, and it may be moved.
    vllm = [environment.PYTHON, "-m", "vllm.entrypoints.cli.main"]
    command = [*vllm, "serve", FOLDER, f"--served-model-name={MODEL}"]
    command += [f"--port={port}", *HERE, *OPTIONS]
    with log.open("wb") as written:
        process = subprocess.Popen(
            list(map(str, command)),
            env=os.environ | SETTINGS,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, port, log)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.signal(signal.SIGCONT)
        server.signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        server.signal(signal.SIGKILL)
        process.wait(timeout=20)


if __name__ == "__main__":
    with serving(Path("vllm.log")) as here:
        print(here.url, file=sys.stderr)
        here.process.wait()
