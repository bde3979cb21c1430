"""`viva phone call` and `viva phone number`: what they write, and what they say where they do not.

The store is a real one; no telephone rings.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server import cli
from server.phone.bridge import GatewayState
from server.phone.janus import wiring
from server.phone.parties import party
from server.phone.pins import Pins, pin_key
from server.rehearsal.run import shipped_plan
from server.settings import Settings, SettingsError, load
from server.store import CallOut, Store, sqlite_url

Run = Callable[..., tuple[int, str, str]]
NUMBER = "+49 30 1234567"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Of a server with a telephone that may call Germany at any hour."""
    for name, value in {
        "DATA_DIR": str(tmp_path),
        "PHONE": "true",
        "PHONE_REGISTRAR": "127.0.0.1",
        "PHONE_USER": "viva",
        "PHONE_CALL_PREFIXES": "+49",
        "PHONE_CALL_HOURS": "00:00-23:59",
    }.items():
        monkeypatch.setenv(f"VIVA_{name}", value)
    made = Store(sqlite_url(tmp_path))
    yield made
    made.close()


@pytest.fixture
def interview(store: Store) -> str:
    return made_interview(store)


def made_interview(store: Store) -> str:
    plan = shipped_plan("rehearsal_en.yaml")
    return asyncio.run(store.create_interview(plan, candidate_name="Ada")).interview_id


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`viva phone …` in this process: exit code, output, errors."""

    def viva(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["viva", "phone", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return (ended.value.code if isinstance(ended.value.code, int) else 0), out, err

    return viva


@pytest.mark.parametrize(
    ("user", "login"),
    [(None, "trunk-7"), ("viva", "trunk-7"), ("299", "")],
    ids=["own", "own, named", "another"],
)
def test_the_trial_signs_in_as_the_server_does(
    run: Run,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    user: str | None,
    login: str,
) -> None:
    """The login of the settings is that of the user of the settings, as the password is."""
    made: list[dict[str, object]] = []

    def telephone(*arguments: object, **options: object) -> object:
        made.append(options)
        raise SettingsError("no telephone rings here")

    word = f"ha1:{'a' * 32}"
    monkeypatch.setenv("VIVA_PHONE_LOGIN", "trunk-7")
    monkeypatch.setenv("VIVA_PHONE_PASSWORD", word)
    monkeypatch.setattr("server.phone.softphone.phone.Phone", telephone)
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: "typed")
    code, _, err = run("test", "--to", "101", *(("--user", user) if user else ()))
    assert code == 2 and "no telephone rings here" in err
    assert [one["login"] for one in made] == [login]


def calls(store: Store, interview: str) -> list[CallOut]:
    return list(asyncio.run(store.calls(interview)))


def test_a_call_is_written_for_the_server_to_make(run: Run, store: Store, interview: str) -> None:
    code, out, _ = run("call", "--interview", interview, "--to", NUMBER, "--zone", "Europe/Berlin")
    assert (code, out) == (0, "+49301234567 is called as soon as the server has a line free.\n")
    [made] = calls(store, interview)
    assert (made.number, made.zone, made.outcome) == ("+49301234567", "Europe/Berlin", "waiting")


def test_it_is_said_where_no_server_runs_that_would_make_the_call(
    run: Run, store: Store, interview: str
) -> None:
    code, _, err = run("call", "--interview", interview, "--to", NUMBER)
    assert code == 0 and "No server with a telephone runs" in err and "viva serve" in err
    state = wiring.folder_of(load()) / wiring.STATE_FILE
    state.parent.mkdir()
    state.write_text(wiring.as_json(GatewayState("up")))  # by a process that lives: this one
    code, _, err = run("call", "--interview", made_interview(store), "--to", NUMBER)
    assert (code, err) == (0, "")


def test_outside_the_hours_it_says_when_the_call_will_be_made(
    run: Run, store: Store, interview: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVA_PHONE_CALL_HOURS", "09:00-18:00")
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)  # 15 January 2027, 08:00 UTC
    _, out, _ = run("call", "--interview", interview, "--to", NUMBER, "--zone", "America/New_York")
    assert out == "+49301234567 is called at 2027-01-15 09:00 (America/New_York).\n"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"--to": "+44 20 1234567"}, "Only numbers that begin with +49"),
        ({"--to": "030 1234567"}, "country code"),
        ({"--zone": "Mars/Olympus"}, "no time zone"),
        ({"--interview": "nobody"}, "no interview nobody"),
    ],
)
def test_a_refused_call_says_why_and_writes_nothing(
    run: Run, store: Store, interview: str, given: dict[str, str], told: str
) -> None:
    asked = {"--interview": interview, "--to": NUMBER} | given
    code, out, err = run("call", *(part for pair in asked.items() for part in pair))
    assert code == 1 and told in err and not out
    assert calls(store, interview) == []


def test_a_second_call_waits_for_no_first_one(run: Run, store: Store, interview: str) -> None:
    run("call", "--interview", interview, "--to", NUMBER)
    code, _, err = run("call", "--interview", interview, "--to", NUMBER)
    assert code == 1 and "waits or is being made" in err
    assert len(calls(store, interview)) == 1


def test_without_prefixes_nobody_is_called(
    run: Run, interview: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIVA_PHONE_CALL_PREFIXES")
    code, _, err = run("call", "--interview", interview, "--to", NUMBER)
    assert code == 1 and "VIVA_PHONE_CALL_PREFIXES" in err
    assert "VIVA_PHONE=true" not in err  # it is set


def test_without_a_telephone_it_is_said_what_to_set(
    run: Run, interview: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefixes are set, and `viva serve --phone` set the rest for its own process only."""
    monkeypatch.delenv("VIVA_PHONE")
    code, _, err = run("call", "--interview", interview, "--to", NUMBER)
    assert code == 1 and "VIVA_PHONE=true" in err


def selected(store: Store, number: str) -> str | None:
    settings: Settings = load()
    return asyncio.run(Pins(store, pin_key(settings)).selected(number))


@pytest.mark.parametrize(
    ("written", "kept", "seen"),
    [
        (NUMBER, "+49301234567", "+49301234567"),
        ("0049 (30) 123-4567", "+49301234567", "+49301234567"),
        ("+49301234567", "+49301234567", "0049301234567"),
        ("030 1234567", "0301234567", "030/1234567"),
        ("4711", "4711", "4711"),
        ("00123", "00123", "00123"),
    ],
)
def test_a_number_or_an_extension_is_kept_for_an_interview(
    run: Run, store: Store, interview: str, written: str, kept: str, seen: str
) -> None:
    """`seen`: as a PBX writes it into its headers."""
    code, out, _ = run("number", "--interview", interview, "--number", written, "--days", "3")
    assert (code, out) == (0, f"{kept} is kept for interview {interview} for 3 days.\n")
    assert selected(store, party(f"sip:{seen}@pbx").number) == interview


def test_a_number_is_kept_for_one_interview_only(run: Run, store: Store, interview: str) -> None:
    run("number", "--interview", interview, "--number", "4711")
    other = made_interview(store)
    code, _, err = run("number", "--interview", other, "--number", "4711")
    assert code == 1 and "4711 is kept for another interview" in err
    code, _, err = run("number", "--interview", "nobody", "--number", "4712")
    assert code == 1 and "no interview nobody" in err
    assert selected(store, "4712") is None


def test_a_number_is_given_back_alone_or_with_all_of_its_interview(
    run: Run, store: Store, interview: str
) -> None:
    for number in ("4711", "4712", NUMBER):
        run("number", "--interview", interview, "--number", number)
    code, out, _ = run("number", "--interview", interview, "--number", "4711", "--forget")
    assert (code, out) == (0, "Given back: 4711.\n")
    assert [selected(store, one) for one in ("4711", "4712")] == [None, interview]
    code, out, _ = run("number", "--interview", interview, "--forget")
    assert (code, out) == (0, f"Given back: 2 kept for interview {interview}.\n")
    assert selected(store, "4712") is None
    code, _, err = run("number", "--interview", interview, "--number", "4711", "--forget")
    assert code == 1 and f"4711 is not kept for interview {interview}" in err
    other = made_interview(store)
    assert run("number", "--interview", other, "--number", "4711")[0] == 0


@pytest.mark.parametrize("written", ["", "sip:anna", "5", "+" + "4" * 21, "٤٧١١"])
def test_what_is_no_number_is_refused(run: Run, interview: str, written: str) -> None:
    """And so is what no caller can have: `5` would never be matched."""
    code, _, err = run("number", "--interview", interview, "--number", written)
    assert code == 2 and "digits" in err
