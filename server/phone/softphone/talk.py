"""The sound of one call: our description and theirs, and the media between, kept in step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from server.phone.softphone import sdp, srtp
from server.phone.softphone.errors import Malformed, NoCommonCodec
from server.phone.softphone.media import Media
from server.phone.softphone.options import Options
from server.phone.softphone.sdp import EVENTS, Description, Direction
from server.phone.softphone.speaking import LAWS, Terms


class Talk:
    """`offer` then `accept`, or `answer` to an offer; any number of times in a call."""

    def __init__(
        self, local_ip: str, options: Options, seed: int, on_progress: Callable[[], None]
    ) -> None:
        self.media = Media(local_ip, seed, options.sending, options.hearing, on_progress)
        self.held = False
        """The other side holds us."""
        self._options = options
        self._ours = options.description(local_ip, self.media.port)
        if options.srtp:
            self._ours = replace(self._ours, profile=srtp.PROFILE, cryptos=(srtp.new_crypto(),))
        self._shield: tuple[str, str, srtp.Shield] | None = None

    def offer(
        self, direction: Direction | None = None, codecs: tuple[str, ...] | None = None
    ) -> str:
        """A description of ours, changed as asked; what is not named stays."""
        options = replace(self._options, codecs=codecs) if codecs else self._options
        self._options = options
        self._ours = replace(
            self._ours,
            codecs=options.description("", 0).codecs,
            port=self.media.port,
            direction=direction or self._ours.direction,
            version=self._ours.version + 1,
        )
        return self._ours.written()

    def accept(self, text: str) -> None:
        """The answer to our offer. Raises `Malformed` or `NoCommonCodec`."""
        theirs = sdp.parse(text)
        self._agree(theirs, self._ours)

    def answer(self, text: str) -> str:
        """Ours to their offer. Raises `Malformed` or `NoCommonCodec`."""
        theirs = sdp.parse(text)
        ours = sdp.answer(theirs, replace(self._ours, version=self._ours.version + 1))
        if theirs.profile == srtp.PROFILE:
            ours = replace(ours, cryptos=self._answering_key(theirs))
        elif self._options.srtp or "TLS" in theirs.profile:
            raise NoCommonCodec(f"{theirs.profile} is not what this telephone speaks")
        self._agree(theirs, ours)
        self._ours = replace(ours, codecs=self._ours.codecs, direction=self._ours.direction)
        return ours.written()

    def _answering_key(self, theirs: Description) -> tuple[sdp.Crypto, ...]:
        offered = srtp.usable(theirs)
        if offered is None:
            raise NoCommonCodec(f"{srtp.SUITE} is not among the offered suites")
        kept = self._ours.cryptos or (srtp.new_crypto(),)
        return (replace(kept[0], tag=offered.tag),)

    def _agree(self, theirs: Description, ours: Description) -> None:
        payload_type, codec = sdp.agreed(theirs, tuple(LAWS))
        if not theirs.address:
            raise Malformed("the description has no address")
        terms = Terms(
            payload_type=payload_type,
            codec=codec,
            event_type=theirs.payload_type(EVENTS),
            sends=ours.direction in ("sendrecv", "sendonly")
            and theirs.direction in ("sendrecv", "recvonly")
            and theirs.address != "0.0.0.0",
        )
        self.held = theirs.held
        self.media.agree(theirs, terms, self._shielded(theirs, ours))

    def _shielded(self, theirs: Description, ours: Description) -> srtp.Shield | None:
        """The same as before while the keys are the same: it counts packets."""
        key = srtp.usable(theirs)
        if not ours.cryptos or key is None:
            if ours.profile == srtp.PROFILE:
                raise NoCommonCodec("the other side gave no key for SRTP")
            return None
        if self._shield is None or self._shield[:2] != (ours.cryptos[0].key, key.key):
            self._shield = ours.cryptos[0].key, key.key, srtp.Shield(ours.cryptos[0], key)
        return self._shield[2]
