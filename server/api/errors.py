"""Refusals in one form, `{"code", "text"}`: a code for the page, a sentence for a person."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from server.api.models import Refusal
from server.api.ports import BadOffer, Busy, NotConsented, NotLive, Over
from server.interviews import NotEnded
from server.invites import ExpiredInvite, InviteError, RevokedInvite, TooManyGuesses
from server.media.errors import PortsExhausted
from server.microphone_url import NoMicrophone
from server.phone.outbound import NoCall
from server.store import Erased, StaleLease, StoreUnavailable, UnknownInterview

logger = logging.getLogger(__name__)

BUSY_RETRY_S = 30
NOT_JSON = "The request's body is not JSON: it has to be UTF-8 and not nested deeply."
CODES = {
    400: "bad_body",
    401: "unauthorised",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
}


WHY = {
    400: "The body is not JSON, or the offer no offer.",
    401: "No invite or API key, or an unknown one.",
    404: "There is no such thing.",
    409: "It does not fit what the interview has come to.",
    410: "The invite has expired or was withdrawn, or the interview was erased.",
    413: "The body is too large.",
    422: "The request is malformed; `problems` lists where.",
    429: "Too many wrong invites or keys from this address; wait.",
    500: "A defect of the server.",
    503: "All places are taken, or the store is out of reach; wait.",
    507: "The disk is full.",
}
"""What each status says; docs/api.md has the codes."""


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How OpenAPI describes these."""
    return {status: {"model": Refusal, "description": WHY[status]} for status in statuses}


class ApiError(Exception):
    """A refusal that the caller can act on."""

    def __init__(self, http_status: int, code: str, text: str, **more: Any) -> None:
        super().__init__(text)
        self.http_status = http_status
        self.code = code
        self.text = text
        self.more = more

    @property
    def body(self) -> dict[str, Any]:
        return {"code": self.code, "text": self.text, **self.more}


def of(error: Exception) -> ApiError:
    """What a caller is told of an error of the parts behind the API."""
    match error:
        case ApiError():
            return error
        case InviteError():
            return _invite(error)
        case Busy():
            return ApiError(
                503,
                "busy",
                "All places are taken at the moment. Please wait: this page tries again by itself.",
                status="waiting",
                retry_after_s=BUSY_RETRY_S,
            )
        case NotConsented():
            return ApiError(409, "not_consented", "The interview needs your consent first.")
        case Over():
            return ApiError(409, "ended", "This interview is over.")
        case NotLive():
            return ApiError(409, "not_live", "You are not connected. Join again; nothing was lost.")
        case BadOffer():
            return ApiError(400, "bad_offer", f"This WebRTC offer cannot be answered: {error}")
        case PortsExhausted():
            return ApiError(503, "busy", str(error), status="waiting", retry_after_s=BUSY_RETRY_S)
        case Erased():
            return ApiError(410, "erased", "What was said in this interview has been erased.")
        case UnknownInterview():
            return ApiError(404, "not_found", "There is no such interview.")
        case NoMicrophone():
            return ApiError(409, "no_microphone", str(error))
        case NoCall():
            return ApiError(409, "no_call", str(error), reason=error.code)
        case NotEnded():
            return ApiError(409, "not_ended", "This follows the interview's end.")
        case StaleLease():
            return ApiError(409, "moved", "The interview goes on elsewhere.")
        case StoreUnavailable():
            return ApiError(
                503, "store_unavailable", f"{error} Try again in a minute.", retry_after_s=60
            )
    raise error


def _invite(error: InviteError) -> ApiError:
    match error:
        case TooManyGuesses(retry_after_s=wait):
            seconds = max(1, math.ceil(wait))
            text = "Too many wrong links from this address. Wait a minute, then try again."
            return ApiError(429, "too_many_guesses", text, retry_after_s=seconds)
        case ExpiredInvite():
            return ApiError(
                410, "expired_invite", "This invite has expired. Ask whoever sent it for a new one."
            )
        case RevokedInvite():
            return ApiError(
                410,
                "revoked_invite",
                "This invite was withdrawn. Ask whoever sent it what comes next.",
            )
    return ApiError(
        401, "unknown_invite", "This link is not known. Check that all of it was copied."
    )


def headers_of(error: ApiError) -> dict[str, str]:
    headers = {}
    if retry := error.more.get("retry_after_s"):
        headers["Retry-After"] = str(retry)
    if error.http_status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


Answer = Callable[[Request, ApiError], Response]


def as_json(request: Request, error: ApiError) -> Response:
    return JSONResponse(error.body, error.http_status, headers_of(error))


HANDLED = (
    ApiError,
    InviteError,
    Busy,
    NotConsented,
    Over,
    NotLive,
    BadOffer,
    NoMicrophone,
    PortsExhausted,
    UnknownInterview,
    StaleLease,
    NotEnded,
    NoCall,
    StoreUnavailable,
)


def install(app: FastAPI, answer: Answer = as_json) -> None:
    """Every error is answered in one form, which `answer` gives it."""

    async def refuse(request: Request, error: Exception) -> Response:
        return answer(request, of(error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = CODES.get(error.status_code, "refused")
        # FastAPI's own words for a body say neither what it read nor what it wanted.
        text = NOT_JSON if error.status_code == 400 else str(error.detail)
        return answer(request, ApiError(error.status_code, code, text))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        # What was sent is not echoed: it may be long, or somebody's secret.
        problems = [
            {"where": ".".join(str(part) for part in e["loc"]), "text": e["msg"]}
            for e in error.errors()[:50]
        ]
        first = problems[0]
        text = f"{first['where']}: {first['text']}"
        return answer(request, ApiError(422, "invalid", text, problems=problems))

    async def failed(request: Request, error: Exception) -> Response:
        # A defect of ours; uvicorn logs the traceback.
        text = (
            "Something went wrong here; nothing was changed. The operator can see why in the log."
        )
        return answer(request, ApiError(500, "failed", text))

    app.add_exception_handler(Exception, failed)
    for kind in HANDLED:
        app.add_exception_handler(kind, refuse)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
