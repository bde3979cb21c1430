"""Sockets that are no WebSockets yet, or never will be: so many at most, and the oldest gives way.

Anybody may open one, and only a request can tell who did. A client at work sends its request within
milliseconds, and is answered; so under a flood of sockets that send none, send it slowly, or do not
take their answer, it is never the oldest, and gets through: to a connection, or to the health page.
"""

from typing import Any

from websockets.asyncio.server import ServerConnection

OPEN_S = 5.0
"""For how long a socket may take to become a WebSocket, and to take an answer by plain HTTP."""
MAX_OPENING = 256
"""With the connections, less than the 1024 files that a process has by default."""


def giving_way(most: int) -> type[ServerConnection]:
    """The sockets of one service."""
    opening: dict[ServerConnection, None] = {}  # oldest first

    class Socket(ServerConnection):
        async def handshake(self, *args: Any, **kwargs: Any) -> None:
            """The library's; it ends when there is a WebSocket, or the socket is to be closed."""
            opening[self] = None
            if len(opening) > most:
                oldest = next(iter(opening))
                del opening[oldest]
                oldest.transport.abort()
            try:
                await super().handshake(*args, **kwargs)
            finally:
                opening.pop(self, None)

    return Socket
