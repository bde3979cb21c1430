"""The host as one telephone call has it: lets nobody in whose interview was taken back meanwhile.

A PIN was right when the call began, and a call out was wanted; both may be over when the caller
gets to the interview, or comes back to it after a hold.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from server.api.ports import Busy, HostError, NotConsented, Over
from server.call import Call, OnLeft
from server.media.peer import Peer
from server.phone.bridge import BridgeCall, GatewayLost
from server.phone.line import Host
from server.store import Store, UnknownInterview


class Admission:
    """A `server.phone.line.Host`."""

    def __init__(
        self,
        host: Host,
        store: Store,
        call: BridgeCall,
        clock: Callable[[], float],
        *,
        call_id: str = "",
    ) -> None:
        """`call_id`: of the call to a candidate that this is; empty where they called."""
        self._host, self._store, self._call = host, store, call
        self._began, self._call_id = clock(), call_id
        self._joined = False
        self.refused = ""
        """Why nobody was let in: `full`, `over`, `declined` (the consent was taken back) or
        `failed`; empty where nobody was refused."""

    async def keep_place(self, interview_id: str) -> None:
        """Raises `Busy`, also where a call out is wanted no more: then it is hung up."""
        if not await self.wanted():
            with suppress(GatewayLost):
                await self._call.hang_up()
            raise Busy(0)
        await self._host.keep_place(interview_id)

    async def join_line(self, interview_id: str, peer: Peer, on_left: OnLeft) -> Call:
        """Raises as the host, and `Over` where the interview was taken back or erased."""
        try:
            if await self._taken_back(interview_id):
                raise Over(interview_id)
            joined = await self._host.join_line(interview_id, peer, on_left)
        except UnknownInterview as error:  # erased
            self.refused = "over"
            raise Over(interview_id) from error
        except (HostError, TimeoutError) as error:
            self.refused = _name(error)
            raise
        self._joined = True
        return joined

    async def wanted(self) -> bool:
        """Whether a call out that has not reached its interview still should."""
        if not self._call_id or self._joined:
            return True
        call = await self._store.call(self._call_id)
        return call is not None and call.outcome != "cancelled"

    async def _taken_back(self, interview_id: str) -> bool:
        """Every link, and every PIN with them, since the call began; or the call itself."""
        if not await self.wanted():
            return True
        ends = [link.revoked_at for link in await self._store.invites(interview_id)]
        revoked = [at for at in ends if at is not None]
        return bool(ends) and len(revoked) == len(ends) and max(revoked) >= self._began


def _name(error: Exception) -> str:
    match error:
        case Busy():
            return "full"
        case Over():
            return "over"
        case NotConsented():
            return "declined"
    return "failed"
