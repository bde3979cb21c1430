"""Which transcript is due: interim while speech goes on, preflight at a pause, one final after it.

Pure: the stream tells it of cuts, texts and silence, it answers with at most one `Emission`.

A final is due after `final_after_s` of silence with nothing open and nothing being recognised.
A text that is only a backchannel gives no transcript at all, since any final would stop the agent.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["interim", "preflight", "final", "backchannel"]

_UNSPACED = {"zh", "ja", "th", "lo", "my", "yue"}


@dataclass(frozen=True)
class Emission:
    kind: Kind
    text: str


def join(parts: list[str], language: str) -> str:
    return ("" if language in _UNSPACED else " ").join(part for part in parts if part)


class Emitter:
    def __init__(self, *, language: str, final_after_s: float) -> None:
        self._language = language
        self._final_after_s = final_after_s
        self._pieces: OrderedDict[int, str | None] = OrderedDict()  # None: in recognition
        self._open_text = ""  # an interim result of the speech that is open
        self._last: Emission | None = None

    @property
    def recognising(self) -> int:
        return sum(text is None for text in self._pieces.values())

    @property
    def text(self) -> str:
        """What was said since the last final, as far as it is known in order."""
        known: list[str] = []
        for piece in self._pieces.values():
            if piece is None:
                break
            known.append(piece)
        return join(known, self._language)

    @property
    def unfinished(self) -> bool:
        """Words wait for their final."""
        return self.recognising > 0 or bool(self.text)

    def cut(self, piece: int) -> None:
        """A segment goes to the recogniser."""
        self._pieces[piece] = None
        self._open_text = ""

    def heard(self, piece: int, text: str) -> None:
        self._pieces[piece] = text

    def overheard(self, text: str) -> None:
        """An interim result for the open speech."""
        self._open_text = text

    def due(
        self, *, speaking: bool, silence_s: float, is_backchannel: Callable[[str], bool]
    ) -> Emission | None:
        finished = not speaking and not self.recognising
        final = finished and silence_s >= self._final_after_s
        emission = self._emission(finished, final, is_backchannel)
        if final:
            self._pieces.clear()
            self._open_text = ""
        if emission is None or (not final and emission == self._last):
            return None
        self._last = None if final else emission
        return emission

    def _emission(
        self, finished: bool, final: bool, is_backchannel: Callable[[str], bool]
    ) -> Emission | None:
        text = self.text if finished else join([self.text, self._open_text], self._language)
        if not text:
            return None
        if is_backchannel(text):
            return Emission("backchannel", text) if final else None
        return Emission("final" if final else "preflight" if finished else "interim", text)
