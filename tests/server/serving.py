"""The application on a real port of this machine, as the server runs it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from server.app import uvicorn_options
from server.settings import Settings


@asynccontextmanager
async def application(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """At the settings' host and port, with their TLS and proxies."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", **uvicorn_options(settings)))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 — uvicorn tells in no other way
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
