"""The phone's settings say what is wrong with them."""

from __future__ import annotations

import pytest

from server.phone.janus.wiring import account_of
from server.settings import Settings, SettingsError, load


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VIVA_{name.upper()}", raising=False)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("phone", "true", "VIVA_PHONE needs VIVA_PHONE_REGISTRAR and VIVA_PHONE_USER"),
        ("phone_registrar", "sip:pbx", "write host or host:port"),
        ("phone_registrar", "pbx:0", "write host or host:port"),
        ("phone_registrar", "pbx:99999", "write host or host:port"),
        ("phone_user", "viva@pbx", "without @ and host"),
        ("phone_address", "pbx.example", "write an IPv4 address"),
        ("phone_address", "::1", "write an IPv4 address"),
        ("phone_rtp_ports", "22000", "write a port range as A-B"),
        ("phone_rtp_ports", "80-90", "between 1024 and 65535"),
        ("phone_rtp_ports", "22100-22000", "the lower one first"),
        ("phone_trusted", "pbx.example", "write IPv4 addresses or networks"),
        ("phone_codecs", "opus,mp3", "name some of opus, G722, PCMU, PCMA"),
        ("phone_codecs", ",", "name some of"),
        ("phone_srtp", "maybe", "off"),
        ("phone_calls", "0", "greater than or equal to 1"),
        ("phone_call_prefixes", "44", "with their country"),
        ("phone_call_hours", "18:00-09:00", "the earlier one first"),
        ("phone_call_hours", "9-18", "write hours as"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(**{name: value})


def test_all_of_it_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PHONE": "1",
        "PHONE_REGISTRAR": "pbx.example:5080",
        "PHONE_USER": "4711",
        "PHONE_PASSWORD": "hush-hush",
        "PHONE_RTP_PORTS": "30000-30099",
        "PHONE_CODECS": "pcma, Opus",
        "PHONE_CALL_PREFIXES": "+44, +4930",
        "PHONE_TRUSTED": "192.0.2.0/24, 10.0.0.1",
    }.items():
        monkeypatch.setenv(f"VIVA_{name}", value)
    chosen = load()
    account = account_of(chosen)
    assert (account.host, account.port, account.user) == ("pbx.example", 5080, "4711")
    assert account.password == "hush-hush" and "hush" not in repr(chosen)
    assert chosen.phone_rtp_ports == (30000, 30099)
    assert chosen.phone_codecs == ("PCMA", "opus")
    assert chosen.phone_call_prefixes == ("+44", "+4930")
    assert chosen.phone_trusted == "192.0.2.0/24,10.0.0.1/32"


def test_with_privacy_local_the_registrar_has_to_be_trusted() -> None:
    given = {"phone": True, "phone_registrar": "pbx.example", "phone_user": "viva"}
    with pytest.raises(SettingsError, match="VIVA_PHONE_REGISTRAR names pbx"):
        load(privacy="local", **given)
    assert load(privacy="local", trusted_hosts="pbx.example", **given).phone
    assert load(privacy="local", phone_registrar="pbx.example").privacy == "local"  # it is off
