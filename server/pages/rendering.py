"""From a template, a language and facts to a page."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import web
from agent.plan import Language

LANGUAGE_COOKIE = "viva_language"

_environment = Environment(
    loader=FileSystemLoader(web.TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals["static"] = web.static_url


def render(
    request: Request,
    template: str,
    language: Language,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **facts: object,
) -> HTMLResponse:
    """A page; templates say `t("file.key", …)` for words. Everything else is escaped."""
    text = _environment.get_template(template).render(
        t=functools.partial(web.say, language), language=language, path=request.url.path, **facts
    )
    return HTMLResponse(text, status, dict(headers or {}))


def preferred_language(request: Request) -> Language:
    """What a visitor chose, else what their browser asks for first among ours, else English."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    wanted = [chosen, *request.headers.get("accept-language", "").split(",")]
    for one in wanted:
        tag = one.split(";")[0].strip().lower()[:2]
        if tag == "zh":
            return "zh"
        if tag == "en":
            return "en"
    return "en"
