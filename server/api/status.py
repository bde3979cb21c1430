"""How the server is, and a page that lists the API without asking anybody else for scripts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment

from server.api.errors import ApiError
from server.api.models import Health
from server.api.parts import WithParts
from server.store import StoreUnavailable
from server.version import code_version

router = APIRouter(tags=["server"])

_PAGE = Environment(autoescape=True).from_string(
    """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Viva: API</title>
<h1>Viva {{ version }}: API</h1>
<p>{{ text }}</p>
<p>Machine-readable: <a href="/openapi.json">/openapi.json</a> (OpenAPI).</p>
<table><thead><tr><th>Method<th>Path<th>Who<th>What</thead><tbody>
{% for route in routes %}<tr><td>{{ route.method }}<td><code>{{ route.path }}</code>
<td>{{ route.who }}<td>{{ route.what }}
{% endfor %}</tbody></table></html>
"""
)


@router.get("/healthz", responses={503: {"model": Health}})
async def health(parts: WithParts) -> JSONResponse:
    """Whether new interviews can begin."""
    status, code = "ok", 200
    try:
        await parts.store.jobs_waiting()
        await parts.check_space()
    except StoreUnavailable:
        status, code = "store_unavailable", 503
    except ApiError:
        status, code = "disk_full", 503
    found = {
        "status": status,
        "live": parts.host.live,
        "max_interviews": parts.settings.max_interviews,
        "version": code_version(),
    }
    return JSONResponse(found, code)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    schema = request.app.openapi()
    text = schema["info"]["description"]
    page = _PAGE.render(version=schema["info"]["version"], text=text, routes=_routes(schema))
    return HTMLResponse(page)


def _routes(schema: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "method": method.upper(),
            "path": path,
            "who": ", ".join(operation.get("tags", ())),
            "what": operation.get("description") or operation.get("summary", ""),
        }
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    ]
