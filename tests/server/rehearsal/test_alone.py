import sys
from pathlib import Path

import alone
import pytest

LOOPBACK = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
"""
ELSEWHERE = """
import socket
socket.socket().connect_ex(("192.0.2.7", 443))
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect_ex(("192.0.2.7", 53))
"""


@pytest.mark.parametrize(("code", "attempts"), [(LOOPBACK, 0), (ELSEWHERE, 2)])
def test_what_would_leave_the_machine_is_counted_and_loopback_is_not(
    tmp_path: Path, code: str, attempts: int
) -> None:
    if reason := alone.why_not():
        pytest.skip(f"no network namespace here: {reason}")
    told = alone.run(tmp_path / "told.json", (sys.executable, "-c", code), 60)
    assert told == alone.Told(0, ["lo"], attempts, 2)
