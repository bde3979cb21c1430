"""Bounds on what strangers may send, and headers on what they get: two small ASGI layers and a
token bucket.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 1 << 20
"""Bytes; a plan with long rubrics has about 100 kB."""
MAX_SDP = 64 << 10
MAX_TYPED = 8000
"""Letters of one typed answer: some fifteen minutes of quick typing."""
MAX_FRAME = 1 << 20
"""Bytes of a WebSocket message. Far above a typed answer's limit, so that one that is too long gets
an answer and not a closed connection."""

SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; media-src 'self' blob:; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    # Never the path, which is a candidate's key and would stand in every proxy's log; our own forms
    # need the origin.
    "referrer-policy": "strict-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


FOREVER = "public, max-age=31536000, immutable"
"""For what lies under its own digest."""


class BodyLimit:
    """413 for a request body over the limit, whether its length is announced or not."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self._app = app
        self._limit = limit
        self._text = f"The request is too large: at most {limit} bytes."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._limit:
            refusal = JSONResponse({"code": "too_large", "text": self._text}, 413)
            await refusal(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise HTTPException(413, self._text)
            return message

        await self._app(scope, counted, send)


class SecurityHeaders:
    """Headers on every answer; no cache keeps anything but the files under their digest."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = dict(SECURITY)
        if https:
            self._headers["strict-transport-security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                kept = scope["path"].startswith("/static/") and message["status"] == 200
                headers.setdefault("cache-control", FOREVER if kept else "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)


class TokenBucket:
    """So many messages at once, so many a second after that; pure, time is passed in."""

    def __init__(self, per_second: float, burst: int, at: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._at = at

    def take(self, at: float) -> bool:
        """Whether one more message is within bounds."""
        self._tokens = min(self._burst, self._tokens + (at - self._at) * self._per_second)
        self._at = at
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
