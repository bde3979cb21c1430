"""Callers for tests with a real gateway: sipp scenarios; and a desk that keeps what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from server.phone.bridge import BridgeCall, CallEvent

SDP = """v=0
o=u 1 1 IN IP4 [media_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
"""
ANNA = "<sip:anna@pbx.test>"
_HEAD = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch{back}]
From: {caller};tag=[call_number]
To: <sip:[service]@[remote_ip]>{to_tag}
Call-ID: [call_id]
CSeq: {cseq}
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
{more}"""


_OK = (
    "<![CDATA[\n\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n"
    "[last_CSeq:]\nContent-Length: 0\n\n]]>"
)


def _request(
    method: str,
    cseq: int,
    *,
    caller: str,
    body: str = "",
    more: str = "",
    kind: str = "application/sdp",
) -> str:
    in_dialog = "" if method == "INVITE" and cseq == 1 else "[peer_tag_param]"
    target = "[next_url]" if in_dialog else "sip:[service]@[remote_ip]:[remote_port]"
    more += "[routes]\n" if in_dialog else ""
    head = _HEAD.format(
        back="", caller=caller, to_tag=in_dialog, cseq=f"{cseq} {method}", more=more
    )
    named = f"Content-Type: {kind}\n" if body else ""
    text = f"{method} {target} SIP/2.0\n{head}{named}Content-Length: [len]\n\n{body}"
    return f"<![CDATA[\n\n{text}\n]]>"


def refused(code: int, *, caller: str = ANNA, more: str = "", body: str = SDP) -> str:
    """A call that is answered with this code."""
    return _scenario(
        f"<send retrans='500'>{_request('INVITE', 1, caller=caller, body=body, more=more)}</send>"
        "<recv response='100' optional='true'/><recv response='180' optional='true'/>"
        f"<recv response='{code}' rtd='true'/>"
        f"<send>{_ack(caller, 4)}</send>"
    )


def given_up(*, caller: str = ANNA) -> str:
    """A call whose caller cancels it while it rings."""
    cancel = _HEAD.format(back="-3", caller=caller, to_tag="", cseq="1 CANCEL", more="")
    text = f"CANCEL sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n{cancel}Content-Length: 0\n"
    return _scenario(
        f"<send retrans='500'>{_request('INVITE', 1, caller=caller, body=SDP)}</send>"
        "<recv response='100' optional='true'/><recv response='180'/>"
        f"<send retrans='500'><![CDATA[\n\n{text}\n]]></send>"
        "<recv response='200' optional='true'/><recv response='487'/>"  # in either order
        f"<send>{_ack(caller, 6)}</send>"
    )


def answered(
    *, caller: str = ANNA, ends: str = "callee", body: str = SDP, more: Sequence[str] = ()
) -> str:
    """A call that is answered, and then ended by one of the two; `more` happens in between."""
    end = (
        f"<recv request='BYE' timeout='60000'/><send>{_OK}</send>"
        if ends == "callee"
        else "<pause milliseconds='200'/>"
        f"<send retrans='500'>{_request('BYE', 99, caller=caller)}</send><recv response='200'/>"
    )
    return _scenario(
        f"<send retrans='500'>{_request('INVITE', 1, caller=caller, body=body)}</send>"
        "<recv response='100' optional='true'/><recv response='180' optional='true'/>"
        "<recv response='200' rrs='true'/>"
        f"<send>{_request('ACK', 1, caller=caller)}</send>"
        f"{''.join(one.format(cseq=n) for n, one in enumerate(more, 2))}{end}"
    )


def info(content: str) -> str:
    """For `more`: a key by SIP INFO."""
    request = _request(
        "INFO", 77, caller=ANNA, body=f"{content}\nDuration=160\n", kind="application/dtmf-relay"
    )
    request = request.replace("77 INFO", "{cseq} INFO")
    return f"<send retrans='500'>{request}</send><recv response='200'/>"


def hold() -> str:
    """For `more`: the caller holds the call."""
    body = SDP.replace("o=u 1 1", "o=u 1 2") + "a=sendonly\n"
    invite = _request("INVITE", 77, caller=ANNA, body=body).replace("77 INVITE", "{cseq} INVITE")
    ack = _request("ACK", 77, caller=ANNA).replace("77 ACK", "{cseq} ACK")
    return (
        f"<send retrans='500'>{invite}</send><recv response='100' optional='true'/>"
        f"<recv response='200' timeout='20000'/><send>{ack}</send>"
    )


def _ack(caller: str, back: int) -> str:
    """Of a refusal: it carries the branch of the INVITE, so many steps of the scenario ago."""
    head = _HEAD.format(
        back=f"-{back}", caller=caller, to_tag="[peer_tag_param]", cseq="1 ACK", more=""
    )
    text = f"ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n{head}Content-Length: 0\n"
    return f"<![CDATA[\n\n{text}\n]]>"


def _scenario(steps: str) -> str:
    # sipp reads attributes in double quotes only.
    return f"<?xml version='1.0'?><scenario name='x'>{steps}</scenario>".replace("'", '"')


@dataclass
class Desk:
    """Who is told of calls; keeps each call and its events."""

    calls: list[BridgeCall] = field(default_factory=list)
    events: dict[int, list[CallEvent]] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __call__(self, call: BridgeCall) -> None:
        self.listen(call)

    def listen(self, call: BridgeCall) -> list[CallEvent]:
        self.calls.append(call)
        seen = self.events[len(self.calls) - 1] = []
        self._tasks.append(asyncio.create_task(self._follow(call, seen)))
        return seen

    async def _follow(self, call: BridgeCall, seen: list[CallEvent]) -> None:
        async for event in call.events():
            seen.append(event)
