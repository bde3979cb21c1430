"""The hash chain over an interview's events: pure. It runs over the payloads' hashes, so that words
can be erased.

A payload's hash is salted and the salt is erased with the payload; otherwise "yes" could be guessed
back from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

GENESIS = "0" * 64


@dataclass(frozen=True)
class Link:
    """One event as it stands in the log."""

    interview_id: str
    seq: int
    type: str
    at: float
    epoch: int
    schema_version: int
    """Of the payload."""
    payload: str | None
    salt: str | None
    payload_hash: str
    prev_hash: str
    hash: str


@dataclass(frozen=True)
class ChainCheck:
    events: int
    erased: int
    """Events whose words are gone."""
    broken_at: int | None = None
    """The first sequence number that does not fit; None when the chain holds."""
    reason: str = ""

    @property
    def ok(self) -> bool:
        return self.broken_at is None


def payload_hash(salt: str, payload: str) -> str:
    return hashlib.sha256(f"{salt}\n{payload}".encode()).hexdigest()


def link(
    interview_id: str,
    seq: int,
    type: str,
    at: float,
    epoch: int,
    schema_version: int,
    payload: str,
    salt: str,
    prev_hash: str,
) -> Link:
    """The next link after the one whose hash is `prev_hash`."""
    hashed = payload_hash(salt, payload)
    entry = Link(
        interview_id, seq, type, at, epoch, schema_version, payload, salt, hashed, prev_hash, ""
    )
    return replace(entry, hash=_envelope_hash(entry))


def verify(links: Iterable[Link], last_seq: int, head_hash: str) -> ChainCheck:
    """Whether the links are gap-free, untouched, and as many as the interview says it has."""
    seq, prev, erased = 0, GENESIS, 0
    for entry in links:
        seq += 1
        if problem := _problem(entry, seq, prev):
            return ChainCheck(seq, erased, seq, problem)
        erased += entry.payload is None
        prev = entry.hash
    if (seq, prev) != (last_seq, head_hash):
        return ChainCheck(seq, erased, seq + 1, "the log's end is missing")
    return ChainCheck(seq, erased)


def _problem(entry: Link, seq: int, prev: str) -> str:
    if entry.seq != seq:
        return f"event {seq} is missing"
    if entry.prev_hash != prev:
        return "it does not follow the event before it"
    if entry.payload is not None and entry.payload_hash != payload_hash(
        entry.salt or "", entry.payload
    ):
        return "its payload was changed"
    if entry.hash != _envelope_hash(entry):
        return "its envelope was changed"
    return ""


def _envelope_hash(entry: Link) -> str:
    envelope = (
        entry.interview_id,
        entry.seq,
        entry.type,
        entry.at,
        entry.epoch,
        entry.schema_version,
        entry.payload_hash,
        entry.prev_hash,
    )
    return hashlib.sha256(json.dumps(envelope).encode()).hexdigest()
