"""What every route works with, and who is asking: the parts behind the application, the bearer's
rights.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from server import logs
from server.api.errors import ApiError
from server.api.keys import OperatorKey
from server.api.ports import Host, Recordings
from server.invites import Guesses, Invites, TooManyGuesses
from server.logins import Logins
from server.settings import Settings
from server.store import InterviewRecord, Store


@dataclass(frozen=True)
class Parts:
    store: Store
    host: Host
    settings: Settings
    invites: Invites
    recordings: Recordings
    key: OperatorKey
    logins: Logins
    free_bytes: Callable[[], int]
    clock: Callable[[], float] = time.time
    wrong_keys: Guesses = field(default_factory=Guesses)

    async def check_space(self) -> None:
        """Raises where the disk has too little room for one more interview; running ones go on."""
        limit = self.settings.min_free_mb
        if await asyncio.to_thread(self.free_bytes) < limit << 20:
            raise ApiError(
                507,
                "disk_full",
                f"The server's disk has less than {limit} MB left: no new interview can begin.",
            )


def free_bytes(settings: Settings) -> int:
    return shutil.disk_usage(settings.data_dir).free


def parts_of(connection: HTTPConnection) -> Parts:
    found = connection.app.state.parts
    assert isinstance(found, Parts)
    return found


def address_of(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


_invite = HTTPBearer(auto_error=False, scheme_name="Invite", description="An invite's token.")
_key = HTTPBearer(auto_error=False, scheme_name="ApiKey", description="The operator's API key.")
Given = HTTPAuthorizationCredentials | None


async def candidate(request: Request, given: Annotated[Given, Depends(_invite)]) -> InterviewRecord:
    """The interview of the invite: the only one that its bearer can reach."""
    parts = parts_of(request)
    token = given.credentials if given else ""
    if not token:
        raise ApiError(401, "no_invite", "Open the link of your invite.")
    invite = await parts.invites.open(token, address_of(request))
    logs.set_interview(invite.interview_id)
    return await parts.store.interview(invite.interview_id)


async def operator(request: Request, given: Annotated[Given, Depends(_key)]) -> None:
    """Whoever knows the API key."""
    parts, address, at = parts_of(request), address_of(request), time.monotonic()
    if (wait := parts.wrong_keys.wait(address, at)) > 0:
        raise TooManyGuesses(wait)
    if given is None or not parts.key.matches(given.credentials):
        if given is not None:
            parts.wrong_keys.wrong(address, at)
        raise ApiError(401, "unauthorised", "Send the operator's API key as a Bearer token.")


WithParts = Annotated[Parts, Depends(parts_of)]
Mine = Annotated[InterviewRecord, Depends(candidate)]
