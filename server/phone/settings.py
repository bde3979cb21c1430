"""The settings of the phone, as a part of `server.settings`."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

CODECS = ("opus", "G722", "PCMU", "PCMA")
_PLACE = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?")
_USER = re.compile(r"[A-Za-z0-9._+-]{1,64}")
_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d")
_PREFIX = re.compile(r"\+\d{1,15}")


class PhoneSettings(BaseSettings):
    """Off unless `phone` is set; nothing else here has a meaning then."""

    phone: bool = False
    """Take calls; needs a registrar and a user."""
    phone_registrar: str = ""
    """The PBX or provider, host or host:port."""
    phone_user: str = ""
    """The extension there."""
    phone_login: str = ""
    """Where its digest user is another one."""
    phone_password: SecretStr = SecretStr("")
    """Or `ha1:` and the MD5 of user:realm:password in hex."""
    phone_address: str = ""
    """This machine's IPv4 address towards the PBX; by default found."""
    phone_rtp_ports: Annotated[tuple[int, int], NoDecode] = (22000, 22199)
    """UDP, for the sound between PBX and gateway, written A-B."""
    phone_trusted: str = ""
    """Addresses and networks that may send calls besides the registrar's, by comma."""
    phone_codecs: Annotated[tuple[str, ...], NoDecode] = CODECS
    """Best first."""
    phone_srtp: Literal["off", "optional", "required"] = "off"
    phone_calls: int = Field(4, ge=1, le=200)
    """Calls at once; one more is told busy. Of several, one is left for those who call."""
    phone_janus: str = ""
    """The gateway's program, or the socket of one that runs; by default the one on the PATH."""
    phone_janus_secret: SecretStr = SecretStr("")
    """The API secret of one that runs."""

    phone_number: str = Field("", max_length=40)
    """Where candidates call, as invitations tell it."""
    phone_language: Literal["en", "zh"] = "en"
    """In which a caller is greeted, until the PIN tells whose interview it is."""

    # Calls out.
    phone_call_prefixes: Annotated[tuple[str, ...], NoDecode] = ()
    """Beginnings of numbers that may be called, such as +44; none means no calls out."""
    phone_calls_per_day: int = Field(20, ge=0)
    phone_minutes_per_day: int = Field(300, ge=0)
    """When so many are used up no call begins; one that runs is not cut off."""
    phone_call_hours: str = "09:00-18:00"
    """In the candidate's time zone."""
    phone_zone: str = "UTC"
    """The candidate's time zone, where none is given with the call: `Europe/Berlin`."""

    @field_validator("phone_registrar")
    @classmethod
    def _registrar(cls, value: str) -> str:
        if value and not (_PLACE.fullmatch(value) and 0 < _port(value) < 65536):
            raise ValueError("write host or host:port, such as pbx.example.org:5060")
        return value

    @field_validator("phone_user", "phone_login")
    @classmethod
    def _extension(cls, value: str) -> str:
        if value and not _USER.fullmatch(value):
            raise ValueError("write an extension or a user name, without @ and host")
        return value

    @field_validator("phone_address")
    @classmethod
    def _own_address(cls, value: str) -> str:
        try:
            return str(IPv4Address(value)) if value else ""
        except AddressValueError:
            raise ValueError("write an IPv4 address of this machine, such as 10.0.0.7") from None

    @field_validator("phone_trusted")
    @classmethod
    def _trusted_networks(cls, value: str) -> str:
        named = [one.strip() for one in value.split(",") if one.strip()]
        try:
            return ",".join(str(IPv4Network(one)) for one in named)
        except ValueError:
            raise ValueError(
                "write IPv4 addresses or networks, by comma, such as 203.0.113.0/24"
            ) from None

    @field_validator("phone_rtp_ports", mode="before")
    @classmethod
    def _sound_ports(cls, value: object) -> object:
        if isinstance(value, str):
            found = re.fullmatch(r"\s*(\d{1,5})\s*-\s*(\d{1,5})\s*", value)
            if not found:
                raise ValueError("write a port range as A-B, such as 22000-22199")
            value = (int(found[1]), int(found[2]))
        if isinstance(value, tuple) and not 1023 < value[0] < value[1] <= 65535:
            raise ValueError("ports lie between 1024 and 65535, the lower one first")
        return value

    @field_validator("phone_codecs", mode="before")
    @classmethod
    def _known_codecs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        known = {one.lower(): one for one in CODECS}
        named = [one.strip().lower() for one in value.split(",") if one.strip()]
        if not named or any(one not in known for one in named):
            raise ValueError(f"name some of {', '.join(CODECS)}, by comma")
        return tuple(dict.fromkeys(known[one] for one in named))

    @field_validator("phone_call_prefixes", mode="before")
    @classmethod
    def _prefixes(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        named = [one.strip() for one in value.split(",") if one.strip()]
        if not all(_PREFIX.fullmatch(one) for one in named):
            raise ValueError("write beginnings of numbers with their country, such as +44,+4930")
        return tuple(named)

    @field_validator("phone_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("write a time zone as Europe/Berlin") from None
        return value

    @field_validator("phone_call_hours")
    @classmethod
    def _hours(cls, value: str) -> str:
        if not _HOURS.fullmatch(value) or value[:5] >= value[6:]:
            raise ValueError("write hours as 09:00-18:00, the earlier one first")
        return value

    @property
    def phone_place(self) -> tuple[str, int]:
        """The registrar's host and port."""
        return self.phone_registrar.partition(":")[0], _port(self.phone_registrar)

    def missing_for_phone(self) -> str:
        """A sentence on what the phone still needs; empty where it is off or has all."""
        if self.phone and not (self.phone_registrar and self.phone_user):
            return "VIVA_PHONE needs VIVA_PHONE_REGISTRAR and VIVA_PHONE_USER"
        return ""


def _port(place: str) -> int:
    return int(place.partition(":")[2] or 5060)
