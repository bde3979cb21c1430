"""The token of `viva asr`, in the HTTP request that opens a connection.

It is there and not in the first frame, so that who has none is answered at once and holds no place:
a connection is one with a token. A header that only programs can set keeps it out of addresses.
"""

import hashlib
import hmac

from websockets.datastructures import Headers

_HEADER = "Authorization"


def header(token: str) -> dict[str, str]:
    """What a client sends."""
    return {_HEADER: f"Bearer {token}"}


def is_authorised(headers: Headers, token: str) -> bool:
    given = headers.get_all(_HEADER)
    scheme, _, value = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return scheme.lower() == "bearer" and same(value.strip(), token)


def same(given: str, token: str) -> bool:
    """In constant time, whatever the lengths."""
    digests = [hashlib.sha256(one.encode("utf-8", "surrogatepass")) for one in (given, token)]
    return hmac.compare_digest(digests[0].digest(), digests[1].digest())
