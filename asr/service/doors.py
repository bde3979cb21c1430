"""The sessions of a worker at `viva asr`: which are in, and which wait to be let in.

Everything on the client's loop; a session's `asked` is resolved once. Who is in is said again, as
such, over each new connection: whoever was let in once is not refused by a restart.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from asr.errors import AtCapacity, RecognitionFailed
from asr.service.protocol import Enter, Leave


@dataclass(eq=False)
class _Session:
    name: str
    inside: bool
    asked: "Future[None]" = field(default_factory=Future)


class Doors:
    def __init__(self, say: Callable[[Enter | Leave], None]) -> None:
        self._say = say
        self._sessions: dict[str, _Session] = {}

    def enter(self, name: str, asked: "Future[None]", *, regardless: bool) -> None:
        known = self._sessions.get(name)
        if known is not None:
            _tell(known, AtCapacity("It asks again."))
        session = self._sessions[name] = _Session(name, regardless or _inside(known), asked)
        if session.inside:
            _tell(session, None)
        if known is None:
            self._say(self._request(session))

    def leave(self, name: str) -> None:
        if self._sessions.pop(name, None) is not None:
            self._say(Leave(session=name))

    def entered(self, name: str) -> None:
        if session := self._sessions.get(name):
            session.inside = True
            _tell(session, None)

    def turned_away(self, name: str, text: str) -> None:
        session = self._sessions.get(name)
        if session is not None and not session.inside:
            del self._sessions[name]
            _tell(session, AtCapacity(text))

    def requests(self) -> Iterator[Enter]:
        """What a new connection has to hear."""
        return (self._request(session) for session in self._sessions.values())

    def close(self) -> None:
        for session in self._sessions.values():
            _tell(session, RecognitionFailed("The recogniser is closed."))

    def _request(self, session: _Session) -> Enter:
        return Enter(session=session.name, regardless=session.inside)


def _inside(session: _Session | None) -> bool:
    return session is not None and session.inside


def _tell(session: _Session, failure: Exception | None) -> None:
    if session.asked.done() or not session.asked.set_running_or_notify_cancel():
        return  # told before, or nobody waits
    if failure is None:
        session.asked.set_result(None)
    else:
        session.asked.set_exception(failure)
