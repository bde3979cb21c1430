"""SRTP with keys from the session description (SDES, RFC 4568), by libsrtp, which aiortc brings."""

from __future__ import annotations

import base64
import os

import pylibsrtp

from server.phone.softphone.errors import Malformed
from server.phone.softphone.sdp import Crypto, Description

SUITE = "AES_CM_128_HMAC_SHA1_80"
"""The one that every implementation must have."""
PROFILE = "RTP/SAVP"
_KEY_AND_SALT = 30


def new_crypto(tag: int = 1) -> Crypto:
    return Crypto(tag, SUITE, base64.b64encode(os.urandom(_KEY_AND_SALT)).decode())


class Shield:
    """One call's two streams: ours protected with our key, theirs opened with theirs."""

    def __init__(self, ours: Crypto, theirs: Crypto) -> None:
        self._out = _session(ours, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        self._in = _session(theirs, pylibsrtp.Policy.SSRC_ANY_INBOUND)

    def protect(self, packet: bytes) -> bytes:
        return self._out.protect(packet)

    def open(self, data: bytes) -> bytes:
        """Raises `Malformed`."""
        try:
            return self._in.unprotect(data)
        except pylibsrtp.Error as refused:
            raise Malformed("it is not protected with the key agreed on") from refused


def usable(description: Description) -> Crypto | None:
    """The first of its lines that can be used."""
    return next((one for one in description.cryptos if _fits(one)), None)


def _fits(crypto: Crypto) -> bool:
    try:
        return crypto.suite == SUITE and len(_key(crypto)) == _KEY_AND_SALT
    except ValueError:
        return False


def _key(crypto: Crypto) -> bytes:
    return base64.b64decode(crypto.key, validate=True)


def _session(crypto: Crypto, kind: int) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(key=_key(crypto), ssrc_type=kind)
    return pylibsrtp.Session(policy=policy)
