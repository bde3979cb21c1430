"""A client of the public HTTP API, as an operator or a candidate's page would write it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from agent.plan import Plan

TIMEOUT_S = 20.0


class Refused(Exception):
    """The server said no, in an answer of its own."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(
            f"{response.request.method} {response.request.url.path}: "
            f"{response.status_code} {response.text[:300]}"
        )
        self.status = response.status_code
        self.retry_after_s = float(response.headers.get("retry-after", 0) or 0)


@dataclass(frozen=True)
class Invitation:
    interview_id: str
    token: str
    pin: str = ""
    """For the telephone, where the server has one."""


class _Client:
    def __init__(self, base_url: str, token: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=TIMEOUT_S,
            trust_env=False,  # the server is on this machine, whatever proxy there is
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def _send(self, method: str, path: str, json: object = None) -> httpx.Response:
        response = await self._http.request(method, path, json=json)
        if response.is_error:
            raise Refused(response)
        return response


class Operator(_Client):
    """The API key's side."""

    async def healthy(self) -> bool:
        try:
            return (await self._http.get("/healthz")).is_success
        except httpx.TransportError:
            return False

    async def live(self) -> int:
        """Interviews that are being held."""
        found: int = (await self._send("GET", "/healthz")).json()["live"]
        return found

    async def invite(self, plan: Plan, name: str) -> Invitation:
        body = {"plan": plan.model_dump(mode="json"), "candidate_name": name}
        made = (await self._send("POST", "/api/interviews", body)).json()
        return Invitation(made["interview_id"], made["token"], made["pin"])

    async def interview(self, interview_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self._send("GET", f"/api/interviews/{interview_id}")).json()
        return found

    async def report(self, interview_id: str, within_s: float) -> dict[str, Any]:
        """The report, as soon as it is there. Raises `TimeoutError`."""
        async with asyncio.timeout(within_s):
            while True:
                try:
                    response = await self._send("GET", f"/api/interviews/{interview_id}/report")
                except (Refused, httpx.TransportError) as error:
                    if isinstance(error, Refused) and error.status not in (404, 409, 503):
                        raise
                else:
                    if response.status_code == httpx.codes.OK:
                        report: dict[str, Any] = response.json()
                        return report
                await asyncio.sleep(0.25)

    async def transcript(self, interview_id: str) -> dict[str, Any]:
        path = f"/api/interviews/{interview_id}/transcript"
        found: dict[str, Any] = (await self._send("GET", path)).json()
        return found

    async def events(self, interview_id: str) -> list[dict[str, Any]]:
        """Each with its envelope: sequence number, epoch, hash."""
        found = (await self._send("GET", f"/api/interviews/{interview_id}/events")).json()
        entries: list[dict[str, Any]] = found["events"]
        return entries

    async def audio(self, interview_id: str) -> bytes | None:
        """The recording; None where there is none."""
        try:
            return (await self._send("GET", f"/api/interviews/{interview_id}/audio")).content
        except Refused as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            return None


class Guest(_Client):
    """The invited candidate's side."""

    async def call(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self._send("GET", "/api/call")).json()
        return found

    async def consent(self, version: str, *, recording: bool) -> None:
        body = {"interview": True, "recording": recording, "version": version}
        await self._send("POST", "/api/call/consent", body)

    async def offer(self, sdp: str) -> str:
        """The answer's SDP. Raises `Refused`."""
        made = await self._send("POST", "/api/call/offer", {"sdp": sdp, "type": "offer"})
        answer: str = made.json()["sdp"]
        return answer
