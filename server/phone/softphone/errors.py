"""What can go wrong with the telephone; each message is a sentence for whoever holds it."""

from __future__ import annotations


class SoftphoneError(Exception):
    """Base of all."""


class Malformed(SoftphoneError):
    """What came is no SIP message, SDP or RTP packet; it is dropped."""


class NoReply(SoftphoneError):
    """The other side answered nothing within SIP's 64 T1, or not within the time given."""


class Refused(SoftphoneError):
    """A final answer that is no success."""

    def __init__(self, code: int, reason: str, what: str) -> None:
        super().__init__(f"{what}: {code} {reason}".rstrip())
        self.code = code
        """SIP's status code, 300-699."""
        self.reason = reason


class NotRegistered(Refused):
    """The registrar took no password of ours, or no account."""


class CallEnded(SoftphoneError):
    """Something was asked of a call that is no longer up."""


class NoCommonCodec(SoftphoneError):
    """The other side's description offers nothing this telephone can speak."""
