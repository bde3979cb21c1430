"""Several models for several languages, behind the seam of one: each has an engine of its own.

A model that serves two languages is given once for both, and so is in memory once.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import fields
from types import TracebackType
from typing import Self

from asr.decoder import base_language
from asr.engine import Counts, Engine
from asr.errors import AtCapacity, UnknownLanguage
from asr.recognition import Audio, Priority, Recognition, Served


class Router:
    def __init__(self, default: Engine | None, by_language: Mapping[str, Engine]) -> None:
        """`default` hears the languages that have no model of their own; None: they are refused."""
        self._default = default
        self._by_language = dict(by_language)
        given = [default] if default else []
        self._engines = list(dict.fromkeys([*given, *by_language.values()]))
        if not self._engines:
            raise ValueError("a router without engines")

    @property
    def model(self) -> str:
        """The default's name; without one, the names of all."""
        if self._default:
            return self._default.model
        return ", ".join(engine.model for engine in self._engines)

    @property
    def compute_type(self) -> str:
        return self._engines[0].compute_type

    @property
    def device(self) -> str:
        return self._engines[0].device

    @property
    def languages(self) -> dict[str, Served]:
        """Those that have a model of their own, and which."""
        return {language: _served(engine) for language, engine in self._by_language.items()}

    @property
    def queued(self) -> int:
        """Finals waiting, at all of them."""
        return sum(engine.queued for engine in self._engines)

    @property
    def sessions(self) -> int:
        """Those that have entered."""
        return max(engine.sessions for engine in self._engines)

    @property
    def promised(self) -> float:
        """Of the engine whose time is promised most."""
        return max(engine.promised for engine in self._engines)

    async def enter(self, session: Hashable, *, regardless: bool = False) -> None:
        """Into each of them, or none: which languages it will speak is not known yet, and on one
        machine they share what there is. One whose language nobody has spoken yet, and which so
        would let in but a few, does not decide where another has been measured. Raises
        `AtCapacity`."""
        known = any(engine.measured for engine in self._engines)
        try:
            for engine in self._engines:
                unasked = known and not engine.measured
                await engine.enter(session, regardless=regardless or unasked)
        except AtCapacity:
            self.leave(session)
            raise

    def leave(self, session: Hashable) -> None:
        for engine in self._engines:
            engine.leave(session)

    @property
    def counts(self) -> Counts:
        """Of all of them together."""
        every = [engine.counts for engine in self._engines]
        total = {f.name: sum(getattr(one, f.name) for one in every) for f in fields(Counts)}
        return Counts(**total | {"largest_batch": max(one.largest_batch for one in every)})

    async def recognise(
        self,
        audio: Audio,
        *,
        language: str,
        hotwords: Sequence[str] = (),
        priority: Priority = Priority.FINAL,
        source: Hashable = None,
        within_s: float | None = None,
    ) -> Recognition:
        """As `Engine.recognise`; raises `UnknownLanguage` where no model is for it."""
        engine = self._by_language.get(base_language(language), self._default)
        if engine is None:
            known = ", ".join(self._by_language)
            raise UnknownLanguage(
                f"No speech model is loaded for {language!r}, only for {known}:"
                " VIVA_ASR_MODEL is for all others."
            )
        return await engine.recognise(
            audio,
            language=language,
            hotwords=hotwords,
            priority=priority,
            source=source,
            within_s=within_s,
        )

    def close(self) -> None:
        for engine in self._engines:
            engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


def _served(engine: Engine) -> Served:
    return Served(engine.model, engine.compute_type, engine.device)
