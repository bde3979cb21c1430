"""Whether a browser could use a microphone at an address.

Browsers give a microphone to pages that came by https, and to those of their own machine:
localhost, names that end in .localhost, 127.0.0.0/8 and [::1]. A link to any other address leads a
candidate to a page that can never hear them, so none is given out.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit

from server.settings import Settings, SettingsError

TO_DO_TLS = (
    "Give --tls-cert and --tls-key (VIVA_TLS_CERT, VIVA_TLS_KEY), or put a TLS proxy before this"
    " server and name its https: address with --public-url (VIVA_PUBLIC_URL)."
)
TO_DO_NAME = (
    "Name the address that candidates' browsers open with --public-url (VIVA_PUBLIC_URL), such as"
    " https://interviews.example.org."
)


class NoMicrophone(SettingsError):
    """No link is given out, because nobody could be interviewed at it."""


def check(settings: Settings) -> None:
    """Raises `NoMicrophone` with the reason and what to do."""
    reason = refusal(settings.base_url)
    if reason:
        raise NoMicrophone(f"No invite can be made: {reason}")


def refusal(url: str) -> str:
    """Why no browser could use a microphone there, and what to do; empty where one can."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return f"{url!r} is no address. {TO_DO_NAME}"
    if parts.scheme not in ("http", "https") or not host:
        return f"{url!r} is no address. {TO_DO_NAME}"
    if _means_many(host):
        return f"no browser can open {host}, which stands for more than one address. {TO_DO_NAME}"
    if "%" in host:
        return f"no browser can open {host}, whose zone only this machine knows. {TO_DO_NAME}"
    if port == 0:
        return f"port 0 means any free port, so that nobody knows which it is. {TO_DO_NAME}"
    if parts.scheme == "https" or is_browsers_own(host):
        return ""
    return (
        f"at {parts.scheme}://{parts.netloc} browsers give no microphone, only at https: addresses"
        f" and on their own machine. {TO_DO_TLS}"
    )


def is_browsers_own(host: str) -> bool:
    """Whether browsers take the host for their own machine, and trust it without TLS."""
    address = _address(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    return (address.version == 4 and address.is_loopback) or str(address) == "::1"


def _means_many(host: str) -> bool:
    address = _address(host)
    return "*" in host if address is None else address.is_unspecified


def _address(host: str) -> Any:
    """The address that a browser reads there, as short as it may be written (127.1, 0)."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None
