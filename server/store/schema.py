"""The tables, the same in SQLite and Postgres. A change here needs a migration beside it; a test
compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

plans = Table(
    "plans",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("json", Text, nullable=False),
)

interviews = Table(
    "interviews",
    metadata,
    Column("interview_id", String(64), primary_key=True),
    Column("plan_hash", ForeignKey("plans.hash"), nullable=False),
    Column("candidate_name", Text, nullable=False),
    Column("language", String(8), nullable=False),
    Column("time_factor", Float(53), nullable=False),
    Column("rehearsal", Boolean, nullable=False),
    Column("created_at", Float(53), nullable=False),
    # The rest follows from the events and is written with them, so that lists need not fold every
    # log.
    Column("status", String(16), nullable=False),
    Column("end_reason", String(32)),
    Column("ended_at", Float(53)),
    Column("last_seq", BigInteger, nullable=False),
    Column("last_event_at", Float(53), nullable=False),
    Column("head_hash", String(64), nullable=False),
    Index(None, "created_at"),
    Index(None, "status", "last_event_at"),
)

events = Table(
    "events",
    metadata,
    Column("interview_id", ForeignKey("interviews.interview_id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("type", String(40), nullable=False),
    Column("at", Float(53), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("schema_version", Integer, nullable=False),  # of the payload
    Column("payload", Text),  # erased: null, and the salt with it
    Column("salt", String(32)),
    Column("payload_hash", String(64), nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("interview_id", ForeignKey("interviews.interview_id"), primary_key=True),
    Column("owner", String(120), nullable=False),
    Column("epoch", Integer, nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("interview_id", ForeignKey("interviews.interview_id"), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("json", Text, nullable=False),
    Column("created_at", Float(53), nullable=False),
)

gradings = Table(
    "gradings",
    metadata,
    Column("interview_id", ForeignKey("interviews.interview_id"), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("question_id", String(40), primary_key=True),
    Column("json", Text, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("interview_id", ForeignKey("interviews.interview_id"), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),  # queued, claimed, done
    Column("owner", String(120), nullable=False),
    Column("claimed_at", Float(53)),
    Column("not_before", Float(53), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Index(None, "state", "not_before"),
)

invites = Table(
    "invites",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("interview_id", ForeignKey("interviews.interview_id"), nullable=False, index=True),
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=False),
    Column("revoked_at", Float(53)),
    Column("kind", String(8), nullable=False, server_default="link"),  # link, pin, number
)

calls_out = Table(
    "calls_out",
    metadata,
    Column("call_id", String(32), primary_key=True),
    Column("interview_id", ForeignKey("interviews.interview_id"), nullable=False, index=True),
    Column("number", Text, nullable=False),
    Column("zone", String(64), nullable=False),
    Column("not_before", Float(53), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("began_at", Float(53)),
    Column("seconds", Float(53)),
    Column("outcome", String(16), nullable=False),
    Column("seen_at", Float(53)),
    Index(None, "outcome", "not_before"),
    Index(None, "began_at"),
)

# What calls of erased interviews took, so that erasing frees nothing of a day's caps.
calls_tally = Table(
    "calls_tally",
    metadata,
    Column("call_id", String(32), primary_key=True),
    Column("began_at", Float(53), nullable=False, index=True),
    Column("seconds", Float(53), nullable=False),
)

admin = Table(
    "admin",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("password_hash", Text, nullable=False),
    Column("changed_at", Float(53), nullable=False),
)

logins = Table(
    "logins",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("created_at", Float(53), nullable=False),
    Column("last_seen_at", Float(53), nullable=False),
)
