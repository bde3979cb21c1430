"""A Janus for quick tests: a real SOCK_SEQPACKET socket, and answers by script."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.phone.janus.gateway import Door

Message = dict[str, Any]
SECRET = "open sesame"
MASTER = 4242


class FakeJanus:
    """A gateway for `JanusBridge` that is its own Janus. What it was asked is in `asked`; what it
    answers to the SIP plugin's requests may be changed in `answers`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "janus.sock"
        self.asked: list[Message] = []
        self.ups = 0
        self.answers: dict[str, Callable[[Message], Message | None]] = {
            "register": self._registers,
            "accept": lambda body: {"event": "accepted"},
            "call": lambda body: {"event": "calling", "call_id": "out-1"},
            "update": lambda body: {"event": "updated"},
        }
        self.says_goodbye = True
        """Whether a call that is hung up or declined has an end."""
        self.refuses_handles = False
        self.withholds_handles = False
        """Whether nothing at all comes of asking for one."""
        self.handles: list[int] = []
        self._numbers = itertools.count(100)
        self._listening: socket.socket | None = None
        self._client: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None
        self.dead = asyncio.Event()

    # --- a Gateway --------------------------------------------------------------------------------
    async def up(self) -> Door:
        self.ups += 1
        self.dead.clear()
        self.handles.clear()
        self.path.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listening.bind(str(self.path))
        self._listening.listen()
        self._listening.setblocking(False)
        self._serving = asyncio.create_task(self._serve())
        return Door(self.path, SECRET, "1.1.2")

    async def ended(self) -> str:
        await self.dead.wait()
        return "it died"

    async def stop(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        for one in (self._client, self._listening):
            if one is not None:
                one.close()
        self._client = self._listening = None

    def die(self) -> None:
        """As by SIGKILL."""
        self.dead.set()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    # --- what it says -----------------------------------------------------------------------------
    def send(self, packet: bytes) -> None:
        assert self._client is not None
        self._client.send(packet)

    def says(self, message: Message) -> None:
        self.send(json.dumps(message).encode())

    def event(self, handle: int, result: Message, jsep: Message | None = None) -> None:
        data = {"sip": "event", "result": result, "call_id": "in-1"}
        plugin = {"plugin": "janus.plugin.sip", "data": data}
        message: Message = {"janus": "event", "sender": handle, "plugindata": plugin}
        self.says(message | ({"jsep": jsep} if jsep else {}))

    def rings(self, handle: int, user: str = "anna", sdp: str | None = "v=0\r\n") -> None:
        caller = {"event": "incomingcall", "username": f"sip:{user}@pbx", "callee": "sip:viva@pbx"}
        self.event(handle, caller, {"type": "offer", "sdp": sdp} if sdp is not None else None)

    def bodies(self, request: str) -> list[Message]:
        """What the plugin was asked, by the name of the request."""
        found = [one.get("body", {}) for one in self.asked if one["janus"] == "message"]
        return [body for body in found if body.get("request") == request]

    # --- what it does -----------------------------------------------------------------------------
    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._listening is not None
        while True:
            client, _ = await loop.sock_accept(self._listening)
            client.setblocking(False)
            self._client = client
            try:
                while packet := await loop.sock_recv(client, 65536):
                    self._answer(json.loads(packet))
            except (OSError, ValueError):
                pass

    def _answer(self, message: Message) -> None:
        self.asked.append(message)
        reply: Message = {"transaction": message["transaction"]}
        if message.get("apisecret") != SECRET:
            self.says(reply | {"janus": "error", "error": {"code": 403, "reason": "Unauthorized"}})
            return
        match message["janus"]:
            case "create":
                self.says(reply | {"janus": "success", "data": {"id": next(self._numbers)}})
            case "attach" if self.withholds_handles:
                pass
            case "attach" if self.refuses_handles:
                error = {"code": 460, "reason": "Could not attach"}
                self.says(reply | {"janus": "error", "error": error})
            case "attach":
                self.handles.append(next(self._numbers))
                self.says(reply | {"janus": "success", "data": {"id": self.handles[-1]}})
            case "message":
                self.says(reply | {"janus": "ack"})
                self._plugin(message)
            case _:
                self.says(reply | {"janus": "success"})

    def _plugin(self, message: Message) -> None:
        body, handle = message["body"], message["handle_id"]
        if self.says_goodbye and body["request"] in ("hangup", "decline"):
            code = body.get("code", 200)
            self.event(handle, {"event": "hangup", "code": code, "reason": "SIP BYE"})
        answer = self.answers.get(body["request"], lambda body: None)(body)
        if answer is None:
            return
        data: Message = {"sip": "event"}
        data |= answer if "error_code" in answer else {"result": answer}
        if "call_id" in answer:
            data["call_id"] = answer["call_id"]
        reply = {"janus": "event", "sender": handle, "transaction": message["transaction"]}
        self.says(reply | {"plugindata": {"plugin": "janus.plugin.sip", "data": data}})
        if answer.get("event") == "registering":
            self.event(handle, {"event": "registered", "master_id": MASTER})

    @staticmethod
    def _registers(body: Message) -> Message:
        if body.get("type") == "helper":
            return {"event": "registered", "helper": True, "master_id": body["master_id"]}
        return {"event": "registering"}
