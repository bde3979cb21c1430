"""Which settings do not fit together, each with what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.settings import Settings


@dataclass(frozen=True)
class Misfit:
    names: tuple[str, ...]
    """The settings that must change, one of them or several."""
    text: str


def misfits(chosen: Settings) -> Iterator[Misfit]:
    """Every one, in the order in which the settings stand."""
    yield from _tls(chosen)
    yield from _relay(chosen)
    if missing := chosen.missing_for_phone():
        yield Misfit(("phone",), missing)
    yield from _voice(chosen)
    yield from _outside(chosen)


def _tls(chosen: Settings) -> Iterator[Misfit]:
    if (chosen.tls_cert is None) != (chosen.tls_key is None):
        text = "tls_cert and tls_key belong together; give both or neither"
        yield Misfit(("tls_cert", "tls_key"), text)


def _relay(chosen: Settings) -> Iterator[Misfit]:
    names = ("turn_url", "turn_user", "turn_password", "turn_secret")
    fixed = chosen.turn_user, chosen.turn_password.get_secret_value()
    shared = chosen.turn_secret.get_secret_value()
    if any((*fixed, shared)) and not chosen.turn_url:
        yield Misfit(names, "turn_user, turn_password and turn_secret need a turn_url")
    if chosen.turn_url and (any(fixed) if shared else not all(fixed)):
        text = "turn_url needs either turn_secret, or turn_user and turn_password"
        yield Misfit(names, text)


def _voice(chosen: Settings) -> Iterator[Misfit]:
    if chosen.privacy == "local" and chosen.voice == "edge":
        yield Misfit(
            ("privacy", "voice"),
            "privacy=local and voice=edge exclude each other: edge-tts sends spoken text to"
            " Microsoft",
        )
    if chosen.voice == "neural" and not (chosen.voice_local_en or chosen.voice_local_zh):
        yield Misfit(
            ("voice",),
            "voice=neural needs a voice: set VIVA_VOICE_LOCAL_EN or VIVA_VOICE_LOCAL_ZH to a"
            " name of `viva models list` or a folder",
        )


def _outside(chosen: Settings) -> Iterator[Misfit]:
    if chosen.privacy == "local" and (outside := chosen.hosts_outside):
        named = "; ".join(f"VIVA_{name.upper()} names {host}" for name, host in outside)
        yield Misfit(
            ("privacy", *(name for name, _ in outside)),
            f"privacy=local keeps everything on this machine, but {named}. Use a server of this"
            " machine, add a host of your own to VIVA_TRUSTED_HOSTS, or set"
            " VIVA_PRIVACY=network",
        )
