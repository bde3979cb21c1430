"""What a recogniser gives back, and what anything that recognises must offer."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from asr.errors import HearingError

Audio = npt.NDArray[np.float32]
"""Mono, 16 kHz, -1 to 1."""


class Priority(IntEnum):
    FINAL = 0
    INTERIM = 1
    """Taken only while nothing else waits, refused with `Overloaded` otherwise."""


def always() -> bool:
    return True


@dataclass(frozen=True, eq=False)
class Piece:
    """Audio to recognise, and how."""

    audio: Audio
    language: str
    hotwords: tuple[str, ...] = ()
    words: bool = True
    """False leaves the word times out, and tries only the first temperature."""
    wanted: Callable[[], bool] = always
    """Whether anybody still waits for it; asked again before it is decoded."""


@dataclass(frozen=True)
class Source:
    """A stream of one of several clients: neither may take the room of others."""

    client: Hashable
    stream: Hashable = None


@dataclass(frozen=True)
class HeardWord:
    text: str
    start_s: float
    end_s: float
    probability: float | None
    """None: the model does not say."""


@dataclass(frozen=True)
class Recognition:
    """The text of one piece of audio; times count from its first sample."""

    text: str
    language: str
    avg_logprob: float | None
    """Mean log-probability of a token; 0 for empty text, None where the model does not say."""
    no_speech_prob: float
    words: tuple[HeardWord, ...] = ()
    temperature: float = 0.0


@dataclass(frozen=True)
class Served:
    """What recognises a language."""

    model: str
    compute_type: str
    """How its weights are held, such as `int8`."""
    device: str
    """cpu or cuda."""


Outcome = Recognition | HearingError
"""Of one piece of a batch. A bad piece is an error in its own place, and no fault of the batch."""


class Recogniser(Protocol):
    """One for all sessions of the process. `asr.engine.Engine` is the real one."""

    @property
    def model(self) -> str: ...

    async def recognise(
        self,
        audio: Audio,
        *,
        language: str,
        hotwords: Sequence[str] = (),
        priority: Priority = Priority.FINAL,
        source: Hashable = None,
    ) -> Recognition:
        """`source` names the stream: streams with audio waiting take turns.

        Raises `RecognitionFailed`, and `Overloaded` at once rather than falling behind.
        """
        ...


class Admitting(Protocol):
    """What keeps a recogniser from being promised to more sessions than it can hear."""

    async def enter(self, session: Hashable, *, regardless: bool = False) -> None:
        """Before a session begins. `regardless`: it was in before, and must not be refused.

        Raises `AtCapacity`: whoever is in is heard as before, and this one must come later.
        """
        ...

    def leave(self, session: Hashable) -> None:
        """It has ended; one that never entered leaves too."""
        ...


@runtime_checkable
class ByLanguage(Protocol):
    """A recogniser with more than one model."""

    @property
    def languages(self) -> Mapping[str, Served]:
        """Those that have a model of their own, and which."""
        ...


def model_of(recogniser: object, language: str) -> Served | None:
    """The model that a language has of its own; None: it is heard as all others are."""
    return recogniser.languages.get(language) if isinstance(recogniser, ByLanguage) else None
