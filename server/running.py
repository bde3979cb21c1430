"""Whether a Viva server answers at the address that the settings name; asks this machine only."""

from __future__ import annotations

import httpx

from server.settings import Settings

TIMEOUT_S = 3.0


async def answers(settings: Settings) -> bool:
    """Whether one does at host and port. Raises nothing."""
    scheme = "https" if settings.tls_cert else "http"
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    name = f"[{host}]" if ":" in host else host
    try:
        # Our own certificate may carry a public name only; nothing secret is sent.
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=TIMEOUT_S) as client:
            answer = await client.get(f"{scheme}://{name}:{settings.port}/healthz")
            return "max_interviews" in answer.json()
    except (httpx.HTTPError, ValueError):
        return False
