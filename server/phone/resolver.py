"""Names into IPv4 addresses: Janus gets nothing else.

Where no resolver answers, Sofia-SIP's own look-up spins at a whole core for ever, so no name goes
there. Each look-up has a thread of its own, for it cannot be stopped and may hang for half a
minute: a pool of threads would fill up with such.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable

LOOKUP_S = 5.0
Lookup = Callable[[str], list[str]]


class Unresolved(Exception):
    """The name has no address now; the message says why."""


def system_lookup(host: str) -> list[str]:
    """The system's resolver; raises `OSError`."""
    found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def resolve(
    host: str, *, lookup: Lookup = system_lookup, within_s: float = LOOKUP_S
) -> list[str]:
    """Every IPv4 address of a host, best first; one that is an address is its own. Raises
    `Unresolved`."""
    try:
        return [str(ipaddress.IPv4Address(host))]
    except ValueError:
        pass
    try:
        async with asyncio.timeout(within_s):
            found = await _in_thread(lookup, host)
    except TimeoutError:
        raise Unresolved(f"no resolver told the address of {host}") from None
    except (OSError, UnicodeError) as error:
        raise Unresolved(f"{host} has no address ({error})") from error
    if not found:
        raise Unresolved(f"{host} has no IPv4 address")
    return found


async def _in_thread(lookup: Lookup, host: str) -> list[str]:
    loop = asyncio.get_running_loop()
    told: asyncio.Future[list[str]] = loop.create_future()

    def tell(found: list[str] | Exception) -> None:
        if told.done():
            return
        if isinstance(found, Exception):
            told.set_exception(found)
        else:
            told.set_result(found)

    def look() -> None:
        try:
            found: list[str] | Exception = lookup(host)
        except Exception as error:  # whatever it is, it belongs to who asked
            found = error
        with contextlib.suppress(RuntimeError):  # who asked is gone, with the loop
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=look, name="resolver", daemon=True).start()
    return await told
