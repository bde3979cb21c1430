"""What can go wrong with media, by name; nothing else leaves this package."""


class MediaError(Exception):
    """Base of all."""


class BadOffer(MediaError):
    """The other side sent a description that cannot be answered; the message says why."""


class NoCodec(BadOffer):
    """The two sides have no codec in common, or the other side wants no sound at all."""


class PortsExhausted(MediaError):
    """Every UDP port that media may use is occupied."""


class CodecUnavailable(MediaError):
    """The Opus library is not where PyAV's wheel should have it."""


class HookMissing(MediaError):
    """The installed aiortc or aioice is not the one this package was written for."""


class BadPayload(MediaError):
    """A packet's payload is not what its codec calls one."""
