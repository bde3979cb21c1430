"""The recruiter's desk: who may see it, and what its pages share. Its routes are in `desk_*.py`.

Nothing of any interview is shown without a login: neither a name, nor whether there is such a page.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.requests import HTTPConnection

import web
from agent.plan import Language
from server.api.parts import parts_of
from server.pages.rendering import preferred_language, render
from server.store import Login

HOME = "/desk"
SIGN_IN = "/desk/sign-in"
COOKIE = "viva_login"
_OURS = re.compile(r"/desk(/[A-Za-z0-9_-]+)*(\?[A-Za-z0-9_=&-]*)?")
DONE = ("deleted", "revoked", "decided", "grading", "signed_out")
"""What a page may say was done just now; `?done=` names it."""


class NotSignedIn(Exception):
    """Sign in first; `back` is where to go after that."""

    def __init__(self, back: str) -> None:
        super().__init__(back)
        self.back = back


async def to_sign_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotSignedIn)
    return RedirectResponse(f"{SIGN_IN}?next={quote(error.back, safe='')}", 303)


def checked_next(address: str) -> str:
    """A page of the desk to go on to; the list for anything else, so that no link leads away."""
    signing = address.startswith(SIGN_IN)
    return address if _OURS.fullmatch(address) and not signing else HOME


def cookie_name(connection: HTTPConnection) -> str:
    """Over https with the prefix for which browsers insist on this very host."""
    return f"__Host-{COOKIE}" if is_https(connection) else COOKIE


def is_https(connection: HTTPConnection) -> bool:
    return parts_of(connection).settings.base_url.startswith("https:")


def token_of(connection: HTTPConnection) -> str:
    return connection.cookies.get(cookie_name(connection), "")


async def signed_in(request: Request) -> Login:
    """A dependency of every page but the sign-in; raises `NotSignedIn`."""
    login = await parts_of(request).logins.find(token_of(request))
    if login is None:
        query = f"?{request.url.query}" if request.url.query else ""
        asked = request.url.path + query if request.method == "GET" else HOME
        raise NotSignedIn(checked_next(asked))
    return login


SignedIn = Annotated[Login, Depends(signed_in)]


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    here: str = "",
    admin: bool = True,
    **facts: object,
) -> HTMLResponse:
    """A page of the desk. `here` is its address where it is the answer to a form."""
    language = preferred_language(request)
    done = request.query_params.get("done", "")
    return render(
        request,
        f"desk/{template}",
        language,
        status=status,
        headers=headers,
        here=here or request.url.path,
        admin=admin,
        done=done if done in DONE else "",
        named=functools.partial(named, language),
        iso=iso,
        utc=utc,
        minutes=minutes,
        words_for=functools.partial(words_for, language),
        **facts,
    )


def back_to(address: str, done: str = "") -> RedirectResponse:
    """To a page, after a form."""
    return RedirectResponse(f"{address}?done={done}" if done else address, 303)


def named(language: Language, group: str, value: object) -> str:
    """A value of ours in words; one without words as it is."""
    return web.words(language).get(f"desk.{group}.{value}", str(value))


def words_for(language: Language, prefix: str) -> str:
    """A page's own script finds its words in an attribute, as JSON."""
    return json.dumps(web.section(language, prefix), ensure_ascii=False)


def iso(at: float | datetime) -> str:
    """For `<time datetime>`."""
    return _moment(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(at: float | datetime) -> str:
    """For a reader whose place is not known; a script shows it in their own time."""
    return _moment(at).strftime("%Y-%m-%d %H:%M UTC")


def minutes(seconds: float) -> str:
    whole, rest = divmod(int(max(seconds, 0.0)), 60)
    return f"{whole:02d}:{rest:02d}"


def _moment(at: float | datetime) -> datetime:
    return at.astimezone(UTC) if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
