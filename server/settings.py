"""Settings: everything that an operator can choose, from `VIVA_…` variables and command-line
options.

The only reader of the environment. Every field is described in `docs/settings.md`; a test compares
the two.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from server import hosts
from server.fitting import misfits
from server.phone.settings import PhoneSettings

PREFIX = "VIVA_"
_WHERE = r"[^\s/:?,\[\]]+(:\d{1,5})?"  # names and IPv4: aiortc reads no other address here
TURN_URL = re.compile(rf"turn:{_WHERE}(\?transport=(udp|tcp))?|turns:{_WHERE}(\?transport=tcp)?")
NO_KEY = "none"
"""What is sent where a server wants no key: the client insists on one."""


class SettingsError(Exception):
    """A setting that cannot be used; the message names it and says why."""


class Settings(PhoneSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    # Where things lie.
    data_dir: Path = Path("data")
    """One folder for everything that must not be lost."""
    models_dir: Path | None = None
    """Speech models; by default `models` in the data folder."""
    database_url: str = ""
    """Another database than SQLite in the data folder."""
    min_free_mb: int = Field(500, ge=0)
    """With less disk space than this no new interview begins; running ones go on."""

    # The web server.
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    public_url: str = ""
    """What candidates' browsers see; by default the address above."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: str = ""
    """Addresses of reverse proxies whose word on a client's address is taken."""
    api_key: SecretStr | None = None
    """The operator's key, or `sha256:` and its hash; made at the first start if none is set."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    # The interviews.
    max_interviews: int = Field(4, ge=1, le=1000)
    """Live at the same time; one more is asked to wait."""
    rejoin_minutes: float = Field(30.0, gt=0)
    """An interview whose candidate stays away for longer has ended."""
    invite_days: float = Field(14.0, gt=0)
    """How long an invite is good."""
    privacy: Literal["network", "local"] = "network"
    """`local`: nothing leaves this machine, save to `trusted_hosts`."""
    trusted_hosts: str = ""
    """Other machines of the operator's own that may be used with `privacy=local`, by comma."""

    # The model that chooses the moves, and the one that grades.
    model_url: str = "http://127.0.0.1:8000/v1"
    model: str = "Qwen/Qwen2.5-7B-Instruct"
    model_api_key: SecretStr = SecretStr(NO_KEY)
    model_mode: Literal["auto", "tools", "json_schema"] = "auto"
    grader_url: str = ""
    """By default the model's."""
    grader_api_key: SecretStr = SecretStr("")
    """By default the model's, where the grader is at the model's URL; no other server gets it."""
    grader_model: str = ""
    """By default the model."""
    grader_priority: int | None = None
    """vLLM's request priority for grading; higher waits for live turns. Only for a server that runs
    with `--scheduling-policy priority`: others refuse it."""

    # Hearing and speaking.
    asr_model: str = ""
    """A name or a folder; by default one that fits the device."""
    asr_models: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    """Models of their own for languages, written language=model, several by comma."""
    asr_device: Literal["auto", "cpu", "cuda"] = "auto"
    asr_compute_type: str = ""
    """CTranslate2's; by default float16 on CUDA, int8 on a CPU."""
    asr_window_s: float | None = Field(None, ge=5, le=30)
    """The recogniser's shortest window, by default 10 s; 30 is Whisper's own."""
    asr_url: str = ""
    """The recogniser of `viva asr`, in place of one in this process."""
    asr_token: SecretStr | None = None
    """What `viva asr` asks of its clients; made at its first start if none is set."""
    voice: Literal["auto", "edge", "neural", "espeak"] = "auto"
    """`auto`: edge-tts where the network is allowed, then the local voices, then the embedded one;
    `neural`: the local voices first, also where the network is allowed."""
    voice_en: str = ""
    """edge-tts's name of the English voice; by default the one in `tts.edge`."""
    voice_zh: str = ""
    voice_local_en: str = ""
    """A neural voice of this machine: a name of `viva models list`, or a folder."""
    voice_local_zh: str = ""
    voice_local_speaker_en: int = Field(0, ge=0)
    """Which of the folder's speakers, counted from 0."""
    voice_local_speaker_zh: int = Field(0, ge=0)
    voice_local_speed: float = Field(1.0, ge=0.5, le=2.0)
    """1 is the model's own pace; more is faster."""
    voice_local_threads: int = Field(2, ge=1, le=64)
    """Of one clause's computation."""

    # Media.
    media_ip: str = ""
    """The address to offer in place of this machine's own, behind a NAT."""
    media_ports: Annotated[tuple[int, int] | None, NoDecode] = None
    """UDP ports for media, written A-B."""
    stun: str = ""
    """host:port"""
    turn_url: str = ""
    turn_user: str = ""
    turn_password: SecretStr = SecretStr("")
    turn_secret: SecretStr = SecretStr("")
    """Shared with the TURN server, which then takes credentials that end after a day."""

    @field_validator("media_ports", mode="before")
    @classmethod
    def _port_range(cls, value: object) -> object:
        if value == "":
            return None
        if isinstance(value, str):
            found = re.fullmatch(r"\s*(\d+)\s*-\s*(\d+)\s*", value)
            if not found:
                raise ValueError("write a port range as A-B, such as 40000-40100")
            value = (int(found[1]), int(found[2]))
        if isinstance(value, tuple) and not 0 < value[0] <= value[1] <= 65535:
            raise ValueError("ports lie between 1 and 65535, the lower one first")
        return value

    @field_validator("asr_models", mode="before")
    @classmethod
    def _by_language(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [[part.strip() for part in one.split("=", 1)] for one in value.split(",") if one]
        known = [pair for pair in pairs if len(pair) == 2 and all(pair)]
        if len(known) < len(pairs) or not all(re.fullmatch("[a-z]{2,3}", one) for one, _ in known):
            raise ValueError("write language=model, several by comma, such as zh=sensevoice")
        if len(dict(known)) < len(known):
            raise ValueError("a language has one model")
        return dict(known)

    @field_validator("media_ip")
    @classmethod
    def _address(cls, value: str) -> str:
        if value:
            try:
                ipaddress.ip_address(value)
            except ValueError:
                raise ValueError("write an IP address, such as 203.0.113.7") from None
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        return hosts.origin(value) if value else ""

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: str) -> str:
        named = [one.strip() for one in value.split(",") if one.strip()]
        for one in named:
            try:
                ipaddress.ip_network(one)
            except ValueError:
                # uvicorn would compare a name with addresses, and trust `*` whoever it is: then
                # anybody can say that they come from anywhere.
                raise ValueError(
                    "write addresses or networks, by comma, such as 127.0.0.1, 10.0.0.0/24"
                ) from None
        return ",".join(named)

    @field_validator("model_url", "grader_url")
    @classmethod
    def _url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("write a whole address, such as http://127.0.0.1:8000/v1")
        return value.rstrip("/")

    @field_validator("asr_url")
    @classmethod
    def _socket(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("ws", "wss") or not parts.hostname or parts.query):
            raise ValueError("write a whole address, such as ws://127.0.0.1:8090")
        return value.rstrip("/")

    @field_validator("stun")
    @classmethod
    def _server(cls, value: str) -> str:
        if value and not re.fullmatch(r"(stuns?:)?[^\s:/]+(:\d{1,5})?", value):
            raise ValueError("write host:port, such as stun.example.org:3478")
        return value

    @field_validator("turn_url")
    @classmethod
    def _relay(cls, value: str) -> str:
        urls = [one.strip() for one in value.split(",") if one.strip()]
        if not all(TURN_URL.fullmatch(one) for one in urls):
            raise ValueError(
                "write turn:host:port, such as turn:turn.example.org:3478; several by comma, such"
                " as turn:turn.example.org:3478,turns:turn.example.org:443?transport=tcp"
            )
        return ",".join(urls)

    @model_validator(mode="after")
    def _together(self) -> Self:
        for misfit in misfits(self):
            raise ValueError(misfit.text)
        return self

    @property
    def models_folder(self) -> Path:
        return self.models_dir or self.data_dir / "models"

    @property
    def recordings_folder(self) -> Path:
        return self.data_dir / "recordings"

    @property
    def base_url(self) -> str:
        """The address that goes into invites."""
        scheme = "https" if self.tls_cert else "http"
        name = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"{scheme}://{name}:{self.port}"

    @property
    def turn_urls(self) -> tuple[str, ...]:
        return tuple(url for url in self.turn_url.split(",") if url)

    @property
    def hosts_outside(self) -> list[tuple[str, str]]:
        """Each setting that names another machine, with the host; trusted ones left out."""
        named = {
            "model_url": hosts.of_url(self.model_url),
            "grader_url": hosts.of_url(self.grader_url),
            "asr_url": hosts.of_url(self.asr_url),
            "database_url": hosts.of_url(self.database_url),
            "stun": hosts.of_ice_server(self.stun),
            "phone_registrar": [self.phone_place[0]] if self.phone else [],
            "turn_url": [host for url in self.turn_urls for host in hosts.of_ice_server(url)],
        }
        trusted = {host.strip().lower() for host in self.trusted_hosts.split(",")}
        return [
            (name, host)
            for name, found in named.items()
            for host in found
            if not hosts.is_loopback(host) and host.lower() not in trusted
        ]

    @property
    def phone_forgotten(self) -> str:
        """A sentence where a registrar is named, and the telephone is off all the same."""
        if self.phone or not self.phone_registrar:
            return ""
        return "VIVA_PHONE_REGISTRAR is set, but the telephone is off: VIVA_PHONE=true is missing."

    @property
    def grader_key(self) -> SecretStr:
        if self.grader_api_key.get_secret_value():
            return self.grader_api_key
        same = self.grader_url in ("", self.model_url)
        return self.model_api_key if same else SecretStr(NO_KEY)

    def edge_voice(self, language: str) -> str:
        """edge-tts's name of the voice of a language; empty for the default."""
        return self.voice_zh if language == "zh" else self.voice_en

    def local_voice(self, language: str) -> str:
        """The local neural voice of a language, a name or a folder; empty where none is used."""
        if self.voice == "espeak":
            return ""
        return self.voice_local_zh if language == "zh" else self.voice_local_en

    @property
    def local_languages(self) -> list[str]:
        """Those that a local neural voice speaks."""
        return [language for language in ("en", "zh") if self.local_voice(language)]

    def local_speaker(self, language: str) -> int:
        zh = language == "zh"
        return self.voice_local_speaker_zh if zh else self.voice_local_speaker_en

    @property
    def speaks_with_edge(self) -> bool:
        """Whether spoken text goes to Microsoft."""
        return self.voice == "edge" or (self.voice == "auto" and self.privacy == "network")


def load(**overrides: Any) -> Settings:
    """The settings of the environment, with those options that are not None on top.

    Raises `SettingsError`.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(found) for found in error.errors())) from error


class _Apart(Settings):
    """Each setting is good by itself; together they may not fit."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        return self


@dataclass(frozen=True)
class Usable:
    """The settings as far as they can be used."""

    settings: Settings
    """What is left out has its default; an unreadable `privacy` is `local`."""
    faults: tuple[str, ...]
    """A sentence for each, as `load` would say it."""
    left_out: frozenset[str]
    """Names of settings that are set, and are not used."""


def usable(**overrides: Any) -> Usable:
    """As `load`, for whoever has to look at settings that may be wrong. Raises nothing."""
    given = {name: value for name, value in overrides.items() if value is not None}
    faults: list[str] = []
    left_out: set[str] = set()
    while True:
        try:
            apart = _Apart(**given)
        except ValidationError as error:
            faults += [_sentence(found) for found in error.errors()]
            names = {str(found["loc"][0]) for found in error.errors()}
        else:
            misfit = next(misfits(apart), None)
            if misfit is None:
                return Usable(Settings(**given), tuple(faults), frozenset(left_out))
            # What follows from a setting that is left out is no fault of its own.
            faults += [_sentence_of(misfit.text)] * left_out.isdisjoint(misfit.names)
            names = set(misfit.names) - {"privacy"}  # it is kept: nothing is to leave the machine
        left_out |= names
        given |= {name: _without(name) for name in names}


def _without(name: str) -> object:
    """A setting's value as if it had not been set."""
    if name == "privacy":
        return "local"
    return Settings.model_fields[name].get_default(call_default_factory=True)


def unknown_variables() -> list[str]:
    """Variables that look like settings and are none: most likely misspelt."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)


def _sentence(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return _sentence_of(message)
    name = str(error["loc"][0])
    # The value of a secret is not repeated.
    secret = any(word in name for word in ("key", "password", "secret", "token"))
    shown = "" if secret else f" is {error['input']!r}:"
    return f"{PREFIX}{name.upper()}{shown} {message}."


def _sentence_of(misfit: str) -> str:
    return f"These settings do not fit: {misfit}."
