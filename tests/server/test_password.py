"""`viva password`, and the first start's question for one: typed unseen, twice, never a default."""

from __future__ import annotations

import asyncio
import getpass
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server import cli, wiring
from server.logins import Logins, WrongPassword
from server.store import Store, sqlite_url

PASSWORD = "seven blue kettles"
SERVE = ("serve", "--port", "0", "--asr-model", "rehearsal", "--privacy", "local")
CLOSED = "The recruiter's desk is closed until its password is set with `viva password`."
Run = Callable[..., tuple[int, str]]
Typing = Callable[..., None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(wiring, "serve", lambda settings: None)

    def viva(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["viva", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert out == "" and PASSWORD not in err and "Traceback" not in err
        return (ended.value.code if isinstance(ended.value.code, int) else 0), err

    return viva


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Typing]:
    """Somebody at a terminal: `typing(first, second, …)` is what they type, unseen."""
    left: list[str] = []

    def asked(prompt: str, stream: object) -> str:
        return left.pop(0)

    def types(*lines: str) -> None:
        left.extend(lines)
        monkeypatch.setattr(sys, "stdin", Terminal())
        monkeypatch.setattr(getpass, "getpass", asked)

    yield types
    assert not left


def opens(folder: Path, password: str) -> bool:
    async def signed_in(store: Store) -> bool:
        try:
            return bool(await Logins(store).sign_in(password, "a"))
        except WrongPassword:
            return False

    store = Store(sqlite_url(folder))
    try:
        return asyncio.run(signed_in(store))
    finally:
        store.close()


def test_a_password_is_typed_twice_until_both_are_the_same(
    run: Run, typing: Typing, tmp_path: Path
) -> None:
    typing(PASSWORD, "seven blue kettels", PASSWORD, PASSWORD)
    code, err = run("password")
    assert code == 0 and "not the same" in err and "is set" in err
    assert opens(tmp_path, PASSWORD) and not opens(tmp_path, "seven blue kettels")


def test_a_script_gives_it_on_standard_input(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\nand more\n"))
    assert run("password", "--stdin")[0] == 0
    assert opens(tmp_path, PASSWORD)


@pytest.mark.parametrize("weak", ["", "short", "aaaaaaaaaaaaaa"])
def test_a_weak_one_is_refused_and_the_old_one_stays(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weak: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    run("password", "--stdin")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{weak}\n"))
    code, err = run("password", "--stdin")
    assert code == 2 and "at least" in err
    assert opens(tmp_path, PASSWORD)


def test_the_first_start_at_a_terminal_asks_for_it(
    run: Run, typing: Typing, tmp_path: Path
) -> None:
    typing("short", "short", PASSWORD, PASSWORD)
    code, err = run(*SERVE)
    assert code == 0 and "has no password yet" in err and "at least 12" in err
    assert CLOSED not in err and opens(tmp_path, PASSWORD)
    code, err = run(*SERVE)
    assert code == 0 and "no password" not in err and CLOSED not in err


def test_it_may_be_put_off_and_the_start_says_so(run: Run, typing: Typing) -> None:
    typing("")
    code, err = run(*SERVE)
    assert code == 0 and CLOSED in err


def test_without_a_terminal_nobody_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n{PASSWORD}\n"))
    code, err = run(*SERVE)
    assert code == 0 and CLOSED in err
