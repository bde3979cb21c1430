"""`viva doctor`: one finding for each thing an interview needs, and what to do where it is not as
it should be.
"""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
import socket
import ssl
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx
from aioice.ice import get_host_addresses
from aioice.stun import TransactionError, TransactionFailed
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from server import (
    certificate,
    manifest,
    microphone_url,
    preflight,
    running,
    speech_models,
    stand_ins,
)
from server.api.keys import FILE as KEY_FILE
from server.media.turn import SERVERS_NAME, allocate, turn_server
from server.preflight import NotReady
from server.settings import Settings, SettingsError, unknown_variables
from server.store import Store, StoreError, sqlite_url

MODEL_TIMEOUT_S = 60.0
VOICE_TIMEOUT_S = 15.0
OUTSIDE_TIMEOUT_S = 5.0
TURN_TIMEOUT_S = 5.0
Check = Callable[[Settings], AsyncIterator["Finding"]]


@dataclass(frozen=True)
class Finding:
    name: str
    state: Literal["ok", "note", "bad"]
    text: str
    to_do: str = ""


async def examine(
    settings: Settings, faults: Sequence[str] = (), left_out: Collection[str] = ()
) -> list[Finding]:
    """Every check, in the order in which an operator would put things right. `faults` of settings
    are findings, and what rests on those that were `left_out` is not checked."""
    found = [Finding("settings", "bad", fault, "See docs/settings.md.") for fault in faults]
    if left_out:
        named = ", ".join(f"VIVA_{name.upper()}" for name in sorted(left_out))
        text = f"Nothing that rests on {named} is checked until that is put right."
        found.append(Finding("settings", "note", text))
    for check, rests_on in CHECKS.items():
        if not any(name.startswith(rests_on) for name in left_out):
            found += [one async for one in check(settings)]
    return found


async def _variables(settings: Settings) -> AsyncIterator[Finding]:
    unknown = unknown_variables()
    if unknown:
        yield Finding(
            "settings",
            "note",
            f"No setting has this name: {', '.join(unknown)}.",
            "Compare with docs/settings.md.",
        )
    else:
        yield Finding("settings", "ok", "Every VIVA_ variable is known.")


async def _data(settings: Settings) -> AsyncIterator[Finding]:
    folder = settings.data_dir
    try:
        await asyncio.to_thread(preflight.check_folder, folder)
    except NotReady as error:
        yield Finding("data folder", "bad", str(error))
        return
    free = (await asyncio.to_thread(shutil.disk_usage, folder)).free >> 20
    if free < settings.min_free_mb:
        yield Finding(
            "disk",
            "bad",
            f"{free} MB free in {folder}; below {settings.min_free_mb} MB no interview begins.",
            "Make room, or move the data folder.",
        )
    else:
        yield Finding("disk", "ok", f"{free} MB free in {folder}.")
    key = folder / KEY_FILE
    if (
        not settings.api_key
        and key.is_file()
        and key.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ):
        yield Finding("API key", "bad", f"Others can read {key}.", f"chmod 600 {key}")


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    url = settings.database_url or sqlite_url(settings.data_dir)
    try:
        store = await asyncio.to_thread(Store, url)
    except StoreError as error:
        yield Finding("database", "bad", str(error), "Restore a backup: docs/operations.md.")
        return
    try:
        _, total = await store.list_interviews(limit=1)
        waiting = await store.jobs_waiting()
        yield Finding("database", "ok", f"{total} interviews, {waiting} reports to be made.")
        if await store.password_hash() is None:
            text = "The recruiter's desk is closed: it has no password."
            yield Finding("desk", "note", text, "Set it with: viva password")
    finally:
        await store.aclose()


async def _hearing(settings: Settings) -> AsyncIterator[Finding]:
    if settings.asr_url:
        yield await asyncio.to_thread(_remote_hearing, settings)
        return
    try:
        found = await asyncio.to_thread(preflight.check_models, settings)
    except NotReady as error:
        yield Finding("speech model", "bad", str(error))
        return
    for folder, languages in found.items():
        yield await asyncio.to_thread(_speech_model, folder, languages)


def _speech_model(folder: Path, languages: Sequence[str]) -> Finding:
    named = ", ".join(language or "other languages" for language in languages)
    name = f"speech model ({named})" if any(languages) else "speech model"
    try:
        if manifest.is_there(folder):
            manifest.verify(folder)
    except manifest.FilesDamaged as error:
        return Finding(name, "bad", str(error))
    shown = speech_models.shown(folder)
    if shown == stand_ins.EARS:
        return Finding(
            name,
            "note",
            "The rehearsal model understands only the rehearsal's voices.",
            "For people: viva models fetch",
        )
    return Finding(name, "ok", f"{shown} in {folder}.")


def _remote_hearing(settings: Settings) -> Finding:
    from asr.errors import HearingError
    from server.recogniser import connect_recogniser

    try:
        with connect_recogniser(settings) as remote:
            own = "".join(f", {lang}: {o.model}" for lang, o in remote.languages.items())
            text = f"{remote.model} ({remote.compute_type}){own} at {settings.asr_url}."
            return Finding("speech model", "ok", text)
    except (HearingError, SettingsError) as error:
        return Finding("speech model", "bad", str(error))


async def _model(settings: Settings) -> AsyncIterator[Finding]:
    yield await _ask("model", settings)
    grader = (settings.grader_url or settings.model_url, settings.grader_model or settings.model)
    if grader != (settings.model_url, settings.model):
        yield await _ask("grading model", settings, grading=True)


async def _ask(name: str, settings: Settings, *, grading: bool = False) -> Finding:
    """One real strict call: what the server enforces is what will be used."""
    from agent.turn_model import BadMove, TurnFailed, find_mode
    from server.wiring import model_client  # heavy: it loads every part

    url = (settings.grader_url if grading else "") or settings.model_url
    model = (settings.grader_model if grading else "") or settings.model
    client = model_client(settings, grading=grading)
    try:
        mode = await find_mode(client.with_options(max_retries=0), model, timeout_s=MODEL_TIMEOUT_S)
    except BadMove as error:
        return Finding(
            name,
            "bad",
            f"{model} at {url} answers, but {error}.",
            "Use a server that does: docs/model.md has the lines for vLLM, Ollama and LM Studio.",
        )
    except TurnFailed as error:
        return Finding(
            name,
            "bad",
            f"{model} at {url} does not answer: {error}.",
            "Start the model server, or name it with VIVA_MODEL_URL and VIVA_MODEL. Without it"
            " interviews go on by the plan's order, and reports have no scores.",
        )
    finally:
        await client.close()
    if settings.model_mode not in ("auto", mode) and name == "model":
        return Finding(
            name,
            "bad",
            f"{model} at {url} enforces {mode}, but VIVA_MODEL_MODE is {settings.model_mode}.",
            "Unset VIVA_MODEL_MODE.",
        )
    return Finding(name, "ok", f"{model} at {url} answers; moves will be asked for by {mode}.")


async def _voices(settings: Settings) -> AsyncIterator[Finding]:
    from tts.espeak import EspeakTTS

    try:
        tried = await asyncio.to_thread(preflight.check_voices, settings)
    except NotReady as error:
        yield Finding("voices", "bad", str(error), "See docs/settings.md.")
        return
    for one in tried:
        yield Finding(f"local voice ({one.language})", "ok", str(one))
    for language in ("en", "zh"):
        embedded = EspeakTTS(language)
        yield await _speak(f"embedded voice ({language})", embedded.aclose, embedded)
        if settings.speaks_with_edge:
            from tts import edge  # only here: it loads an HTTP client

            voice = edge.EdgeTTS(settings.edge_voice(language) or edge.VOICES[language])
            yield await _speak(f"edge-tts ({language})", voice.aclose, voice)


async def _speak(name: str, close: Callable[[], Awaitable[None]], voice: object) -> Finding:
    from livekit.agents import APIError, tts

    from tts.voice import speak

    assert isinstance(voice, tts.TTS)
    samples = 0
    try:
        async with asyncio.timeout(VOICE_TIMEOUT_S):
            async for piece in speak(voice, "你好" if "zh" in name else "Hello."):
                samples += len(piece.pcm) // 2
    except (APIError, TimeoutError, OSError) as error:
        to_do = "VIVA_PRIVACY=local uses voices of this machine alone." if "edge" in name else ""
        return Finding(name, "bad", f"It does not speak: {error or type(error).__name__}.", to_do)
    finally:
        await close()
    return Finding(name, "ok" if samples else "bad", f"It speaks ({samples} samples).")


async def _ports(settings: Settings) -> AsyncIterator[Finding]:
    if await running.answers(settings):
        yield Finding("web port", "ok", f"A Viva server answers at port {settings.port}.")
    else:
        try:
            preflight.check_port(settings.host, settings.port)
            yield Finding("web port", "ok", f"Port {settings.port} on {settings.host} is free.")
        except NotReady as error:
            yield Finding("web port", "bad", str(error))


def _udp_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


async def _address(settings: Settings) -> AsyncIterator[Finding]:
    """Whether a candidate's browser could use a microphone at the links that are given out."""
    reason = microphone_url.refusal(settings.base_url)
    if not reason:
        yield Finding("address", "ok", f"Candidates open {settings.base_url}.")
    else:
        # Port 0 is what tests and trials choose.
        state: Literal["note", "bad"] = "note" if settings.port == 0 else "bad"
        yield Finding("address", state, f"No invite can be made: {reason}")
    if preflight.behind_a_strange_proxy(settings):
        yield Finding("proxy", "bad", preflight.STRANGE_PROXY, preflight.NAME_THE_PROXY)
    if settings.public_url and settings.privacy == "local":
        text = f"{settings.public_url} is not tried: VIVA_PRIVACY=local."
        yield Finding("public address", "note", text)
    elif settings.public_url and not reason:
        yield await _from_outside(settings.public_url)


async def _from_outside(url: str, trust: ssl.SSLContext | None = None) -> Finding:
    """As a candidate's browser comes: by the public address, the page and then its socket."""
    name, to_do = "public address", "Let the proxy pass everything on: deploy/nginx/viva.conf."
    trust = trust or ssl.create_default_context()
    try:
        async with httpx.AsyncClient(
            verify=trust, trust_env=False, timeout=OUTSIDE_TIMEOUT_S
        ) as client:
            ours = "max_interviews" in (await client.get(f"{url}/healthz")).json()
    except httpx.HTTPError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            text = f"Candidates' browsers would warn of {url}: {error}."
            return Finding(name, "bad", text, "Give a certificate for that name, with its chain.")
        text = f"{url} cannot be opened from here: {str(error) or type(error).__name__}."
        start = (
            "Start the server, then ask again. A router that does not let this machine reach its"
            " own outside address is no fault: open the address from another network."
        )
        return Finding(name, "note", text, start)
    except ValueError:
        ours = False
    if not ours:
        return Finding(name, "bad", f"What answers at {url} is no Viva server.", to_do)
    socket_url = url.replace("http", "ws", 1) + "/api/call/socket"
    try:
        async with connect(
            socket_url,
            ssl=trust if socket_url.startswith("wss:") else None,
            proxy=None,
            open_timeout=OUTSIDE_TIMEOUT_S,
        ):
            return Finding(name, "ok", f"Page and WebSocket are reached at {url}.")
    except (OSError, TimeoutError, WebSocketException) as error:
        return Finding(name, "bad", f"No WebSocket comes through at {url}: {error}.", to_do)


async def _tls(settings: Settings) -> AsyncIterator[Finding]:
    if settings.tls_cert is None or settings.tls_key is None:
        return
    try:
        faults = preflight.check_tls(settings)
    except NotReady as error:
        yield Finding("TLS", "bad", str(error))
        return
    for fault in faults:
        yield Finding("TLS", "bad" if fault.grave else "note", fault.text, fault.to_do)
    if not faults:
        chain = certificate.load(settings.tls_cert.read_bytes())
        left = certificate.days_left(chain, datetime.now(UTC))
        yield Finding("TLS", "ok", f"The certificate is good for {left} days.")
    if settings.tls_key.stat().st_mode & stat.S_IROTH:
        key = settings.tls_key
        yield Finding("TLS", "bad", f"Others can read {key}.", f"chmod 600 {key}")


async def _media(settings: Settings) -> AsyncIterator[Finding]:
    """Where media arrives, and whether it can from another network."""
    if settings.media_ports:
        yield _ports_left(settings, *settings.media_ports)
    if microphone_url.is_browsers_own(urlsplit(settings.base_url).hostname or ""):
        return
    if not settings.media_ports:
        yield Finding(
            "media ports",
            "note",
            "Media may come to any UDP port; a firewall would have to let all of them in.",
            "Choose a range, such as VIVA_MEDIA_PORTS=40000-40199, and open it.",
        )
    offered = [settings.media_ip] if settings.media_ip else get_host_addresses(True, True)
    if any(ipaddress.ip_address(one).is_global for one in offered):
        yield Finding("media address", "ok", f"Media comes to {', '.join(offered)}.")
    elif settings.turn_url:
        yield Finding("media address", "ok", "Media of other networks comes by the relay.")
    else:
        yield Finding(
            "media address",
            "note",
            f"Candidates of other networks cannot send to {', '.join(offered) or 'this machine'}.",
            "Behind a NAT: forward the media ports, and put the outside address into VIVA_MEDIA_IP;"
            " or give a relay (VIVA_TURN_URL).",
        )


def _ports_left(settings: Settings, first: int, last: int) -> Finding:
    taken = [port for port in range(first, last + 1) if not _udp_free(port)]
    width = last - first + 1
    enough = width - len(taken) >= settings.max_interviews
    return Finding(
        "media ports",
        "ok" if enough else "bad",
        f"{width - len(taken)} of {width} UDP ports {first}-{last} are free.",
        "" if enough else f"{settings.max_interviews} interviews need as many; give more.",
    )


async def _turn(settings: Settings) -> AsyncIterator[Finding]:
    """One real loan at every address of the relay."""
    if relay := turn_server(settings):
        for url in relay.urls:
            yield await _borrow(url, relay.credentials(SERVERS_NAME, time.time()))


async def _borrow(url: str, credentials: tuple[str, str]) -> Finding:
    try:
        host, port = await allocate(url, credentials, TURN_TIMEOUT_S)
    except TransactionFailed as error:
        return Finding(
            "TURN",
            "bad",
            f"{url} refuses: {error}.",
            "VIVA_TURN_SECRET must be its static-auth-secret, and both clocks right; or"
            " VIVA_TURN_USER and VIVA_TURN_PASSWORD a user there.",
        )
    except (OSError, TimeoutError, TransactionError) as error:
        return Finding(
            "TURN",
            "bad",
            f"{url} does not answer: {str(error) or type(error).__name__}.",
            "Start it, and open its port; docs/operations.md has a configuration.",
        )
    return Finding("TURN", "ok", f"{url} lends addresses, such as {host}:{port}.")


async def _phone(settings: Settings) -> AsyncIterator[Finding]:
    if settings.phone_forgotten:
        yield Finding("phone", "note", settings.phone_forgotten, "See docs/phone.md.")
    if settings.phone:
        from server.phone.janus import examine  # only here: the rest knows no gateway

        async for told in examine.examine(settings):
            yield Finding(*told)


async def _privacy(settings: Settings) -> AsyncIterator[Finding]:
    """What the settings let out; with `privacy=local` they themselves refuse it."""
    goes = ["what the interviewer says, to Microsoft"] if settings.speaks_with_edge else []
    goes += [f"{_GOES[name]}, to {host}" for name, host in settings.hosts_outside]
    if goes:
        yield Finding("privacy", "note", f"Leaves this machine: {'; '.join(goes)}.")
    elif settings.trusted_hosts:
        text = f"Nothing leaves this machine, save to {settings.trusted_hosts}."
        yield Finding("privacy", "note", text)
    else:
        yield Finding("privacy", "ok", "Nothing leaves this machine.")


_GOES = {
    "model_url": "what both say",
    "grader_url": "what both say",
    "asr_url": "the candidate's speech",
    "database_url": "everything that is kept",
    "stun": "this machine's address",
    "phone_registrar": "telephone calls",
    "turn_url": "sound, encrypted",
}


_PLACE = ("host", "port", "public_url", "tls_", "trusted_proxies")
_OUTSIDE = ("privacy", "voice", "trusted_hosts", *_GOES)
CHECKS: dict[Check, tuple[str, ...]] = {
    _variables: (),
    _data: ("min_free_mb",),
    _database: ("database_url",),
    _hearing: ("asr_",),
    _model: ("model", "grader"),
    _voices: ("privacy", "voice"),
    _ports: _PLACE,
    _address: ("privacy", *_PLACE),
    _tls: _PLACE,
    _media: ("media_", "turn_", *_PLACE),
    _turn: ("turn_",),
    _phone: ("phone",),
    _privacy: _OUTSIDE,
}
"""Each with the beginnings of the settings that it rests on."""
