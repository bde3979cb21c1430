"""`viva phone test`, with a telephone of ours in the place of the PBX, and at a real registrar."""

from __future__ import annotations

import asyncio
import os
import sys
import wave
from pathlib import Path

import pytest
from extensions import EXTENSIONS
from voices import voice

from server import cli
from server.phone.softphone import answering, trial
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.listening import Statistics
from server.phone.softphone.options import Options
from server.phone.softphone.phone import Phone
from server.rehearsal.phone.ground import CALLERS, VIVA
from server.rehearsal.phone.registrar import Registrar

ROOT = Path(__file__).parents[3]


async def viva(*arguments: str, word: str = "", **variables: str) -> tuple[int, str, str]:
    """`viva phone test …` as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", "from server.cli import main; main()", "phone", "test", *arguments),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(f"{word}\n".encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.phone
async def test_it_says_what_came_back_and_keeps_it(pbx: Registrar, tmp_path: Path) -> None:
    async def talk(call: PhoneCall) -> None:
        await call.answer()
        call.play(voice(1, 2.0))
        await call.ended()
        said.append(call.digits)

    said: list[str] = []
    file = tmp_path / "heard.wav"
    async with Phone(CALLERS, pbx.address, "ben", EXTENSIONS["ben"], answering=talk):
        code, out, err = await viva(
            *("--to", "ben", "--keys", "12#", "--seconds", "4", "--wav", str(file)),
            VIVA_PHONE_REGISTRAR=pbx.address,
            VIVA_PHONE_USER="anna",
            VIVA_PHONE_PASSWORD=EXTENSIONS["anna"],
            VIVA_PHONE_ADDRESS=VIVA,
        )
    assert code == 0, err
    assert f"Registered from {VIVA}; calling ben" in err
    assert "PCMU/8000; digits are taken inside RTP" in out
    assert "Heard 2.0 s of sound at -" in out and " lost (" in out
    assert said == ["12#"]
    with wave.open(str(file)) as heard:
        assert heard.getframerate() == 8000 and heard.getnframes() > 2 * 8000


@pytest.mark.phone
async def test_what_went_wrong_is_a_sentence_and_code_1(pbx: Registrar) -> None:
    who = ("--registrar", pbx.address, "--user", "anna", "--password-stdin")
    code, out, err = await viva("--to", "ben", *who, word="wrong")
    assert (code, out) == (1, "")
    assert "does not take this user and password (401 Unauthorized)" in err
    assert "Traceback" not in err and "wrong" not in err


@pytest.mark.phone
async def test_each_refusal_of_a_pbx_names_its_likely_cause(pbx: Registrar) -> None:
    def telephone(user: str, does: answering.Answering | None = None, **more: object) -> Phone:
        word = EXTENSIONS[user]
        return Phone(CALLERS, pbx.address, user, word, answering=does, **more)  # type: ignore[arg-type]

    async def failed(to: str, phone: Phone) -> str:
        with pytest.raises(trial.TrialFailed) as said:
            await trial.hold(phone, to, listen_s=2)
        return str(said.value)

    wrong = Phone(CALLERS, pbx.address, "anna", "wrong", register=False)
    async with telephone("ben", answering.declining(486, "Busy Here")):
        assert "does not take this user and password (407" in await failed("ben", wrong)
        assert "no such extension (404" in await failed("nobody", telephone("anna"))
        assert "no telephone is registered there" in await failed("cara", telephone("anna"))
        assert "it is busy (486 Busy Here)" in await failed("ben", telephone("anna"))
    encrypted = Options(srtp=True)
    async with telephone("ben", answering.after(0), options=encrypted):
        assert "no codec in common" in await failed("ben", telephone("anna"))
        found = await trial.hold(telephone("anna", options=encrypted), "ben", listen_s=2)
        assert found.good


@pytest.mark.media
async def test_a_pbx_that_is_silent_and_a_call_without_a_packet_are_told() -> None:
    here = "127.0.0.1"
    silent = Phone(here, f"{here}:9", "anna", "word", timers=trial.quick())
    with pytest.raises(trial.TrialFailed, match="does not answer REGISTER"):
        await trial.hold(silent, "ben")

    async def mute(call: PhoneCall) -> None:
        call.mute()
        await call.answer()

    async with Phone(here, here, "ben", "", register=False, answering=mute) as ben:
        to = f"{here}:{ben.address[1]}"
        found = await trial.hold(Phone(here, to, "anna", "", register=False), "ben", listen_s=2)
    assert not found.good
    assert trial.NOTHING_CAME in found.told()


def test_what_was_heard_is_told_in_figures() -> None:
    heard = Statistics(packets=980, lost=20, jitter_s=0.0042, sound_s=3.2, level_dbfs=-21.4)
    found = trial.Trial(1.26, "PCMA/8000", False, 20.0, trial.melody(), heard, 3, True)
    assert found.told() == [
        "Answered after 1.3 s with PCMA/8000; digits are by SIP INFO only.",
        "Heard 3.2 s of sound at -21 dBFS in 20.0 s: 980 packets, 20 lost (2.0 %), jitter 4.2 ms.",
        "The other side hung up after 20.0 s.",
        "This machine was too busy to send 3 packets in time.",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to", "200"), "Say which PBX and which extension"),
        (("--to", "200", "--registrar", "a b", "--user", "1"), "write host or host:port"),
        (("--to", "200", "--registrar", "a", "--user", "1", "--address", "x"), "an IPv4 address"),
        (
            ("--to", "2", "--registrar", "a", "--user", "1", "--keys", "1x"),
            "no keys of a telephone",
        ),
    ],
)
def test_what_was_typed_wrongly_leaves_code_2(
    arguments: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["viva", "phone", "test", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
