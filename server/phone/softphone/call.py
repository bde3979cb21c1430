"""One call of the telephone: what a person does with it."""

from __future__ import annotations

import asyncio
from typing import Literal

from server.phone.softphone.errors import NoCommonCodec, Refused
from server.phone.softphone.leg import PLAIN, RELAY, Leg
from server.phone.softphone.listening import Frame, Pcm, Statistics
from server.phone.softphone.telephone_event import KEYS

DOWN_S = 0.1
"""How long a key is held."""

Method = Literal["rfc4733", "info", "info-plain"]
"""Inside RTP; by SIP INFO as `application/dtmf-relay`; the same as `application/dtmf`."""


class PhoneCall(Leg):
    """Made by `Phone.call` and `Phone.incoming`."""

    def play(self, pcm: Pcm) -> None:
        """Say this (8 kHz) behind what is still to be said."""
        self.talk.media.play(pcm)

    def hush(self) -> None:
        """Say no more of it."""
        self.talk.media.hush()

    async def say_done(self) -> None:
        """Until the last of it was sent, or the call has ended."""
        await self._until(lambda: not self.talk.media.saying)

    async def say(self, pcm: Pcm) -> None:
        self.play(pcm)
        await self.say_done()

    async def press(
        self, keys: str, gap_s: float = 0.1, method: Method = "rfc4733", down_s: float = DOWN_S
    ) -> None:
        """One key after the other; returns after the last one's gap. What is said waits while a key
        is down, and goes on between them. Raises `ValueError` for what is no key, `CallEnded`,
        `Refused`, and `NoCommonCodec` if the other side takes no digits inside RTP.
        """
        if strange := set(keys.upper()) - set(KEYS):
            raise ValueError(f"no keys: {' '.join(sorted(strange))}")
        self._must_be_up()
        if method != "rfc4733":
            await self._press_by_info(keys, gap_s, RELAY if method == "info" else PLAIN)
            return
        if not self.takes_digits:
            raise NoCommonCodec("the other side takes no digits inside RTP")
        for key in keys:
            self.talk.media.press(key, down_s, gap_s)
        await self._until(lambda: not self.talk.media.pressing)

    def mute(self, muted: bool = True) -> None:
        """Silence suppression: nothing at all is sent where nothing is said."""
        self.talk.media.mute(muted)

    async def hold(self, music: Pcm | None = None) -> None:
        """`sendonly` with music, which is sent; else `inactive`. Raises as `change`."""
        self.talk.media.music(music)  # first: not a word is said into a hold
        await self._change(self.talk.offer("inactive" if music is None else "sendonly"))

    async def resume(self) -> None:
        """Raises as `change`."""
        await self._change(self.talk.offer("sendrecv"))
        self.talk.media.music(None)

    async def change(
        self, codecs: tuple[str, ...] | None = None, *, new_port: bool = False
    ) -> None:
        """Other codecs, or another port, by re-INVITE. Raises `Refused`, `NoReply`, `CallEnded`;
        `Malformed` or `NoCommonCodec` for an answer that does not fit.
        """
        if new_port:
            self.talk.media.move()
        await self._change(self.talk.offer(codecs=codecs))

    def heard(self, since: float = 0.0) -> Pcm:
        """All that was heard from this time on (`time.monotonic()`), at 8 kHz; the first sample
        lies at that time, or at the first packet's if that came later. What was lost is silence.
        """
        return self.talk.media.heard.sound(since)

    @property
    def heard_frames(self) -> list[Frame]:
        """Packets with sound, in the order and with the times of their arrival."""
        return self.talk.media.heard.frames

    @property
    def sent_frames(self) -> list[Frame]:
        """Packets in the order and with the times of their sending, digits too."""
        return list(self.talk.media.sent)

    @property
    def digits(self) -> str:
        """The other side's, by either method, in their order."""
        return "".join(key for _, key in sorted([*self.talk.media.digits, *self._info_digits]))

    @property
    def statistics(self) -> Statistics:
        """Of what was heard."""
        return self.talk.media.heard.statistics()

    @property
    def codec(self) -> str:
        """What is spoken: `PCMU/8000`."""
        return self.talk.media.terms.codec

    @property
    def takes_digits(self) -> bool:
        """Whether the other side takes digits inside RTP."""
        return self.talk.media.terms.event_type is not None

    @property
    def held(self) -> bool:
        """Whether the other side holds us."""
        return self.talk.held

    async def _press_by_info(self, keys: str, gap_s: float, kind: str) -> None:
        for key in keys:
            body = f"Signal={key}\r\nDuration={round(1000 * DOWN_S)}\r\n" if kind == RELAY else key
            response = await self._ask(
                lambda body=body: self._with_body("INFO", kind, body)  # type: ignore[misc]
            )
            if response.code >= 300:
                raise Refused(response.code, response.reason, "a digit was refused")
            await asyncio.sleep(gap_s)
