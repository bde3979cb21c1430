"""Which of Janus's sockets are SIP's, and the filter that keeps strangers from them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence, Set

from server.phone.janus.doorkeeper import Network, NotGuarded, guard, ports_of

logger = logging.getLogger(__name__)


class SipDoors:
    """For one Janus after the other. A SIP socket is one that came into being while an account
    registered: Janus chooses its port, tells nobody, and opens another one for each handle that
    registers, so it is looked for every time."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        """`trusted`: who may speak SIP to us besides the registrars; where everybody may, nothing
        is done."""
        self._trusted = tuple(trusted)
        self._pid = 0
        self._before: Mapping[int, bool] | None = None
        self._told_of_errors = False  # a SIP socket of this Janus was
        self._registrars: dict[str, tuple[Network, ...]] = {}
        self._set: frozenset[Network] = frozenset()
        self.ports: set[int] = set()
        self.guarded = False

    @property
    def open_to_all(self) -> bool:
        return any(network.prefixlen == 0 for network in self._trusted)

    def begin(self, pid: int) -> None:
        """Another Janus."""
        self._pid, self._registrars, self._set = pid, {}, frozenset()
        self._before, self._told_of_errors = None, False
        self.ports, self.guarded = set(), False

    async def before(self) -> None:
        """An account registers, and Janus may open a SIP socket."""
        self._before = await self._look()

    async def after(self, account: str, addresses: Sequence[str]) -> None:
        """It did, if the handle was a new one. These are the account's registrar."""
        self._registrars[account] = tuple(Network(one) for one in addresses)
        before, now = self._before, await self._look()
        if before is None or now is None:
            return  # it cannot be seen, and was said to be so
        fresh = self._sip_among(now, now.keys() - before.keys())
        self.ports = self._sip_among(now, self.ports & now.keys()) | fresh
        self.guarded = self.guarded and bool(self.ports)
        allowed = frozenset(
            (*self._trusted, *(n for one in self._registrars.values() for n in one))
        )
        if fresh or not self.guarded or allowed != self._set:
            await self._guard(allowed)

    def _sip_among(self, now: Mapping[int, bool], ports: Set[int]) -> set[int]:
        """A call that began at the same moment opened sockets, too, for its sound, or has one whose
        number was SIP's before. Sofia-SIP asks to be told of ICMP errors; where it is seen to, what
        does not ask is not SIP's."""
        self._told_of_errors = self._told_of_errors or any(now[port] for port in ports)
        return {port for port in ports if now[port] or not self._told_of_errors}

    async def _guard(self, allowed: frozenset[Network]) -> None:
        if self.open_to_all or not self.ports:
            return
        try:
            await asyncio.to_thread(guard, self._pid, allowed, self.ports)
            self._set, self.guarded = allowed, True
        except (NotGuarded, ValueError) as error:
            self._cannot(error)

    async def _look(self) -> Mapping[int, bool] | None:
        try:
            return await asyncio.to_thread(ports_of, self._pid)
        except NotGuarded as error:
            self._cannot(error)
            return None

    def _cannot(self, error: Exception) -> None:
        self.guarded = False
        logger.warning(
            "Strangers are not kept from the SIP port by us (%s): see to it that a firewall does",
            error,
        )
