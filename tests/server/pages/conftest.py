"""What the tests of the desk share: somebody who is signed in, and interviews in every state."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from held import OURS, PASSWORD, QUICK

from server.logins import set_password
from server.store import Store


@pytest.fixture
async def opened(store: Store) -> None:
    """The desk has a password."""
    await set_password(store, PASSWORD, QUICK)


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
