"""What browsers would have against a TLS certificate: pure, the time is passed in."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

SOON_DAYS = 21


@dataclass(frozen=True)
class Fault:
    text: str
    to_do: str
    grave: bool = True
    """Browsers refuse the page, or will before long if nothing is done."""


def load(pem: bytes) -> list[x509.Certificate]:
    """The server's own certificate, and those that lead from it to one that browsers know. Raises
    `ValueError`."""
    return x509.load_pem_x509_certificates(pem)


def days_left(chain: list[x509.Certificate], at: datetime) -> int:
    return (chain[0].not_valid_after_utc - at).days


def faults(chain: list[x509.Certificate], host: str, at: datetime) -> Iterator[Fault]:
    """Seen by a browser that opens this host; an empty host is not compared."""
    own, *others = chain
    if at < own.not_valid_before_utc:
        begins = own.not_valid_before_utc.isoformat(" ", "minutes")
        yield Fault(f"The certificate is good from {begins} only.", "Set this machine's clock.")
    left = days_left(chain, at)
    if left < 0:
        yield Fault("The certificate has expired.", "Renew it, then restart the server.")
    elif left < SOON_DAYS:
        yield Fault(f"The certificate expires in {left} days.", "Renew it.", grave=False)
    names = names_of(own)
    if host and not any(_covers(name, host) for name in names):
        listed = ", ".join(names) or "no name at all"
        yield Fault(
            f"The certificate is for {listed}; candidates open {host}.",
            "Get one for that name, or put the certificate's own into VIVA_PUBLIC_URL.",
        )
    if own.issuer == own.subject:
        yield Fault(
            "The certificate vouches for itself: browsers warn of it until they are told to trust"
            " it.",
            "For candidates get one that browsers know, such as Let's Encrypt's.",
            grave=False,
        )
    elif not others:
        yield Fault(
            "The file holds the server's own certificate alone: some browsers, above all on phones,"
            " cannot find out who vouches for it.",
            "Give the whole chain (Let's Encrypt's fullchain.pem).",
            grave=False,
        )


def names_of(certificate: x509.Certificate) -> list[str]:
    """Host names and addresses; browsers look nowhere else, not at its common name either."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = found.get_values_for_type(x509.IPAddress)
    return [*found.get_values_for_type(x509.DNSName), *map(str, addresses)]


def _covers(name: str, host: str) -> bool:
    name, host = name.lower(), host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        first, _, rest = host.partition(".")
        return name == host or (bool(first) and name == f"*.{rest}")
    return name == str(address)
