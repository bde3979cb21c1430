"""The parts of the bridge over Janus that decide without it."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.phone.accounts import Account
from server.phone.bridge import GatewayMissing, GatewayTooOld, HungUp, Party
from server.phone.janus import config, health, process, program, sip
from server.phone.janus.doorkeeper import (
    Network,
    NotGuarded,
    filter_code,
    guard,
    networks,
    ports_of,
)
from server.phone.janus.health import FLOOD_BYTES_PER_S, Health, thread_seconds
from server.phone.janus.log import LINES, PASSED_ON, WIDTH, LogTail
from server.phone.janus.process import JanusProcess, end_leftover


# --- the program ----------------------------------------------------------------------------------
def janus_at(prefix: Path, version: str = "1102 (1.1.2)", lib: str = "lib/x86_64-linux-gnu") -> str:
    """An installation whose program only tells its version."""
    home = prefix / lib / "janus"
    for folder, names in (
        ("plugins", ("libjanus_sip.so", "libjanus_echotest.so", "libjanus_sip.so.1")),
        ("transports", ("libjanus_pfunix.so", "libjanus_http.so")),
    ):
        (home / folder).mkdir(parents=True)
        for name in names:
            (home / folder / name).touch()
    (prefix / "bin").mkdir()
    executable = prefix / "bin" / "janus"
    executable.write_text(f"#!/bin/sh\necho 'Janus version: {version}'\nexit 1\n")
    executable.chmod(0o755)
    return str(executable)


@pytest.mark.parametrize("lib", ["lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64", "lib"])
def test_the_folders_are_found_beside_the_program(tmp_path: Path, lib: str) -> None:
    found = program.find(janus_at(tmp_path, lib=lib))
    assert found.version == "1.1.2"
    assert found.plugins == tmp_path / lib / "janus" / "plugins"
    assert found.transports == tmp_path / lib / "janus" / "transports"


@pytest.mark.parametrize("version", ["1003 (1.0.3)", "118 (0.11.8)"])
def test_an_old_janus_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(GatewayTooOld, match=r"at least 1\.1\.2"):
        program.find(janus_at(tmp_path, version))


def test_without_janus_the_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(GatewayMissing, match="apt-get install janus"):
        program.find(str(tmp_path / "janus"))


def test_a_program_that_is_no_janus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GatewayMissing, match="no Janus"):
        program.find(janus_at(tmp_path, "none"))


# --- its configuration ----------------------------------------------------------------------------
def test_everything_but_sip_and_the_unix_socket_is_off(tmp_path: Path) -> None:
    found = program.find(janus_at(tmp_path / "usr"))
    gateway = config.Gateway(tmp_path / "janus", "10.0.0.7", (22000, 22099))
    command = config.write(found, gateway)
    main = (tmp_path / "janus" / "janus.jcfg").read_text()
    assert 'disable = "libjanus_echotest.so"' in main and 'disable = "libjanus_http.so"' in main
    assert f'api_secret = "{gateway.secret}"' in main and len(gateway.secret) == 64
    assert "debug_level = 4" in main  # from 5 on it logs passwords
    assert command == [str(found.executable), "-C", command[2], "-F", str(tmp_path / "janus")]
    told = (tmp_path / "janus" / "janus.plugin.sip.jcfg").read_text()
    assert 'local_ip = "10.0.0.7"' in told and 'rtp_port_range = "22000-22099"' in told


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    gateway = config.Gateway(tmp_path / "janus", "10.0.0.7", (22000, 22099))
    (tmp_path / "janus").mkdir(mode=0o755)  # as somebody left it
    config.write(program.find(janus_at(tmp_path / "usr")), gateway)
    assert stat.S_IMODE((tmp_path / "janus").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "janus" / "janus.jcfg").stat().st_mode) == 0o600
    assert gateway.secret not in repr(gateway)


def test_a_path_cannot_break_out_of_its_quotes(tmp_path: Path) -> None:
    found = program.Program(Path("/j"), Path('/a"b\\c'), Path("/t"), "1.1.2")
    text = config.texts(found, config.Gateway(tmp_path, "10.0.0.7", (1, 2)))["janus.jcfg"]
    assert r'plugins_folder = "/a\"b\\c"' in text
    broken = program.Program(Path("/j"), Path("/a\nb"), Path("/t"), "1.1.2")
    with pytest.raises(ValueError, match="configuration"):
        config.texts(broken, config.Gateway(tmp_path, "10.0.0.7", (1, 2)))


# --- its log and its health -----------------------------------------------------------------------
def test_only_some_errors_are_passed_on_and_the_end_is_kept() -> None:
    log = LogTail()
    assert log.feed(b"hello\n[ERR] one\n[WA", 0.0) == ["[ERR] one"]
    assert log.feed(b"RN] two\n", 0.0) == []
    assert list(log.lines) == ["hello", "[ERR] one", "[WARN] two"]
    passed = log.feed(b"[ERR] again\n" * 1000, 1.0)
    assert len(passed) == PASSED_ON - 1 and len(log.lines) == LINES and log.left_out > 100
    assert log.feed(b"[FATAL] later\n", 61.0) == ["[FATAL] later"]


def test_a_line_without_an_end_does_not_grow() -> None:
    log = LogTail()
    for _ in range(100):
        log.feed(b"x" * 65536, 0.0)
    log.feed(b"\n", 0.0)
    assert [len(line) for line in log.lines] == [WIDTH] and log.bytes == 100 * 65536 + 1


def test_a_thread_that_spins_is_noticed_and_many_busy_ones_are_not() -> None:
    mind = Health()
    for at in range(20):
        assert not mind.look(float(at), {1: at * 0.5, 2: at * 0.6, 3: float(at)}, 0)
    assert "busy" in mind.look(20.0, {1: 10.0, 2: 12.0, 3: 20.0}, 0)


async def test_a_process_that_spins_has_to_be_started_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "BUSY", 0.05)  # of a core that others may want, too
    monkeypatch.setattr(health, "SPINNING_S", 1.5)
    monkeypatch.setattr(process, "LOOK_EVERY_S", 0.5)
    spinning = [sys.executable, "-c", "while True: pass"]
    running = await JanusProcess.start(spinning, tmp_path)
    try:
        assert "kept a core busy" in await asyncio.wait_for(running.ended(), 60)
    finally:
        await running.stop()
    assert not running.running


def test_a_thread_that_rests_in_between_is_well() -> None:
    mind, used = Health(), 0.0
    for at in range(100):
        used += 0.0 if at % 15 == 0 else 1.0
        assert not mind.look(float(at), {3: used}, 0)


def test_a_log_without_end_is_noticed() -> None:
    mind = Health()
    said = [mind.look(float(at), {}, at * 2 * FLOOD_BYTES_PER_S) for at in range(7)]
    assert said[4] == "" and "megabyte" in said[6]


def test_processor_time_is_read_by_thread() -> None:
    assert thread_seconds(os.getpid())[os.getpid()] >= 0
    assert thread_seconds(2**22 + 1) == {}


def test_only_a_process_of_this_folder_is_ended(tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        (tmp_path / "janus.pid").write_text(str(sleeper.pid))
        end_leftover(tmp_path)  # the number has come to somebody else
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()
    code = "import time; print('up', flush=True); time.sleep(600)"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as left:
        assert left.stdout is not None and left.stdout.readline()
        (tmp_path / "janus.pid").write_text(str(left.pid))
        threading.Thread(target=left.wait, daemon=True).start()  # as init does with an orphan
        end_leftover(tmp_path)
        assert left.wait(30) < 0


# --- who may speak to it --------------------------------------------------------------------------
def test_networks_are_read() -> None:
    assert networks(" 10.0.0.1, 192.0.2.0/24 ,") == [Network("10.0.0.1"), Network("192.0.2.0/24")]
    with pytest.raises(ValueError):
        networks("pbx.example")
    with pytest.raises(ValueError, match="too many"):
        filter_code([Network(f"10.{n}.0.1") for n in range(201)])


def test_a_stranger_is_dropped_by_the_kernel() -> None:
    code = (
        "import socket\n"
        "one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.bind(('127.0.0.1', 0))\n"
        "print(one.getsockname()[1], flush=True)\n"
        "while True: print(one.recvfrom(99)[1][0], flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            port = int(other.stdout.readline())
            try:
                assert ports_of(other.pid) == {port: False}
                guard(other.pid, [Network("127.0.0.8/31"), Network("127.0.0.3")], {port})
            except NotGuarded as error:
                pytest.skip(f"no filter here: {error}")
            for sender in ("127.0.0.1", "127.0.0.9", "127.0.0.4", "127.0.0.10", "127.0.0.3"):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                    one.bind((sender, 0))
                    one.sendto(b"x", ("127.0.0.1", port))
            heard = [other.stdout.readline().strip() for _ in range(2)]
            assert heard == ["127.0.0.9", "127.0.0.3"]
        finally:
            other.kill()


# --- what is said and heard -----------------------------------------------------------------------
def event(result: object, **more: object) -> dict[str, Any]:
    return {"plugindata": {"data": {"sip": "event", "result": result}}, **more}


def test_a_registration_carries_addresses_and_the_secret() -> None:
    account = Account("main", "viva", "pbx.example", 5080, password="hush", login="4711")
    body = sip.register(account, "192.0.2.5")
    assert body["username"] == "sip:viva@pbx.example" and body["authuser"] == "4711"
    assert body["proxy"] == body["outbound_proxy"] == "sip:192.0.2.5:5080"
    assert body["rfc2543_cancel"] and "refresh" not in body


def test_encryption_is_asked_for_as_the_plugin_names_it() -> None:
    account = Account("main", "viva", "192.0.2.5")
    assert "srtp" not in sip.accept("off")
    assert sip.accept("required")["srtp"] == "sdes_mandatory"
    assert sip.call(account, "101", "optional")["srtp"] == "sdes_optional"


def test_a_missed_call_and_an_end_are_read() -> None:
    missed = sip.read(event({"event": "missed_call", "caller": "sip:101@pbx"}))
    assert missed == sip.Missed(Party("101", "pbx"))
    assert sip.read(event({"event": "hangup", "code": True, "reason": 7})) == HungUp(1, "")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["event", "result", "data", "code", "sdp", "username", "content"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
_NAMES = ["registered", "registration_failed", "incomingcall", "missed_call", "updatingcall"]


@given(st.sampled_from([*_NAMES, "hangup", "info", "progress"]), _JSON, _JSON, _JSON)
def test_whatever_an_event_holds_reading_it_never_fails(
    name: str, code: object, text: object, jsep: object
) -> None:
    result = {"event": name, "code": code, "master_id": code, "reason": text, "username": text}
    result |= {"displayname": text, "callee": code, "caller": text, "type": text, "content": code}
    sip.read(event(result, jsep=jsep))
    sip.read(event(code))
    sip.error_of({"plugindata": jsep})
    sip.call_id({"plugindata": {"data": {"call_id": text}}})
