"""One client, with the token: its hello, what it may do, and how its connection ends.

Bounds: frames of 64 KiB, sixteen of them read ahead, answers that are not read, and a minute
without a word; what a kind of connection may hold is bounded where it is kept.
"""

import asyncio
import logging

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from asr.errors import AtCapacity
from asr.segmenter import SAMPLE_RATE
from asr.service import protocol
from asr.service.parts import Listener, Parts
from asr.service.protocol import CLOSE, End, Error, FromService, Hello, Ping, Pong, Refused
from asr.service.segments import Segments
from asr.service.stream import Stream

logger = logging.getLogger(__name__)

HELLO_S = 5.0
"""For how long a connection may say nothing at its beginning, or not take what ends it."""
IDLE_S = 60.0
MAX_UNSENT = 4096
"""Answers that wait for the client to read them."""
POLICY_VIOLATION = 1008


class Connection:
    def __init__(
        self,
        socket: ServerConnection,
        parts: Parts,
        *,
        device: str,
        draining: asyncio.Event,
        idle_s: float = IDLE_S,
    ) -> None:
        self._socket = socket
        self._parts = parts
        self._device = device
        self._draining = draining
        self._idle_s = idle_s
        self._outbox: asyncio.Queue[FromService] = asyncio.Queue(MAX_UNSENT)
        self._full = False

    async def run(self) -> None:
        """From the hello to the close; raises nothing."""
        try:
            hello = await self._greet()
            with self._parts.metrics.connections.labels(hello.kind).track_inprogress():
                await self._converse(hello)
        except Refused as e:
            await self._refuse(e)
        except ConnectionClosed:
            pass  # a client may leave at any byte
        except Exception:
            # The connection's outermost edge: the other clients go on.
            logger.exception("a connection failed")
            await self._socket.close(1011, "failed")

    async def _greet(self) -> Hello:
        try:
            async with asyncio.timeout(HELLO_S):
                first = await self._socket.recv()
        except TimeoutError:
            raise Refused("bad_message", "The first frame is hello, and comes at once.") from None
        hello = protocol.from_client(first) if isinstance(first, str) else None
        if not isinstance(hello, Hello):
            raise Refused("bad_message", "The first frame is hello.")
        if (hello.rate, hello.channels) != (SAMPLE_RATE, 1):
            raise Refused(
                "bad_format",
                f"Sound is mono at {SAMPLE_RATE} Hz, not {hello.channels} channels at"
                f" {hello.rate} Hz: resample it before it is sent.",
            )
        return hello

    async def _converse(self, hello: Hello) -> None:
        if hello.kind == "segments":  # its sessions enter one by one
            await self._listen(Segments(self._parts, hello, self._tell))
            return
        stream, recogniser = Stream(self._parts, hello, self._tell), self._parts.recogniser
        try:
            await recogniser.enter(stream.source, regardless=hello.regardless)
        except AtCapacity as e:
            raise Refused("at_capacity", str(e)) from e
        try:
            await self._listen(stream)
        finally:
            recogniser.leave(stream.source)

    async def _listen(self, listener: Listener) -> None:
        recogniser = self._parts.recogniser
        self._tell(
            protocol.ready(recogniser, recogniser.model, recogniser.compute_type, self._device)
        )
        writer = asyncio.create_task(self._write())
        try:
            await self._attend(listener, writer)
        finally:
            listener.close()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _attend(self, listener: Listener, writer: "asyncio.Task[None]") -> None:
        """Until the client has ended, has broken a rule or has gone, or the service stops."""
        reader = asyncio.create_task(self._read(listener))
        drained = asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait({reader, writer, drained}, return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                await writer  # raises
            if reader.done():
                await reader  # raises, unless the client has ended
        except Refused as e:
            if e.code == "idle":  # what it said before is still recognised
                await self._finish(listener, writer)
            raise
        finally:
            reader.cancel()
            drained.cancel()
            await asyncio.gather(reader, drained, return_exceptions=True)
        await self._finish(listener, writer)
        if self._draining.is_set():
            raise Refused("draining", "The service stops; what was said is answered.")
        await self._socket.close()

    async def _finish(self, listener: Listener, writer: "asyncio.Task[None]") -> None:
        """Until everything is answered; raises `ConnectionClosed` if nobody is there to read it."""
        finishing = asyncio.create_task(self._finished(listener))
        try:
            await asyncio.wait({finishing, writer}, return_when=asyncio.FIRST_COMPLETED)
            await (writer if writer.done() else finishing)
        finally:
            finishing.cancel()
            await asyncio.gather(finishing, return_exceptions=True)

    async def _finished(self, listener: Listener) -> None:
        await listener.finish()
        await self._outbox.join()

    async def _read(self, listener: Listener) -> None:
        while True:
            try:
                async with asyncio.timeout(self._idle_s):
                    data = await self._socket.recv()
            except TimeoutError:
                raise Refused("idle", f"Nothing came for {self._idle_s:.0f} s.") from None
            if self._full:
                raise Refused("too_slow", f"{MAX_UNSENT} answers wait to be read.")
            await asyncio.sleep(0)  # `recv` does not wait while frames are read ahead
            if isinstance(data, bytes):
                listener.hear(protocol.unpack(data))
                continue
            match message := protocol.from_client(data):
                case End():
                    return
                case Ping():
                    queued = self._parts.recogniser.queued
                    self._tell(Pong(settled=listener.settled, queued=queued))
                case Hello():
                    raise Refused("bad_message", "There is one hello, at the beginning.")
                case _:
                    listener.obey(message)

    def _tell(self, message: FromService) -> None:
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            self._full = True  # and what is dropped is as nothing: the connection ends

    async def _write(self) -> None:
        while True:
            message = await self._outbox.get()
            await self._socket.send(message.model_dump_json())
            self._outbox.task_done()

    async def _refuse(self, refused: Refused) -> None:
        self._parts.metrics.refused.labels(refused.code).inc()
        logger.info("a client was refused: %s: %s", refused.code, refused)
        try:
            async with asyncio.timeout(HELLO_S):
                error = Error(code=refused.code, text=str(refused))
                await self._socket.send(error.model_dump_json())
                await self._socket.close(CLOSE.get(refused.code, POLICY_VIOLATION), refused.code)
        except ConnectionClosed:
            pass
        except TimeoutError:
            self._socket.transport.abort()  # it does not read, not even that
