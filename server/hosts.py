"""Which machines a setting's value names: pure."""

from __future__ import annotations

import ipaddress
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
