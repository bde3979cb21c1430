"""What sipp, a SIP program that is not ours, is to do: call by password, register, take a call."""

from __future__ import annotations

_HEAD = '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="{name}">\n'
_SDP = """\
v=0
o=sipp 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [media_port] RTP/AVP 8 0
"""
_OUT = """\
{method} {uri} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
{route}From: <sip:{user}@[remote_ip]>;tag=[call_number]
To: <sip:{to}@[remote_ip]>{tag}
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:{user}@[local_ip]:[local_port]>
Max-Forwards: 70
{more}Content-Length: [len]

{body}"""
_BACK = """\
SIP/2.0 {code}
[last_Via:]
[last_Record-Route:]
[last_From:]
[last_To:]{tag}
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
{more}Content-Length: [len]

{body}"""


def _send(text: str, attributes: str = "") -> str:
    return f"<send{attributes}><![CDATA[\n{text}\n]]></send>\n"


def _request(method: str, number: int, user: str, to: str, **more: str) -> str:
    filled = {
        "uri": f"sip:{to}@[remote_ip]:[remote_port]",
        "route": "",
        "tag": "",
        "more": "",
        "body": "",
        **more,
    }
    return _OUT.format(method=method, number=number, user=user, to=to, **filled)


def calls(user: str, word: str, to: str, talks_ms: int) -> str:
    """INVITE, the password when asked for it, ACK, so long a call, BYE."""
    sdp = {"more": "Content-Type: application/sdp\n", "body": _SDP}
    proof = f"[authentication username={user} password={word}]\n"
    route = {"uri": "[next_url]", "route": "[routes]\n", "tag": "[peer_tag_param]"}
    return (
        _HEAD.format(name="calls")
        + _send(_request("INVITE", 1, user, to, **sdp), ' retrans="500"')
        + '<recv response="100" optional="true"></recv>\n<recv response="407" auth="true"></recv>\n'
        + _send(_request("ACK", 1, user, to, tag="[peer_tag_param]"))
        + _send(
            _request("INVITE", 2, user, to, body=_SDP, more=f"{proof}{sdp['more']}"),
            ' retrans="500"',
        )
        + '<recv response="100" optional="true"></recv>\n'
        + '<recv response="180" optional="true"></recv>\n<recv response="200" rrs="true"></recv>\n'
        + _send(_request("ACK", 2, user, to, **route))
        + f'<pause milliseconds="{talks_ms}"/>\n'
        + _send(_request("BYE", 3, user, to, **route), ' retrans="500"')
        + '<recv response="200"></recv>\n</scenario>\n'
    )


def registers(user: str, word: str) -> str:
    """REGISTER, and again with the password."""
    expires = "Expires: 60\n"
    proof = f"[authentication username={user} password={word}]\n"
    return (
        _HEAD.format(name="registers")
        + _send(_request("REGISTER", 1, user, user, more=expires), ' retrans="500"')
        + '<recv response="401" auth="true"></recv>\n'
        + _send(_request("REGISTER", 2, user, user, more=expires + proof), ' retrans="500"')
        + '<recv response="200"></recv>\n</scenario>\n'
    )


def takes_a_call() -> str:
    """Rings, answers, and waits for BYE."""
    tag = ";tag=[call_number]"
    sdp = "Content-Type: application/sdp\n"
    return (
        _HEAD.format(name="takes a call")
        + '<recv request="INVITE" rrs="true"></recv>\n'
        + _send(_BACK.format(code="180 Ringing", more="", body="", tag=tag))
        + _send(_BACK.format(code="200 OK", more=sdp, body=_SDP, tag=tag), ' retrans="500"')
        + '<recv request="ACK"></recv>\n<recv request="BYE"></recv>\n'
        + _send(_BACK.format(code="200 OK", more="", body="", tag=""))
        + "</scenario>\n"
    )
