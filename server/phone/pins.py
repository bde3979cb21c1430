"""PINs: digits that let a candidate in by telephone, as an invite's token does by link.

Digits can be tried out, so a PIN stands in the database only under a key that is not in it, and
three wrong ones end a call. A PIN lives and ends with the links of its interview.

| who | after so many wrong ones in an hour | |
|---|---|---|
| one number | 6 | waits, right PIN or not: one look-up in a quarter of an hour |
| no number | | nothing: all who withhold theirs would wait for one of them |
| all together | 60 | take turns, one look-up a minute, but for numbers that were right of late |

So whoever guesses, under whatever numbers, has 60 tries an hour, half a million a year: one of 200
good PINs is found with a chance of 10 %. Under one number it is ten an hour at most. Forged numbers
shut nobody out for longer than they go on; the owner of one waits a quarter of an hour.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

from server.api.keys import make_secret
from server.invites import ExpiredInvite, Guesses, RevokedInvite, TooManyGuesses, UnknownInvite
from server.settings import Settings, SettingsError
from server.store import Invite, Store

logger = logging.getLogger(__name__)

LENGTH = 9
"""Digits: with 200 good ones a guess hits once in five million."""
FILE = "pin_key"
WRONG_BY_NUMBER = 6
"""Wrong PINs of one caller …"""
WRONG_IN_ALL = 60
"""… and of all together …"""
WINDOW_S = 3600.0
"""… in this time."""
TURN_S = 60.0
"""Between two look-ups, when all together were wrong too often."""
SLOW_S = 900.0
"""From a wrong one to the next look-up for a number that was wrong too often."""
KNOWN_S = 86_400.0
"""For so long a number that was right needs no turn: who dropped out of an interview calls again.
Whoever forges it has to know it, and has six tries an hour without one."""
MOST_KNOWN = 10_000
EVERYBODY = "*"


def shown(pin: str) -> str:
    """As it is written in an invitation and read aloud: in threes."""
    return " ".join(pin[i : i + 3] for i in range(0, len(pin), 3))


def pin_key(settings: Settings) -> bytes:
    """What keys the PINs, made at the first use. Raises `SettingsError`."""
    file = settings.data_dir / FILE
    try:
        make_secret(file)
        return _read(file)
    except OSError as error:
        raise SettingsError(
            f"The key of the PINs {file} cannot be read or made: {error.strerror}. Put that right."
        ) from error


def new_pins(settings: Settings, store: Store) -> Callable[[str, float], Awaitable[str]] | None:
    """What makes a PIN for each invite; None where there is no telephone. Raises
    `SettingsError`."""
    return Pins(store, pin_key(settings)).issue if settings.phone else None


def _read(file: Path) -> bytes:
    return file.read_bytes().strip()


class NumberTaken(Exception):
    """The number stands for another interview already."""


class Pins:
    """Makes and finds them. One for the process: it counts the wrong ones."""

    def __init__(self, store: Store, key: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._key = key
        self._clock = clock
        self._by_number = Guesses(WRONG_BY_NUMBER, WINDOW_S)
        self._lately = Guesses(1, SLOW_S)
        self._in_all = Guesses(WRONG_IN_ALL, WINDOW_S)
        self._turn = -math.inf
        """When the last one began."""
        self._known: OrderedDict[str, float] = OrderedDict()
        """When a number was right."""

    async def issue(self, interview_id: str, valid_s: float) -> str:
        """A new PIN; earlier ones stay good. Raises `UnknownInterview`, `Erased`."""
        while True:
            pin = f"{secrets.randbelow(10**LENGTH):0{LENGTH}}"
            if await self._store.invite(self._hash(pin)) is None:
                break
        expires_at = self._clock() + valid_s
        await self._store.add_invite(self._hash(pin), interview_id, expires_at, kind="pin")
        return pin

    async def find(self, pin: str, number: str) -> Invite:
        """Whose it is; `number` is the caller's, empty if it is hidden. Raises an `InviteError`."""
        at = self._clock()
        self._let_try(number, at)
        invite = await self._store.invite(self._hash(pin))
        if invite is None or invite.kind != "pin":
            self._note_wrong(number, at)
            raise UnknownInvite
        if invite.revoked_at is not None:
            raise RevokedInvite
        if at >= invite.expires_at:
            raise ExpiredInvite
        self._note_right(number, at)
        return invite

    def _let_try(self, number: str, at: float) -> None:
        """Raises `TooManyGuesses`."""
        often = self._by_number.wait(number, at)
        if (wait := min(often, self._lately.wait(number, at))) > 0:
            raise TooManyGuesses(wait)
        known = often <= 0 and at - self._known.get(number, -math.inf) < KNOWN_S
        if known or self._in_all.wait(EVERYBODY, at) <= 0:
            return
        if 0 <= at - self._turn < TURN_S:
            raise TooManyGuesses(self._turn + TURN_S - at)
        self._turn = at

    def _note_wrong(self, number: str, at: float) -> None:
        if number:
            self._by_number.wrong(number, at)
            self._lately.wrong(number, at)
        before = self._in_all.wait(EVERYBODY, at)
        self._in_all.wrong(EVERYBODY, at)
        if before <= 0 < self._in_all.wait(EVERYBODY, at):
            logger.warning(
                "%d wrong PINs within an hour: callers take turns, one a minute", WRONG_IN_ALL
            )

    def _note_right(self, number: str, at: float) -> None:
        if number:
            self._known[number] = at
            self._known.move_to_end(number)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    async def reserve(self, interview_id: str, number: str, valid_s: float) -> None:
        """Calls to or from this number (`server.phone.numbers`) are meant for the interview; the
        PIN still confirms it. Kept again, it is kept for the new time. Raises `NumberTaken` where
        another interview has it that is not over, `UnknownInterview`, `Erased`."""
        hashed, at = self._hash(number, "number"), self._clock()
        kept = Invite(hashed, interview_id, at, at + valid_s, None, "number")
        if not await self._store.keep_number(kept):
            raise NumberTaken(number)

    async def give_back(self, interview_id: str, number: str = "") -> int:
        """The interview's number, or all of its numbers, stand for nothing any more; returns how
        many those were. Raises `UnknownInterview`."""
        hashed = self._hash(number, "number") if number else None
        return await self._store.forget_numbers(interview_id, hashed)

    async def selected(self, number: str) -> str | None:
        """The interview that a dialled or calling number stands for."""
        invite = await self._store.invite(self._hash(number, "number")) if number else None
        if invite is None or invite.revoked_at is not None or self._clock() >= invite.expires_at:
            return None
        return invite.interview_id

    def _hash(self, digits: str, kind: str = "pin") -> str:
        return hmac.new(self._key, f"{kind}:{digits}".encode(), hashlib.sha256).hexdigest()
