"""The server's own address, which tells nothing but where to go, and pages of the desk that are
none.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from server.api.errors import ApiError
from server.pages.desk import signed_in
from server.pages.rendering import preferred_language, render

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home(request: Request) -> Response:
    return render(request, "home.html", preferred_language(request))


@router.get("/desk/{rest:path}", dependencies=[Depends(signed_in)])
async def no_page(rest: str) -> Response:
    """Whoever is not signed in is not told which pages there are."""
    raise ApiError(404, "not_found", "There is no such page.")
