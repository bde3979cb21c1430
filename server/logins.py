"""The desk's one password, and who is signed in with it.

* The password is set by the operator (`viva password`), never by default; only its argon2 hash is
  stored. Until there is one, nobody gets in, and a try takes as long as any other.
* A login is a random token in a cookie; only its SHA-256 is stored. It ends after `IDLE_S` without
  a request, after `ABSOLUTE_S` in any case, at the sign-out, and when the password changes.
* Guessing is bounded twice: by address, and over all addresses. Each try is counted before it is
  looked at, so that many at once are no way around, and is taken back when it was right.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import secrets
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from server.invites import Guesses
from server.store import Login, Store

MIN_LENGTH = 12
MIN_DIFFERENT = 5
MAX_LENGTH = 1000

IDLE_S = 12 * 3600.0
ABSOLUTE_S = 7 * 86_400.0
SEEN_EVERY_S = 60.0
"""A login's last request is written down at most this often."""

WINDOW_S = 300.0
BY_ADDRESS = 10
"""Wrong passwords that an address may send in the window."""
FROM_ALL = 100
"""From so many on, by all addresses together, only those without a wrong one may try …"""
AT_MOST = 300
"""… and from so many on only those that were signed in since the server's start: 86 400 a day, of
more than 10^12 passwords that the rules allow."""
AT_ONCE = 2
"""Passwords verified at the same time; each takes 64 MiB and a thread."""
MAX_KNOWN = 1000
_ALL = "*"


class WeakPassword(Exception):
    """The password would be guessed; the message says what it lacks."""


class WrongPassword(Exception):
    """It is not the password, or none is set."""


class TooManyTries(Exception):
    """Too many wrong passwords, from this address or from all of them."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


def check_strength(password: str) -> None:
    """Raises `WeakPassword`."""
    if len(password) < MIN_LENGTH:
        raise WeakPassword(f"The password needs at least {MIN_LENGTH} characters.")
    if len(set(password)) < MIN_DIFFERENT:
        raise WeakPassword(f"The password needs at least {MIN_DIFFERENT} different characters.")
    if len(password) > MAX_LENGTH:
        raise WeakPassword(f"The password may have at most {MAX_LENGTH} characters.")


async def set_password(store: Store, password: str, hasher: PasswordHasher | None = None) -> None:
    """Ends every login. Raises `WeakPassword`."""
    check_strength(password)
    made = hasher or PasswordHasher()
    await store.set_password(await asyncio.to_thread(made.hash, _composed(password)))


class Tries:
    """Who may try a password now; pure, time is passed in."""

    def __init__(self) -> None:
        self._by_address = Guesses(BY_ADDRESS, WINDOW_S)
        self._from_all = Guesses(FROM_ALL, WINDOW_S)
        self._at_most = Guesses(AT_MOST, WINDOW_S)
        self._known: OrderedDict[str, None] = OrderedDict()

    def wait(self, address: str, at: float) -> float:
        """Seconds until this address may try; 0 when it may now."""
        place = network(address)
        if (wait := self._by_address.wait(place, at)) > 0 or place in self._known:
            return wait
        if (wait := self._at_most.wait(_ALL, at)) > 0:
            return wait
        return self._from_all.wait(_ALL, at) if self._by_address.count(place, at) else 0.0

    def begin(self, address: str, at: float) -> None:
        """Counted as wrong until it is known to be right."""
        self._by_address.wrong(network(address), at)
        for all_of_them in (self._from_all, self._at_most):
            all_of_them.wrong(_ALL, at)

    def right(self, address: str, at: float) -> None:
        """The try begun at this time was right."""
        place = network(address)
        self._by_address.take_back(place, at)
        for all_of_them in (self._from_all, self._at_most):
            all_of_them.take_back(_ALL, at)
        self._known[place] = None
        self._known.move_to_end(place)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


def network(address: str) -> str:
    """What counts as one address: of IPv6 the first half, for whoever has one address there has
    the whole of the rest."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False))


def stands(login: Login, at: float) -> bool:
    """Whether the login is still good. A clock that was set back ends none."""
    return at - login.last_seen_at < IDLE_S and at - login.created_at < ABSOLUTE_S


class Logins:
    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._hasher = hasher or PasswordHasher()
        self._tries = Tries()
        self._verifying = asyncio.Semaphore(AT_ONCE)
        self._nobodys: str | None = None

    async def is_open(self) -> bool:
        """Whether a password was set."""
        return await self._store.password_hash() is not None

    async def sign_in(self, password: str, address: str) -> str:
        """The new login's token, seen in full this once. Raises `TooManyTries`, `WrongPassword`."""
        at = self._monotonic()
        if (wait := self._tries.wait(address, at)) > 0:
            raise TooManyTries(wait)
        self._tries.begin(address, at)
        verified = await self._verify(password)
        if verified is None:
            raise WrongPassword
        token, now = secrets.token_urlsafe(32), self._clock()
        login = Login(token_hash(token), created_at=now, last_seen_at=now)
        if not await self._store.add_login(login, verified):
            raise WrongPassword
        self._tries.right(address, at)
        await self._store.prune_logins(now - ABSOLUTE_S, now - IDLE_S)
        return token

    async def find(self, token: str, *, touch: bool = True) -> Login | None:
        """The login of a cookie, if it still stands; a request keeps it from getting idle."""
        if not token:
            return None
        login, at = await self._store.login(token_hash(token)), self._clock()
        if login is None or not stands(login, at):
            return None
        if touch and abs(at - login.last_seen_at) >= SEEN_EVERY_S:
            await self._store.login_seen(login.token_hash, at)
        return login

    async def sign_out(self, token: str) -> None:
        if token:
            await self._store.remove_login(token_hash(token))

    async def _verify(self, password: str) -> str | None:
        """The hash that the password fits; the work is the same where there is none."""
        async with self._verifying:
            stored = await self._store.password_hash()
            against = stored or await self._hash_of_nobody()
            given = _composed(password[: MAX_LENGTH + 1])
            good = await asyncio.to_thread(self._matches, against, given)
        return stored if good else None

    def _matches(self, hashed: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False

    async def _hash_of_nobody(self) -> str:
        if self._nobodys is None:
            unknown = secrets.token_urlsafe(32)
            self._nobodys = await asyncio.to_thread(self._hasher.hash, unknown)
        return self._nobodys


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _composed(password: str) -> bytes:
    """The same bytes from every keyboard: systems compose accents differently."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
