"""Which of Janus's sockets are SIP's, and the filter that keeps strangers from them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from server.phone.janus.doorkeeper import Network, NotGuarded, guard, ports_of

logger = logging.getLogger(__name__)


class SipDoors:
    """For one Janus after the other. A SIP socket is one that came into being while an account
    registered for the first time: Janus chooses its port, and tells nobody."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        """`trusted`: who may speak SIP to us besides the registrars; where everybody may, nothing
        is done."""
        self._trusted = tuple(trusted)
        self._pid = 0
        self._before: set[int] = set()
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
        self.ports, self.guarded = set(), False

    async def before(self) -> None:
        """An account registers, and Janus may open a SIP socket."""
        self._before = await self._look()

    async def after(self, account: str, addresses: Sequence[str]) -> None:
        """It did, if it had none. These are the account's registrar."""
        first = account not in self._registrars
        self._registrars[account] = tuple(Network(one) for one in addresses)
        if first:
            self.ports |= await self._look() - self._before
        allowed = frozenset(
            (*self._trusted, *(n for one in self._registrars.values() for n in one))
        )
        if self.open_to_all or not self.ports or (not first and allowed == self._set):
            return
        try:
            await asyncio.to_thread(guard, self._pid, allowed, self.ports)
            self._set, self.guarded = allowed, True
        except (NotGuarded, ValueError) as error:
            self._cannot(error)

    async def _look(self) -> set[int]:
        try:
            return await asyncio.to_thread(ports_of, self._pid)
        except NotGuarded as error:
            self._cannot(error)
            return set()

    def _cannot(self, error: Exception) -> None:
        self.guarded = False
        logger.warning(
            "Strangers are not kept from the SIP port by us (%s): see to it that a firewall does",
            error,
        )
