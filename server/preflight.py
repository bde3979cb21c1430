"""What must hold before the server starts; each refusal says what to do."""

from __future__ import annotations

import errno
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent import planfile
from agent.plan import Plan
from asr import models
from asr.errors import HearingError
from server import asr_token, microphone_url, speech_models
from server.api.keys import OperatorKey, operator_key
from server.settings import Settings
from server.store import Store, sqlite_url
from tts.neural_models import VoiceUnusable

if TYPE_CHECKING:  # it loads a library that few starts need
    from server.certificate import Fault
    from server.local_voices import TriedVoice

_ADDRESS = " Give an address of this machine with --host."

STRANGE_PROXY = (
    "Candidates come by way of a proxy that is not named: wrong links are counted by address, and"
    " everybody seems to have the proxy's, so that one guesser makes all of them wait."
)
NAME_THE_PROXY = "Name its address with --trusted-proxies, such as 127.0.0.1."


class NotReady(Exception):
    """The server cannot start; the message says why and what to do."""


@dataclass(frozen=True)
class Ready:
    remarks: tuple[str, ...]
    """What the operator should know."""
    key: OperatorKey


def check(
    settings: Settings,
    plans: Iterable[Path] = (),
    *,
    ask_password: Callable[[Settings], bool] | None = None,
) -> Ready:
    """Everything that can be known before the parts are made. `ask_password` lets whoever sits at
    the terminal open the desk. Raises `NotReady`, `SettingsError`, `PlanError`,
    `StoreUnavailable`.
    """
    read = [planfile.load(path) for path in plans]
    check_folder(settings.data_dir)
    check_port(settings.host, settings.port)
    faults = check_tls(settings)
    check_hearing(settings)
    check_voices(settings)
    key = operator_key(settings)
    saved, desk_open = _prepare(settings, read)
    if not desk_open and ask_password:
        desk_open = ask_password(settings)
    remarks = [*_remarks(settings, key, desk_open=desk_open)]
    remarks += [f"{fault.text} {fault.to_do}" for fault in faults]
    return Ready((*remarks, *saved), key)


def check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise NotReady(
            f"The data folder {folder} cannot be written: {error.strerror}."
            " Give this user the right to, or name another folder with --data-dir."
        ) from error


def check_port(host: str, port: int) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise NotReady(f"The address {host} is not known: {error.strerror}.{_ADDRESS}") from error
    try:
        family, kind, proto, _, address = found[0]
        with socket.socket(family, kind, proto) as probe:
            # As the server itself does: a port that was left a moment ago is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        to_do = {
            errno.EADDRINUSE: " Stop the program that has it, or choose another with --port.",
            errno.EADDRNOTAVAIL: _ADDRESS,
        }.get(error.errno or 0, " Choose another with --port.")
        raise NotReady(f"Port {port} on {host} cannot be used: {error.strerror}.{to_do}") from error


def check_tls(settings: Settings) -> list[Fault]:
    """What browsers would have against the certificate; raises `NotReady` where it is no use."""
    import ssl

    from server import certificate

    if settings.tls_cert is None or settings.tls_key is None:
        return []
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # OpenSSL would ask the terminal for the password of a key that has one, and wait.
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
        chain = certificate.load(settings.tls_cert.read_bytes())
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why, to_do = _unusable(error)
        raise NotReady(
            f"The TLS certificate {settings.tls_cert} and key {settings.tls_key} cannot be used:"
            f" {why}. {to_do}"
        ) from error
    # A proxy that speaks https itself may use any name to reach us.
    host = "" if settings.trusted_proxies else urlsplit(settings.base_url).hostname or ""
    return list(certificate.faults(chain, host, datetime.now(UTC)))


def _unusable(error: Exception) -> tuple[str, str]:
    reason = getattr(error, "reason", None) or ""
    match error:
        case PermissionError():
            to_do = "Let the user that Viva runs as read both, and nobody else the key."
        case FileNotFoundError():
            to_do = "Name the files with --tls-cert and --tls-key."
        case _ if reason == "KEY_VALUES_MISMATCH":
            to_do = "Give the key that the certificate was made with."
        case _:
            to_do = "Both are PEM files, and the key has no password."
    return getattr(error, "strerror", None) or str(error), to_do


def behind_a_strange_proxy(settings: Settings) -> bool:
    """Whether somebody else speaks https for this server, and is not named."""
    https = settings.public_url.startswith("https:")
    return https and not settings.tls_cert and not settings.trusted_proxies


def check_hearing(settings: Settings) -> None:
    """The recogniser's folder, or the token for the one that is elsewhere."""
    if settings.asr_url:
        asr_token.of_worker(settings)  # whether it is answered is known when the server starts
    else:
        check_models(settings)


def check_models(settings: Settings) -> dict[Path, list[str]]:
    """The recognisers' folders, each with the languages it is for."""
    try:
        found = speech_models.folders(settings)
        if any(models.kind_of(folder) is models.SHERPA for folder in found):
            from asr import sherpa

            sherpa.library()
        return found
    except HearingError as error:
        raise NotReady(f"{str(error).rstrip('.')}. A start never downloads anything.") from error


def check_voices(settings: Settings) -> list[TriedVoice]:
    """Has every local voice say a sentence, and looks at the names of edge-tts's; whether that
    service has them is known when it speaks."""
    tried: list[TriedVoice] = []
    if settings.local_languages:
        from server.local_voices import try_local_voices  # heavy: LiveKit

        try:
            tried = try_local_voices(settings)
        except VoiceUnusable as error:
            raise NotReady(str(error)) from error
    if settings.speaks_with_edge:
        _check_edge_names(settings)
    return tried


def _check_edge_names(settings: Settings) -> None:
    from tts.edge import VOICES, EdgeTTS  # heavy, and an HTTP client

    for language, default in VOICES.items():
        name = settings.edge_voice(language) or default
        try:
            EdgeTTS(name)
        except ValueError as error:
            raise NotReady(
                f"VIVA_VOICE_{language.upper()} is {name!r}: edge-tts has no voice of such a name."
                f" Write it as {default}; `edge-tts --list-voices` prints them all."
            ) from error


def _remarks(settings: Settings, key: OperatorKey, *, desk_open: bool) -> Iterator[str]:
    if key.file:
        made = "A new API key was made: it" if key.new else "The API key"
        yield f"{made} stands in {key.file}."
    if settings.speaks_with_edge:
        yield (
            "The interviewer's voice is edge-tts: what it says goes to Microsoft."
            " --privacy local keeps it on this machine."
        )
    if reason := microphone_url.refusal(settings.base_url):
        yield f"No invite can be made: {reason}"
    if behind_a_strange_proxy(settings):
        yield f"{STRANGE_PROXY} {NAME_THE_PROXY}"
    if not desk_open:
        yield "The recruiter's desk is closed until its password is set with `viva password`."


def _prepare(settings: Settings, plans: list[Plan]) -> tuple[list[str], bool]:
    """Saves the plans; remarks on them, and whether the desk has a password."""
    import asyncio

    store = Store(settings.database_url or sqlite_url(settings.data_dir))

    async def prepare() -> bool:
        for plan in plans:
            await store.save_plan(plan)
        return await store.password_hash() is not None

    try:
        desk_open = asyncio.run(prepare())
    finally:
        store.close()
    remarks = [f"Plan {plan.plan_id} {plan.version} is ready: {plan.hash}" for plan in plans]
    return remarks, desk_open
