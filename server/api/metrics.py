"""What a server counts, for Prometheus, behind the operator's key."""

from __future__ import annotations

from typing import get_args

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from server.api.errors import refusals
from server.api.parts import WithParts, operator
from server.phone.bridge import GatewayStanding, GatewayState, Standing

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
router = APIRouter(
    tags=["operator"], dependencies=[Depends(operator)], responses=refusals(401, 429, 500)
)


@router.get("/metrics", response_class=Response)
async def metrics(parts: WithParts) -> Response:
    """Prometheus: live interviews and places, and the telephone's gateway, accounts and calls."""
    registry = CollectorRegistry()
    gauge = Gauge("viva_live_interviews", "Interviews being held now.", registry=registry)
    gauge.set(parts.host.live)
    places = Gauge("viva_max_interviews", "Interviews at the same time.", registry=registry)
    places.set(parts.settings.max_interviews)
    if (state := parts.host.phone) is not None:
        _phone(registry, state)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE)


def _phone(registry: CollectorRegistry, state: GatewayState) -> None:
    standing = Gauge(
        "viva_phone_gateway", "1 for the state it is in.", ["state"], registry=registry
    )
    for name in get_args(GatewayStanding):
        standing.labels(name).set(name == state.state)
    accounts = Gauge(
        "viva_phone_account", "1 for the state it is in.", ["account", "state"], registry=registry
    )
    for account, one in state.accounts.items():
        for name in get_args(Standing):
            accounts.labels(account, name).set(name == one.state)
    for name, text, value in (
        ("calls", "Calls being had, rung or dialled.", state.calls),
        ("lines", "Calls that may be had at once.", state.lines),
        ("missed", "Calls that found no free line, since the start.", state.missed),
        ("restarts", "Of the gateway, since the start.", state.restarts),
    ):
        Gauge(f"viva_phone_{name}", text, registry=registry).set(value)
