"""The tests' telephone network keeps its promises."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from server.rehearsal.phone.ground import CALLERS, INTERFACES, PBX, Ground, until, why_not
from server.rehearsal.phone.registrar import Registrar

pytestmark = pytest.mark.phone


def _network(thread: str = "thread-self") -> str:
    return os.readlink(f"/proc/{thread}/ns/net")


def _interfaces() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def test_the_test_its_threads_and_its_children_are_inside(ground: Ground) -> None:
    assert _interfaces() == {"lo", *INTERFACES}
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(_network()))
    thread.start()
    thread.join()
    child = subprocess.run(["readlink", "/proc/self/ns/net"], capture_output=True, text=True)
    assert seen == [_network()] == [child.stdout.strip()]


def test_leaving_it_leaves_nothing_behind_even_after_a_failure(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    outside = _network()
    with pytest.raises(ZeroDivisionError), Ground(tmp_path) as ground:
        sleeper = ground.start("sleep", "600")
        assert _network() != outside
        raise ZeroDivisionError
    assert _network() == outside
    assert not sleeper.alive


async def test_programs_end_with_the_tests_even_when_these_are_killed(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    pids = _left_by_a_kill(tmp_path)
    await until(lambda: not any(_runs(pid) for pid in pids))


def _left_by_a_kill(folder: Path) -> list[int]:
    """What tests had started that then met a SIGKILL."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from server.rehearsal.phone.ground import Ground\n"
        "with Ground(Path(sys.argv[1])) as ground:\n"
        "    one = ground.start('sleep', '600')\n"
        "    two = ground.start('sh', '-c', 'sleep 600 & wait', name='two', family=True)\n"
        "    while two.pid == two.process.pid: time.sleep(0.01)\n"
        "    print(one.pid, two.pid, flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent) as tests:
        assert tests.stdout is not None
        pids = [int(one) for one in tests.stdout.readline().split()]
        tests.kill()
    assert len(pids) == 2
    return pids


def _runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_the_tests_own_sockets_meet_the_registrar(pbx: Registrar) -> None:
    assert await _answer() == b"SIP/2.0 200"
    assert pbx.running is not None
    pbx.running.freeze()
    with pytest.raises(TimeoutError):
        await _answer(within_s=0.3)
    pbx.running.thaw()
    assert await _answer() == b"SIP/2.0 200"
    await pbx.restart()
    assert await _answer() == b"SIP/2.0 200"


async def _answer(within_s: float = 30.0) -> bytes:
    question = (
        f"OPTIONS sip:{PBX} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLERS}:5099;branch=z9hG4bK1;rport\r\n"
        f"From: <sip:x@{PBX}>;tag=1\r\nTo: <sip:{PBX}>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n"
        "Content-Length: 0\r\n\r\n"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.bind((CALLERS, 5099))
        asking.setblocking(False)
        await asyncio.get_running_loop().sock_sendto(asking, question.encode(), (PBX, 5060))
        async with asyncio.timeout(within_s):
            return (await asyncio.get_running_loop().sock_recv(asking, 65535))[:11]
