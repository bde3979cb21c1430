"""TLS certificates for tests, made on the spot; nobody trusts them who is not told to."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Made:
    cert: Path
    key: Path

    @property
    def files(self) -> tuple[Path, Path]:
        return self.cert, self.key

    @property
    def chain(self) -> tuple[Path, Path]:
        """With a second certificate behind it, as one that was bought has."""
        both = self.cert.with_name("fullchain.pem")
        both.write_bytes(self.cert.read_bytes() * 2)
        return both, self.key


def certificate(
    folder: Path,
    names: Sequence[str] = ("localhost", "127.0.0.1"),
    *,
    days: float = 90,
    lasts: float = 365,
    issuer: str = "",
    password: str = "",
) -> Made:
    """It ends in so many days and vouches for itself, unless an issuer is named."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named("viva")
    end = datetime.now(UTC) + timedelta(days=days, hours=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_named(issuer) if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=lasts))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    files = Made(folder / "cert.pem", folder / "key.pem")
    files.cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    locked = (
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption()
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked
    )
    files.key.touch(0o600)
    files.key.write_bytes(private)
    return files


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _name(one: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(one))
    except ValueError:
        return x509.DNSName(one)
