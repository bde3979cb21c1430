"""A PBX's part: kamailio as registrar and proxy, with digest, in a `Ground`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from server.rehearsal.phone.ground import PBX, Ground, Running, until

PORT = 5060
_MODULES = (
    *("tm", "sl", "rr", "pv", "maxfwd", "textops", "siputils"),
    *("htable", "usrloc", "registrar", "auth"),
)
_FOLDERS = ("lib/*-linux-*", "lib64", "lib")
"""Where distributions have its modules."""
_OPTIONS = (
    "OPTIONS sip:{pbx} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKready;rport\r\n"
    "From: <sip:ready@{pbx}>;tag=1\r\nTo: <sip:{pbx}>\r\nCall-ID: ready\r\nCSeq: 1 OPTIONS\r\n"
    "Max-Forwards: 9\r\nContent-Length: 0\r\n\r\n"
)

# `save` with 0x04 keeps one contact an account: with plain `save` a call forks to contacts that are
# long gone, and a busy answer never reaches the caller.
_CONFIG = """\
debug={debug}
log_stderror=yes
fork=yes
children=2
auto_aliases=no
dns=no
rev_dns=no
listen=udp:{pbx}:{port}
{loads}
modparam("htable", "htable", "passwords=>size=6;")
modparam("htable", "htable", "numbers=>size=6;")
modparam("rr", "enable_full_lr", 1)
modparam("registrar", "min_expires", 1)
modparam("tm", "fr_inv_timer", 60000)

event_route[htable:mod-init] {{
{entries}
}}

request_route {{
  force_rport();
  if (!mf_process_maxfwd_header("20")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("OPTIONS") && $rU == $null) {{ sl_send_reply("200", "OK"); exit; }}
  if (has_totag()) {{
    if (loose_route()) {{ t_relay(); exit; }}
    if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
    sl_send_reply("404", "Not Here");
    exit;
  }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  t_check_trans();
  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("$td", "$sht(passwords=>$au)", "0")) {{
      www_challenge("$td", "0");
      exit;
    }}
    if ($au != $tU) {{ sl_send_reply("403", "Forbidden"); exit; }}
    save("location", "0x04");
    exit;
  }}
  if (is_method("INVITE")) {{
    {record_route}
    {challenge}
  }}
  if ($sht(numbers=>$rU) != $null) $rU = $sht(numbers=>$rU);
  if ($sht(passwords=>$rU) == $null) {{ sl_send_reply("404", "Not Found"); exit; }}
  if (!lookup("location")) {{ sl_send_reply("480", "Temporarily Unavailable"); exit; }}
  t_relay();
}}
"""
_CHALLENGE = """\
if (!pv_proxy_authenticate("$fd", "$sht(passwords=>$au)", "0")) {
      proxy_challenge("$fd", "0");
      exit;
    }
    consume_credentials();"""


class Registrar:
    """`extensions` are names and passwords; `numbers` lead from what is dialled to an extension."""

    address = f"{PBX}:{PORT}"

    def __init__(
        self,
        ground: Ground,
        extensions: Mapping[str, str],
        numbers: Mapping[str, str] | None = None,
        *,
        challenge_calls: bool = True,
        record_route: bool = True,
        debug: int = 2,
    ) -> None:
        self._ground = ground
        self._folder = ground.folder / "kamailio"
        self._folder.mkdir(exist_ok=True)
        self._file = self._folder / "kamailio.cfg"
        text = _configuration(extensions, numbers or {}, challenge_calls, record_route, debug)
        self._file.write_text(text, encoding="utf-8")
        self.running: Running | None = None

    async def start(self) -> None:
        """Returns when it answers. What was registered before a `stop` is forgotten."""
        folder = str(self._folder)
        command = ("kamailio", "-f", str(self._file), "-DD", "-E", "-m", "32", "-M", "4")
        self.running = self._ground.start(*command, "-w", folder, "-Y", folder, family=True)
        await _answers(self.running)

    def stop(self) -> None:
        if self.running is not None:
            self.running.kill()
        self.running = None

    async def restart(self) -> None:
        self.stop()
        await self.start()


def _configuration(
    extensions: Mapping[str, str],
    numbers: Mapping[str, str],
    challenge_calls: bool,
    record_route: bool,
    debug: int,
) -> str:
    found = (one for folder in _FOLDERS for one in Path("/usr").glob(f"{folder}/kamailio/modules"))
    modules = next(found, Path("/usr/lib/kamailio/modules"))
    loads = [f'mpath="{modules}/"', *(f'loadmodule "{one}.so"' for one in _MODULES)]
    entries = [f'  $sht(passwords=>{one}) = "{word}";' for one, word in extensions.items()]
    entries += [f'  $sht(numbers=>{one}) = "{to}";' for one, to in numbers.items()]
    return _CONFIG.format(
        debug=debug,
        pbx=PBX,
        port=PORT,
        loads="\n".join(loads),
        entries="\n".join(entries),
        challenge=_CHALLENGE if challenge_calls else "",
        record_route="record_route();" if record_route else "",
    )


async def _answers(running: Running) -> None:
    """Asks until it answers: an ICMP error from a port not yet open is one more try."""

    def answered() -> bool:
        if not running.alive:
            raise RuntimeError(f"kamailio ended: {running.said[-2000:]}")
        try:
            asking.send(question)
            return asking.recv(65535).startswith(b"SIP/2.0 200")
        except OSError:
            return False

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((PBX, PORT))
        asking.setblocking(False)
        host, port = cast(tuple[str, int], asking.getsockname())
        question = _OPTIONS.format(pbx=PBX, here=f"{host}:{port}").encode()
        await until(answered, what=lambda: running.said[-2000:])
        await asyncio.sleep(0)
