"""What a rehearsal by telephone is held on: a network with a registrar and the candidate's phone,
and the settings with which the server joins it.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from server.phone.softphone.errors import SoftphoneError
from server.phone.softphone.impairment import CLEAN, Impairment
from server.phone.softphone.options import Options
from server.phone.softphone.phone import Phone
from server.rehearsal.phone.ground import CALLERS, PBX, VIVA, Ground
from server.rehearsal.phone.registrar import Registrar

SERVER, CANDIDATE = "viva", "candidate"
"""Extensions."""


class StageFailed(Exception):
    """The network, the registrar or the candidate's telephone did not come up."""


@dataclass(frozen=True)
class Stage:
    phone: Phone
    """The candidate's, registered."""
    settings: dict[str, str]
    """Of the server, in addition to those of every rehearsal."""


@asynccontextmanager
async def stage(folder: Path, *, line: Impairment = CLEAN, seed: int = 0) -> AsyncIterator[Stage]:
    """This thread, and whatever it starts from here on, is in the network. `line`: what becomes of
    the candidate's packets, each way. Raises `StageFailed`."""
    words = {name: secrets.token_hex(12) for name in (SERVER, CANDIDATE)}
    (folder / "telephone").mkdir(exist_ok=True)
    with Ground(folder / "telephone") as ground:
        registrar = Registrar(ground, words)
        phone = _phone(registrar.address, words[CANDIDATE], line, seed)
        try:
            await registrar.start()
            await phone.__aenter__()
        except (RuntimeError, OSError, SoftphoneError) as error:
            raise StageFailed(f"The telephones' network did not come up: {error}") from error
        try:
            yield Stage(phone, _settings(registrar.address, words[SERVER]))
        finally:
            await phone.__aexit__(None, None, None)


def _phone(registrar: str, word: str, line: Impairment, seed: int) -> Phone:
    options = Options(codecs=("PCMU/8000",), sending=line, hearing=line)
    return Phone(CALLERS, registrar, CANDIDATE, word, seed=seed + 1, options=options)


def _settings(registrar: str, word: str) -> dict[str, str]:
    return {
        "VIVA_PHONE": "true",
        "VIVA_PHONE_REGISTRAR": registrar,
        "VIVA_PHONE_USER": SERVER,
        "VIVA_PHONE_PASSWORD": word,
        "VIVA_PHONE_ADDRESS": VIVA,
        "VIVA_PHONE_NUMBER": SERVER,
        "VIVA_TRUSTED_HOSTS": PBX,
    }
