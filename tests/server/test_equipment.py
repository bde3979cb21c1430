"""What calls are made of: a model's server may come up after us."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path

import pytest
from written_calls import NoEars

from server.equipment import Equipment
from server.rehearsal import model as stand_in
from server.settings import Settings
from server.wiring import model_client


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


async def test_a_model_that_starts_late_is_asked_what_it_enforces(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "server.equipment")
    port = free_port()
    settings = Settings(
        data_dir=tmp_path,
        model=stand_in.NAME,
        model_url=f"http://127.0.0.1:{port}/v1",
        model_mode="auto",
        privacy="local",
    )
    equipment = Equipment(settings, NoEars(), model_client(settings))
    finding = asyncio.create_task(equipment.find_mode(ask_again_s=0.01))
    try:
        async with asyncio.timeout(20):
            while not caplog.messages:  # noqa: ASYNC110 — a log tells in no other way
                await asyncio.sleep(0.01)
            assert "does not answer" in caplog.messages[0]
            assert equipment.mode is None
            with stand_in.serving(port=port):
                await finding
        assert equipment.mode == "tools"
        (_, found) = caplog.messages
        assert "moves are asked for by tools" in found
    finally:
        finding.cancel()
        await equipment.aclose()
