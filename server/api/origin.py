"""Whether a request comes from a page of ours: browsers say it, and no page can lie about it."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from server.settings import Settings


def is_ours(origin: str, connection: HTTPConnection, settings: Settings) -> bool:
    """Whether this `Origin` is the address under which our pages are seen."""
    public = urlsplit(settings.base_url)
    own = {f"{public.scheme}://{public.netloc}"}
    if not settings.public_url:
        own |= {f"{scheme}://{connection.headers.get('host')}" for scheme in ("http", "https")}
    return origin in own


def may_open_socket(connection: HTTPConnection, settings: Settings) -> bool:
    """For what carries its own token: programs that are no browser say nothing, and may."""
    origin = connection.headers.get("origin")
    return origin is None or is_ours(origin, connection, settings)


def is_same_origin(connection: HTTPConnection, settings: Settings) -> bool:
    """For what a browser sends with its cookies: it must say that the page was ours.

    `Sec-Fetch-Site` is the browser's own judgement, whatever address a proxy shows; browsers send
    it to https: and localhost. `Origin` comes with every form that is posted.
    """
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = connection.headers.get("origin")
    return origin is not None and is_ours(origin, connection, settings)
