"""A caller for tests and the rehearsal: makes an offer, speaks PCM in real time, hears, drops."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from numpy.typing import NDArray

from server.media import ice
from server.media.codecs import preferences
from server.media.ice import IceSettings
from server.media.outgoing import FRAME, SAMPLE_RATE, OutgoingTrack
from server.media.peer import CHANNEL, close_connection
from server.media.receiver import EarReceiver, Hearing, decoder_for, install
from server.media.resample import Resampler

Pcm = NDArray[np.int16]


class CallClient:
    """One call from the candidate's side. `offer`, then `accept` the answer, then `connected`."""

    def __init__(self, settings: IceSettings | None = None, codec: str = "opus") -> None:
        self.heard: list[tuple[float, Pcm]] = []
        """Loop time of arrival and sound at `heard_rate`, in order."""
        self.messages: list[dict[str, Any]] = []
        self.on_message: Callable[[dict[str, Any]], None] | None = None
        self.heard_rate = decoder_for(codec).sample_rate
        self._settings = settings or IceSettings()
        self._loop = asyncio.get_running_loop()
        self._connection = RTCPeerConnection(ice.configuration(self._settings, time.time()))
        self._track = OutgoingTrack(codec)
        self._track.source = self._next_frame
        self._pending: list[Pcm] = []
        self._said = asyncio.Event()
        self._up: asyncio.Future[None] = self._loop.create_future()
        self._closing: asyncio.Task[None] | None = None
        transceiver = self._connection.addTransceiver(self._track, direction="sendrecv")
        transceiver.setCodecPreferences(preferences([codec]))
        self._ear = EarReceiver(codec, self._hear)
        install(transceiver.receiver, self._ear)
        self._channel = self._connection.createDataChannel(CHANNEL)
        self._channel_up = asyncio.Event()
        self._channel.on("open", self._channel_up.set)
        self._channel.on("message", self._message)
        self._connection.on("connectionstatechange", self._state_changed)

    async def offer(self) -> str:
        """The offer's SDP, with all candidates."""
        offer = await self._connection.createOffer()
        ice.prepare(self._connection, self._settings)
        await self._connection.setLocalDescription(offer)
        sdp: str = self._connection.localDescription.sdp
        return sdp

    async def accept(self, sdp: str) -> None:
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))

    async def connected(self, within_s: float = 10.0) -> None:
        async with asyncio.timeout(within_s):
            await asyncio.shield(self._up)

    async def say(self, pcm: Pcm, rate: int = 48000) -> None:
        """Speak in real time; returns when the last of it was sent."""
        sound = Resampler(rate, SAMPLE_RATE).push(pcm)
        sound = np.concatenate((sound, np.zeros(-len(sound) % FRAME, np.int16)))
        self._pending.extend(np.split(sound, len(sound) // FRAME) if len(sound) else [])
        while self._pending:
            self._said.clear()
            await self._said.wait()

    def hush(self) -> None:
        """Stop speaking at once."""
        self._pending.clear()
        self._said.set()

    def send(self, message: dict[str, Any]) -> None:
        self._channel.send(json.dumps(message))

    async def channel_open(self, within_s: float = 10.0) -> None:
        async with asyncio.timeout(within_s):
            await self._channel_up.wait()

    @property
    def hearing(self) -> Hearing:
        return self._ear.hearing

    def loud(self, threshold: float = 300.0) -> list[tuple[float, float]]:
        """The stretches in which something was heard: loop times of begin and end."""
        stretches: list[tuple[float, float]] = []
        for at, pcm in self.heard:
            if len(pcm) == 0 or np.sqrt(np.mean(pcm.astype(np.float64) ** 2)) < threshold:
                continue
            end = at + len(pcm) / self.heard_rate
            if stretches and at - stretches[-1][1] < 0.1:
                stretches[-1] = (stretches[-1][0], end)
            else:
                stretches.append((at, end))
        return stretches

    async def drop(self) -> None:
        """Vanish as a dead network does: no BYE, no goodbye of any kind."""
        for protocol in ice.protocols(self._connection):
            protocol.transport = cast(asyncio.DatagramTransport, _Mute(protocol.transport))
        await self.close()

    async def close(self) -> None:
        """Once, and to its end: aiortc waits for ever where an earlier close was given up."""
        if self._closing is None:
            self._closing = self._loop.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._ear.close()
        self._track.stop()
        if not self._up.done():
            self._up.cancel()
        await close_connection(self._connection)
        self.hush()

    def _next_frame(self, at: float) -> Pcm | None:
        del at
        if not self._pending:
            self._said.set()
            return None
        frame = self._pending.pop(0)
        self._said.set()
        return frame

    def _hear(self, pcm: Pcm, rate: int, at: float) -> None:
        del rate, at
        self.heard.append((self._loop.time(), pcm))

    def _message(self, data: str) -> None:
        message = json.loads(data)
        self.messages.append(message)
        if self.on_message is not None:
            self.on_message(message)

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and not self._up.done():
            self._up.set_result(None)
        elif state in ("failed", "closed") and not self._up.done():
            self._up.set_exception(ConnectionError(f"the call is {state}"))


class _Mute:
    """A datagram transport that sends nothing, and still closes."""

    def __init__(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def sendto(self, data: bytes, addr: Any = None) -> None:
        """Into the void."""

    def close(self) -> None:
        self._transport.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)
