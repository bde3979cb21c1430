"""Sockets that are no WebSockets yet, or never will be: so many at most, and then one gives way.

Anybody may open one, and only a request can tell who did. The one that gives way is the oldest of
the address that has most. So a flood of sockets that send no request, send it slowly, or do not
take their answer, closes its own. A client gets through even where it comes by the same proxy,
to a connection or to the health page, for it is through within milliseconds.
"""

from collections import Counter
from typing import Any

from websockets.asyncio.server import ServerConnection

OPEN_S = 5.0
"""For how long a socket may take to become a WebSocket, and to take an answer by plain HTTP."""
MAX_OPENING = 256
"""With the connections, less than the 1024 files that a process has by default."""


def giving_way(most: int) -> type[ServerConnection]:
    """The sockets of one service."""
    opening: dict[ServerConnection, str] = {}  # oldest first, with their addresses

    def give_way() -> None:
        ((busiest, _),) = Counter(opening.values()).most_common(1)
        oldest = next(one for one, address in opening.items() if address == busiest)
        del opening[oldest]
        oldest.transport.abort()

    class Socket(ServerConnection):
        async def handshake(self, *args: Any, **kwargs: Any) -> None:
            """The library's; it ends when there is a WebSocket, or the socket is to be closed."""
            opening[self] = str(self.remote_address[0]) if self.remote_address else ""
            if len(opening) > most:
                give_way()
            try:
                await super().handshake(*args, **kwargs)
            finally:
                opening.pop(self, None)

    return Socket
