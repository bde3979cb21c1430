"""The desk's door: sign in, sign out, choose a language."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from server.api.parts import WithParts, address_of
from server.logins import TooManyTries, WrongPassword
from server.pages.desk import (
    SIGN_IN,
    back_to,
    checked_next,
    cookie_name,
    is_https,
    page,
    token_of,
)
from server.pages.forms import same_origin
from server.pages.rendering import LANGUAGE_COOKIE

router = APIRouter(prefix="/desk", include_in_schema=False)
FORM = [Depends(same_origin)]
YEAR_S = 365 * 86_400


@router.get("/sign-in")
async def door(request: Request, parts: WithParts, next: str = "") -> Response:
    if await parts.logins.find(token_of(request)) is not None:
        return RedirectResponse(checked_next(next), 303)
    return _door(request, next, closed=not await parts.logins.is_open())


@router.post("/sign-in", dependencies=FORM)
async def sign_in(
    request: Request,
    parts: WithParts,
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "",
) -> Response:
    """The same answer, after the same time, to every password that opens nothing."""
    try:
        token = await parts.logins.sign_in(password, address_of(request))
    except WrongPassword:
        return _door(request, next, status=403, error="wrong_password")
    except TooManyTries as error:
        wait = math.ceil(error.retry_after_s)
        return _door(request, next, status=429, error="too_many_tries", wait_s=wait)
    answer = RedirectResponse(checked_next(next), 303)
    answer.set_cookie(
        cookie_name(request),
        token,
        httponly=True,
        samesite="lax",
        secure=is_https(request),
    )
    return answer


@router.post("/sign-out", dependencies=FORM)
async def sign_out(request: Request, parts: WithParts) -> Response:
    await parts.logins.sign_out(token_of(request))
    answer = back_to(SIGN_IN, "signed_out")
    answer.delete_cookie(
        cookie_name(request), httponly=True, samesite="lax", secure=is_https(request)
    )
    return answer


@router.post("/language", dependencies=FORM)
async def choose_language(
    request: Request,
    language: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "",
) -> Response:
    """For this browser; the sign-in page is a place to go back to here."""
    answer = RedirectResponse(SIGN_IN if next == SIGN_IN else checked_next(next), 303)
    if language in ("en", "zh"):
        answer.set_cookie(
            LANGUAGE_COOKIE,
            language,
            max_age=YEAR_S,
            httponly=True,
            samesite="lax",
            secure=is_https(request),
        )
    return answer


def _door(
    request: Request,
    next: str,
    *,
    status: int = 200,
    error: str = "",
    wait_s: int = 0,
    closed: bool = False,
) -> Response:
    return page(
        request,
        "sign_in.html",
        status=status,
        headers={"Retry-After": str(wait_s)} if wait_s else None,
        here=SIGN_IN,
        admin=False,
        next=checked_next(next),
        error=error,
        wait_minutes=math.ceil(wait_s / 60),
        closed=closed,
    )
