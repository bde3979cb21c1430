"""Keys pressed while both sides speak, through kamailio and Janus up to the interview: none missed,
none doubled, and the speech between them whole.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from digit_lines import KEYS, Account, talks

from server.phone.softphone.call import Method
from server.rehearsal.phone.registrar import Registrar

pytestmark = pytest.mark.usefixtures("telephone_programs")
SIDE_BY_SIDE = 8
WAYS: list[tuple[Method, float]] = [
    ("rfc4733", 0.0),
    ("rfc4733", 0.02),
    ("rfc4733", 0.05),
    ("info", 0.0),
    ("info-plain", 0.05),
]


def dialled(count: int, seed: int) -> str:
    return "".join(random.Random(seed).choices(KEYS, k=count))


async def pressed(
    folder: Path, method: Method, loss: float, lines: int, keys: int
) -> list[Account]:
    """So many keys on each of the lines; the accounts of what was said, for the lines that must be
    whole."""
    async with talks(folder, lines, loss) as made:
        work = (one.press(dialled(keys, n), method, n) for n, one in enumerate(made))
        await asyncio.gather(*work)
        assert [one.ours.keys for one in made] == [one.keys for one in made]
    accounts = [one.account() for one in made]  # nothing is sent or heard any more
    for account in accounts:
        whole(account, loss)
    return accounts


def whole(account: Account, loss: float) -> None:
    """Nothing but what the line lost is missing, and nothing has moved."""
    assert account.said > 100 and account.in_order, account
    missing = 1 - account.heard / account.said
    assert missing <= 2 * loss + 0.01, account
    assert account.back + account.back_lost == account.back_span, account
    assert account.back_lost <= (2 * loss + 0.01) * account.back_span, account


@pytest.mark.phone
@pytest.mark.parametrize(("method", "loss"), [("rfc4733", 0.05), ("info", 0.0)])
async def test_keys_during_speech_come_once_each(
    pbx: Registrar, tmp_path: Path, method: Method, loss: float
) -> None:
    await pressed(tmp_path, method, loss, lines=2, keys=20)


@pytest.mark.soak
@pytest.mark.parametrize(("method", "loss"), WAYS)
async def test_a_thousand_keys_during_speech_come_once_each(
    pbx: Registrar, tmp_path: Path, method: Method, loss: float
) -> None:
    accounts = await pressed(tmp_path, method, loss, SIDE_BY_SIDE, 1000 // SIDE_BY_SIDE)
    said, heard = (sum(getattr(one, name) for one in accounts) for name in ("said", "heard"))
    back, lost = (sum(getattr(one, name) for one in accounts) for name in ("back", "back_lost"))
    moved = max(one.shift_s for one in accounts)
    print(
        f"\n1,000 keys by {method} at {loss:.0%} loss: each once; {heard} of {said} frames heard,"
        f" moved by {moved * 1000:.0f} ms at most; {lost} of {back + lost} of ours lost"
    )
