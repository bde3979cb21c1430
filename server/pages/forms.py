"""What every form of the pages shares: it has to come from a page of ours."""

from __future__ import annotations

from fastapi import Request

from server.api.errors import ApiError
from server.api.origin import is_same_origin
from server.api.parts import parts_of


async def same_origin(request: Request) -> None:
    """A dependency of every POST: raises where another site's page, or no page, sent it."""
    if not is_same_origin(request, parts_of(request).settings):
        raise ApiError(
            403, "not_same_origin", "This form came from another page. Nothing was changed."
        )
