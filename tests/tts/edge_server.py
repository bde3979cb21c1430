"""The Read-Aloud service's protocol on a Unix socket: what edge-tts connects to in tests."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from io import BytesIO
from pathlib import Path

import aiohttp
import av
import numpy as np
from aiohttp import web

from tts.audio import SAMPLE_RATE, Samples

BYTES_PER_SECOND = 48_000 // 8
TICKS = 10_000_000


def mp3(samples: Samples) -> bytes:
    """As the service sends it: 24 kHz, mono, 48 kbit/s."""
    out = BytesIO()
    bare = {"id3v2_version": "0", "write_xing": "0"}
    with av.open(out, "w", format="mp3", options=bare) as container:
        stream = container.add_stream("libmp3lame", rate=SAMPLE_RATE, layout="mono")
        stream.bit_rate = 48_000
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return out.getvalue()


def tone(seconds: float, lead_s: float = 0.2, tail_s: float = 0.8) -> Samples:
    """A tone between the silences that the service adds."""
    at = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = (8000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16)
    return np.pad(sound, (int(lead_s * SAMPLE_RATE), int(tail_s * SAMPLE_RATE)))


class LoopbackConnector(aiohttp.UnixConnector):
    """Leads any address to one Unix socket. edge-tts closes its connector with each connection and
    then retries a 403 on it; its own default connectors survive that, so this one does too."""

    async def close(self, *, abort_ssl: bool = False) -> None:
        await asyncio.sleep(0)

    async def really_close(self) -> None:
        await super().close()


Script = Callable[["Turn"], Awaitable[None]]


@dataclass
class Turn:
    """One request and the way to answer it."""

    websocket: web.WebSocketResponse
    ssml: str

    async def text(self, path: str, body: str = "{}") -> None:
        await self.websocket.send_str(f"X-RequestId:1\r\nPath:{path}\r\n\r\n{body}")

    async def audio(self, data: bytes) -> None:
        head = b"X-RequestId:1\r\nContent-Type:audio/mpeg\r\nPath:audio\r\n"
        await self.websocket.send_bytes(len(head).to_bytes(2, "big") + head + data)

    async def word(self, text: str, begin_s: float, end_s: float) -> None:
        data = {
            "Offset": int(begin_s * TICKS),
            "Duration": int((end_s - begin_s) * TICKS),
            "text": {"Text": text},
        }
        await self.text(
            "audio.metadata", json.dumps({"Metadata": [{"Type": "WordBoundary", "Data": data}]})
        )


async def whole_sentence(turn: Turn) -> None:
    data = mp3(tone(1.0))
    await turn.text("turn.start")
    for i in range(0, len(data), 1000):
        await turn.audio(data[i : i + 1000])
    await turn.text("turn.end")


@dataclass
class EdgeServer:
    """Answers each connection with `script`, or with `status` on the handshake."""

    folder: Path
    script: Script = whole_sentence
    status: int = 101
    clock_ahead_s: float = 0.0
    heard: list[str] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has left."""

    async def __aenter__(self) -> "EdgeServer":
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        self._path = str(self.folder / "edge.sock")
        await web.UnixSite(self._runner, self._path).start()
        self._connectors: list[LoopbackConnector] = []
        return self

    async def __aexit__(self, *_: object) -> None:
        for connector in self._connectors:
            await connector.really_close()
        await self._runner.cleanup()

    def connector(self) -> LoopbackConnector:
        self._connectors.append(LoopbackConnector(self._path))
        return self._connectors[-1]

    def answers(self, request: web.Request) -> int:
        return self.status

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        status = self.answers(request)
        if status != 101:
            at = time.time() + self.clock_ahead_s
            return web.Response(status=status, headers={"Date": formatdate(at, usegmt=True)})
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        try:
            config = (await websocket.receive()).data
            assert "Path:speech.config" in config and "24khz-48kbitrate-mono-mp3" in config
            self.heard.append((await websocket.receive()).data)
            await self.script(Turn(websocket, self.heard[-1]))
        except ConnectionError:
            pass  # the client hung up, as clients do
        finally:
            self.gone.set()
        return websocket
