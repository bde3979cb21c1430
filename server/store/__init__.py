"""Durable events, leases, reports, jobs, invites and logins; SQLite by default, Postgres by URL."""

from server.store.chain import ChainCheck
from server.store.engine import sqlite_url
from server.store.errors import (
    Erased,
    ReportExists,
    StaleLease,
    StoreError,
    StoreUnavailable,
    UnknownInterview,
    UnknownPlan,
)
from server.store.records import (
    CallOut,
    CallOutcome,
    InterviewRecord,
    Invite,
    Job,
    Login,
    PlanEntry,
    Status,
    StoredEvent,
    StoredReport,
)
from server.store.store import Store

__all__ = [
    "CallOut",
    "CallOutcome",
    "ChainCheck",
    "Erased",
    "InterviewRecord",
    "Invite",
    "Job",
    "Login",
    "PlanEntry",
    "ReportExists",
    "StaleLease",
    "Status",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "StoredEvent",
    "StoredReport",
    "UnknownInterview",
    "UnknownPlan",
    "sqlite_url",
]
