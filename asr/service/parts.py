"""What the two kinds of connection have in common: the recogniser, the counts, a way to answer."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from asr.errors import Overloaded
from asr.recognition import Admitting, Priority, Recogniser, Recognition, Source
from asr.segmenter import Pcm
from asr.service.metrics import Metrics
from asr.service.protocol import FromService, Message, Sound

Tell = Callable[[FromService], None]
"""Puts a message into the connection's outbox."""


class ServedRecogniser(Recogniser, Admitting, Protocol):
    """What the service needs of `asr.engine.Engine`."""

    @property
    def compute_type(self) -> str: ...
    @property
    def queued(self) -> int: ...
    @property
    def sessions(self) -> int: ...
    @property
    def promised(self) -> float: ...


class Listener(Protocol):
    """What a connection does with what comes in; raises `protocol.Refused`."""

    @property
    def settled(self) -> int: ...
    def hear(self, sound: Sound) -> None: ...
    def obey(self, message: Message) -> None:
        """Do what the client's control message says."""
        ...

    async def finish(self) -> None:
        """Nothing more comes: returns when all that came has been answered."""
        ...

    def close(self) -> None:
        """Nobody waits for answers any more."""
        ...


@dataclass(frozen=True)
class Parts:
    recogniser: ServedRecogniser
    metrics: Metrics

    async def recognise(
        self,
        audio: Pcm,
        *,
        language: str,
        hotwords: Sequence[str],
        interim: bool,
        source: Source,
    ) -> Recognition:
        began = time.monotonic()
        outcome = "failed"
        try:
            found = await self.recogniser.recognise(
                np.asarray(audio, np.float32) / np.float32(32_768),
                language=language,
                hotwords=hotwords,
                priority=Priority.INTERIM if interim else Priority.FINAL,
                source=source,
            )
            outcome = "recognised"
            return found
        except Overloaded:
            outcome = "overloaded"
            raise
        except asyncio.CancelledError:  # its segment was cut, or its client has gone
            outcome = "cancelled"
            raise
        finally:
            self.metrics.segments.labels(f"interim_{outcome}" if interim else outcome).inc()
            if outcome == "recognised" and not interim:
                self.metrics.seconds.observe(time.monotonic() - began)
