"""Which machines a setting's value names, and how browsers write it: pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import parse_qs, urlsplit


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def of_url(url: str) -> list[str]:
    """The host of a URL, and those that a database's URL names in its query."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    named = [
        name for key in ("host", "hostaddr") for name in ",".join(query.get(key, [])).split(",")
    ]
    # A path there is a socket of this machine.
    return [name for name in (parts.hostname or "", *named) if name and not name.startswith("/")]


def of_ice_server(server: str) -> list[str]:
    """The host of `host:port`, with or without `stun:` or `turn:` before it."""
    before, colon, after = server.partition(":")
    known = colon and before in ("stun", "stuns", "turn", "turns")
    return of_url(f"//{after if known else server}")


def origin(url: str) -> str:
    """The origin of a web address as browsers write it: they compare it letter by letter. Raises
    `ValueError` with what to write.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ValueError("write a whole address, such as https://interviews.example.org")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(
            "leave out everything after the host: the pages lie at /call/ and /desk, so they need a"
            " host name (or a port) of their own, such as https://interviews.example.org"
        )
    if parts.username is not None:
        raise ValueError("leave out what stands before the @: every candidate would read it")
    if not re.fullmatch(r"[a-z0-9._%:*-]+", host):
        raise ValueError("write the host's name in letters of ASCII (a foreign one as xn--...)")
    name = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{name}" + (f":{port}" if port not in (None, usual) else "")
