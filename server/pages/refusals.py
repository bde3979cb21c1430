"""Refusals as pages, for whoever opened one in a browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fastapi import Request
from fastapi.responses import Response

import web
from server.api.errors import ApiError, headers_of
from server.pages.rendering import preferred_language, render


def is_page(request: Request) -> bool:
    """Whether a person, and no program, reads the answer."""
    path = request.url.path
    return path == "/" or path.startswith(("/call/", "/desk"))


def page(request: Request, error: ApiError) -> Response:
    """What went wrong and what to do, in the interview's language where it is known."""
    language = getattr(request.state, "language", None) or preferred_language(request)
    known = web.words(language)
    desk = request.url.path.startswith("/desk")
    # A recruiter needs other words than a candidate. Where there are no words of ours, the API's
    # sentence is better than none.
    names = [f"desk.refused.{error.code}"] * desk + [f"refusals.{error.code}"]
    title = _first(known, [f"{name}.title" for name in names]) or known["refusals.refused.title"]
    text = _first(known, [f"{name}.text" for name in names]) or error.text
    return render(
        request,
        "refusal.html",
        language,
        status=error.http_status,
        headers=headers_of(error),
        title=title,
        text=text,
        code=error.code,
        back="/desk" if desk else "",
    )


def _first(known: Mapping[str, str], keys: Iterable[str]) -> str:
    return next((known[key] for key in keys if key in known), "")
