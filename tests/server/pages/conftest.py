"""What the tests of the desk share: somebody who is signed in, and interviews in every state."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI

from server.logins import Logins, set_password
from server.store import Store

PASSWORD = "seven blue kettles"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
OURS = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def opened(store: Store) -> None:
    """The desk has a password."""
    await set_password(store, PASSWORD, QUICK)


@pytest.fixture
def logins(store: Store) -> Logins:
    return Logins(store, hasher=QUICK)


@pytest.fixture
async def admin(app: FastAPI, opened: None) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that is signed in at the desk, and sends its forms from our pages."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://viva", headers=OURS
    ) as client:
        answer = await client.post("/desk/sign-in", data={"password": PASSWORD})
        assert answer.status_code == 303, answer.text
        yield client
