"""Settings come from one place, say what is wrong, and are all described."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server import settings
from server.settings import Settings, SettingsError, load, unknown_variables, usable

DOCS = Path(__file__).parents[2] / "docs"
PACKAGES = ("agent", "asr", "tts", "server", "web", "prompts")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VIVA_{name.upper()}", raising=False)


def test_the_defaults_listen_on_this_machine_only() -> None:
    chosen = load()
    assert chosen.host == "127.0.0.1"
    assert chosen.model_url == "http://127.0.0.1:8000/v1"
    assert chosen.model == "Qwen/Qwen2.5-7B-Instruct"
    assert chosen.stun == chosen.turn_url == ""
    assert chosen.models_folder == Path("data/models")


def test_an_option_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_PORT", "8001")
    monkeypatch.setenv("VIVA_MEDIA_PORTS", "40000-40100")
    assert load().port == 8001
    assert load(port=8002, host=None).port == 8002
    assert load().media_ports == (40000, 40100)
    assert load(media_ports="5-6").media_ports == (5, 6)
    monkeypatch.setenv("VIVA_ASR_MODELS", "zh=sensevoice, en=/models/a=b,")
    assert load().asr_models == {"zh": "sensevoice", "en": "/models/a=b"}
    assert load(asr_models={}).asr_models == {}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("port", "99999", "VIVA_PORT is '99999': Input should be less than or equal to 65535."),
        ("port", "http", "VIVA_PORT is 'http': Input should be a valid integer"),
        ("media_ports", "40000", "VIVA_MEDIA_PORTS is '40000': write a port range as A-B"),
        ("media_ports", "9-8", "the lower one first"),
        ("media_ports", "0-8", "between 1 and 65535"),
        ("media_ip", "example.org", "write an IP address"),
        ("asr_models", "sensevoice", "write language=model, several by comma"),
        ("asr_models", "zh=", "write language=model"),
        ("asr_models", "Chinese=sensevoice", "write language=model"),
        ("asr_models", "zh=a,zh=b", "a language has one model"),
        ("public_url", "jobs.example", "write a whole address"),
        ("public_url", "https://[", "write a whole address"),
        ("public_url", "https://jobs.example:99999", "write a whole address"),
        ("public_url", "https://jobs.example/viva", "a host name (or a port) of their own"),
        ("public_url", "https://jobs.example/?a", "leave out everything after the host"),
        ("public_url", "https://jobs.example/#a", "leave out everything after the host"),
        ("public_url", "https://me:pw@jobs.example", "every candidate would read it"),
        ("public_url", "https://bücher.example", "xn--"),
        ("public_url", "https://jobs example", "letters of ASCII"),
        ("trusted_proxies", "*", "write addresses or networks"),
        ("trusted_proxies", "proxy.lan", "write addresses or networks"),
        ("trusted_proxies", "10.0.0.1/8", "write addresses or networks"),
        ("model_url", "localhost:8000", "write a whole address"),
        ("model_url", "ftp://x/v1", "write a whole address"),
        ("stun", "http://x", "write host:port"),
        ("turn_url", "x:3478", "write turn:host:port"),
        ("turn_url", "turn:x, y", "several by comma"),
        ("turn_url", "turn:[::1]:3478", "write turn:host:port"),
        ("turn_url", "turns:x?transport=udp", "write turn:host:port"),
        ("privacy", "yes", "VIVA_PRIVACY is 'yes'"),
        ("max_interviews", "0", "greater than or equal to 1"),
        ("asr_device", "gpu", "VIVA_ASR_DEVICE is 'gpu'"),
    ],
)
def test_a_malformed_value_is_named_with_what_to_write(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"VIVA_{name.upper()}", value)
    with pytest.raises(SettingsError) as refused:
        load()
    assert said in str(refused.value)


MISFITS = [
    {"tls_cert": "a.pem"},
    {"turn_url": "turn:a:1"},
    {"turn_url": "turn:a:1", "turn_user": "viva"},
    {"turn_url": "turn:a:1", "turn_user": "viva", "turn_password": "p", "turn_secret": "s"},
    {"turn_secret": "s"},
    {"turn_user": "viva", "turn_password": "p"},
    {"phone": "true", "phone_registrar": "pbx.example.org"},
    {"privacy": "local", "voice": "edge"},
    {"voice": "neural"},
    {"privacy": "local", "turn_url": "turn:a:1", "turn_secret": "s"},
    {"privacy": "local", "model_url": "http://gpu.lan/v1", "stun": "stun.example.org"},
]


@pytest.mark.parametrize("given", MISFITS)
def test_settings_that_do_not_fit_each_other_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="do not fit"):
        load(**given)


@pytest.mark.parametrize("given", MISFITS)
def test_what_does_not_fit_is_left_out_by_whoever_has_to_go_on(given: dict[str, str]) -> None:
    found = usable(**given, port=8001)
    with pytest.raises(SettingsError) as refused:
        load(**given, port=8001)
    assert found.faults == (str(refused.value),)
    assert found.left_out & given.keys() and "privacy" not in found.left_out
    assert found.settings.port == 8001
    assert found.settings.privacy == given.get("privacy", "network")
    assert found.settings.hosts_outside == []


def test_what_cannot_be_read_is_left_out_and_everything_wrong_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIVA_PORT", "http")
    monkeypatch.setenv("VIVA_TURN_URL", "turn.example.org")
    monkeypatch.setenv("VIVA_TURN_SECRET", "s")  # needs the one above: no fault of its own
    monkeypatch.setenv("VIVA_TLS_CERT", "a.pem")
    found = usable()
    port, turn, tls = sorted(found.faults, key=lambda fault: "TURN" in fault or "tls" in fault)
    assert "VIVA_PORT is 'http'" in port
    assert "VIVA_TURN_URL" in turn and "tls_cert and tls_key belong together" in tls
    assert found.settings.port == 8080
    assert {"port", "turn_url", "tls_cert"} <= found.left_out
    assert usable(port=1, turn_url="", turn_secret="", tls_key="b.pem").faults == ()


def test_nothing_leaves_the_machine_where_nobody_can_read_whether_it_may() -> None:
    found = usable(privacy="locla", model_url="http://gpu.lan/v1")
    [fault] = found.faults
    assert "VIVA_PRIVACY is 'locla'" in fault
    assert found.settings.privacy == "local" and found.settings.hosts_outside == []
    assert found.left_out == {"privacy", "model_url"}


@pytest.mark.parametrize(
    ("name", "value", "host"),
    [
        ("model_url", "http://gpu.lan:8000/v1", "gpu.lan"),
        ("model_url", "http://10.0.0.7/v1", "10.0.0.7"),
        ("grader_url", "https://api.example.com/v1", "api.example.com"),
        ("stun", "stun.example.org:3478", "stun.example.org"),
        ("stun", "stun:stun.example.org", "stun.example.org"),
        ("turn_url", "turn:turn.example.org:3478?transport=tcp", "turn.example.org"),
        ("database_url", "postgresql+psycopg://viva:pw@db.example.org/viva", "db.example.org"),
        ("database_url", "postgresql+psycopg:///viva?host=db.example.org", "db.example.org"),
    ],
)
def test_local_privacy_refuses_another_machine_unless_it_is_trusted(
    name: str, value: str, host: str
) -> None:
    given = {name: value, **({"turn_secret": "s"} if name == "turn_url" else {})}
    assert load(**given).hosts_outside == [(name, host)]
    with pytest.raises(SettingsError, match=f"VIVA_{name.upper()} names {host}") as refused:
        load(privacy="local", **given)
    assert "VIVA_TRUSTED_HOSTS" in str(refused.value)
    assert (
        load(privacy="local", trusted_hosts=f"a.lan, {host.upper()}", **given).hosts_outside == []
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model_url", "http://localhost:11434/v1"),
        ("model_url", "http://[::1]:8000/v1"),
        ("stun", "127.0.0.1:3478"),
        ("turn_url", "turn:127.0.0.1:3478"),
        ("database_url", "postgresql+psycopg://viva@localhost/viva"),
        ("database_url", "postgresql+psycopg:///viva?host=/run/postgresql"),
        ("database_url", "sqlite:////srv/viva.sqlite3"),
    ],
)
def test_local_privacy_takes_what_this_machine_serves(name: str, value: str) -> None:
    given = {name: value, **({"turn_secret": "s"} if name == "turn_url" else {})}
    assert load(privacy="local", **given).hosts_outside == []


def test_a_secret_is_never_repeated_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_API_KEY", "s3cret-value-of-the-key")
    monkeypatch.setenv("VIVA_PORT", "x")
    with pytest.raises(SettingsError) as refused:
        load()
    assert "s3cret" not in str(refused.value)
    monkeypatch.setenv("VIVA_PORT", "1")
    assert "s3cret" not in repr(load())


def test_a_turn_server_may_have_several_addresses() -> None:
    given = "turn:turn.example.org:3478, turns:turn.example.com:443?transport=tcp"
    chosen = load(turn_url=given, turn_secret="s")
    assert chosen.turn_urls == (
        "turn:turn.example.org:3478",
        "turns:turn.example.com:443?transport=tcp",
    )
    assert [host for _, host in chosen.hosts_outside] == ["turn.example.org", "turn.example.com"]


def test_the_voice_that_needs_the_network_is_used_only_where_it_is_allowed() -> None:
    assert load().speaks_with_edge
    assert not load(privacy="local").speaks_with_edge
    assert not load(voice="espeak").speaks_with_edge


def test_the_address_in_invites_follows_host_tls_and_proxy() -> None:
    assert load(host="::1", port=1).base_url == "http://[::1]:1"
    assert load(tls_cert="a", tls_key="b", host="h", port=2).base_url == "https://h:2"
    assert load(public_url="https://jobs.example/").base_url == "https://jobs.example"


@pytest.mark.parametrize(
    ("written", "by_browsers"),
    [
        ("https://Jobs.Example:443/", "https://jobs.example"),
        ("http://localhost:80", "http://localhost"),
        ("https://jobs.example:8443", "https://jobs.example:8443"),
        ("https://[2001:DB8::7]:443", "https://[2001:db8::7]"),
    ],
)
def test_the_public_address_is_kept_as_browsers_write_it(written: str, by_browsers: str) -> None:
    """They say where a page comes from in this form, and it is compared."""
    assert load(public_url=written).base_url == by_browsers


def test_proxies_are_addresses_and_networks() -> None:
    given = "127.0.0.1, ::1,10.0.0.0/24 ,"
    assert load(trusted_proxies=given).trusted_proxies == "127.0.0.1,::1,10.0.0.0/24"


def test_misspelt_variables_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_MODLE", "x")
    monkeypatch.setenv("VIVA_MODEL", "x")
    assert unknown_variables() == ["VIVA_MODLE"]


def test_every_setting_is_described_and_nothing_else_is() -> None:
    described = set(re.findall(r"^\| `(VIVA_\w+)` \|", (DOCS / "settings.md").read_text(), re.M))
    assert described == {f"VIVA_{name.upper()}" for name in Settings.model_fields}


def test_nothing_else_reads_the_environment() -> None:
    root = Path(settings.__file__).parents[1]
    readers = [
        str(file.relative_to(root))
        for package in PACKAGES
        for file in (root / package).rglob("*.py")
        if re.search(r"os\.environ|os\.getenv|\bgetenv\(", file.read_text(encoding="utf-8"))
    ]
    # The rehearsal hands its own environment, less our settings, to the server that it starts, and
    # looks for kamailio where a user's PATH does not.
    rehearsal = {"server/rehearsal/processes.py", "server/rehearsal/phone/possible.py"}
    assert set(readers) <= {"server/settings.py"} | rehearsal
