"""Digest authentication (RFC 2617, 7616, 8760): the answer to a challenge. MD5 is what PBXs use."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from server.phone.accounts import ha1

_HASHES = {"MD5": "md5", "SHA-256": "sha256"}
_PARAMETER = re.compile(r'(\w[\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True)
class Challenge:
    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: str = ""
    """`auth`, or nothing: the older form without a client's nonce."""
    opaque: str = ""
    stale: bool = False
    """The password was right, the nonce too old."""


def chosen(fields: Iterable[str], password: str = "") -> Challenge | None:
    """The first challenge among `WWW-Authenticate` or `Proxy-Authenticate` fields that can be
    answered with this password; one that is a hash is of MD5."""
    found = [one for one in map(_read, fields) if one is not None]
    fit = [one for one in found if one.algorithm == "MD5"] if ha1(password) else found
    return next(iter(fit), None)


def answer(
    to: Challenge, user: str, password: str, method: str, uri: str, cnonce: str, count: int = 1
) -> str:
    """The field's value. `password` may be `ha1:` and a hash, as in `server.phone.accounts`.
    `count` is how often this nonce has been used, this time included."""

    def hashed(*parts: str) -> str:
        return _hash(to.algorithm, ":".join(parts))

    secret = ha1(password) or hashed(user, to.realm, password)
    what = hashed(method, uri)
    given = {"username": user, "realm": to.realm, "nonce": to.nonce, "uri": uri}
    if to.qop:
        given["response"] = hashed(secret, to.nonce, f"{count:08x}", cnonce, to.qop, what)
        given["cnonce"] = cnonce
    else:
        given["response"] = hashed(secret, to.nonce, what)
    if to.opaque:
        given["opaque"] = to.opaque
    quoted = [f'{name}="{_escaped(value)}"' for name, value in given.items()]
    bare = [f"algorithm={to.algorithm}"] + [f"qop={to.qop}, nc={count:08x}"] * bool(to.qop)
    return f"Digest {', '.join(quoted + bare)}"


def _read(field: str) -> Challenge | None:
    scheme, _, rest = field.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    # A value without quotes is the third group; a quoted one may hold escaped quotes.
    given = {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare
        for name, quoted, bare in _PARAMETER.findall(rest)
    }
    algorithm = given.get("algorithm", "MD5").upper()
    offered = [one.strip() for one in given.get("qop", "").split(",") if one.strip()]
    if "nonce" not in given or algorithm not in _HASHES or (offered and "auth" not in offered):
        return None
    return Challenge(
        realm=given.get("realm", ""),
        nonce=given["nonce"],
        algorithm=algorithm,
        qop="auth" if offered else "",
        opaque=given.get("opaque", ""),
        stale=given.get("stale", "").lower() == "true",
    )


def _hash(algorithm: str, text: str) -> str:
    return hashlib.new(_HASHES[algorithm], text.encode()).hexdigest()


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"")
