"""Reports, the gradings they are made of, and the queue of reports to be made, in SQL."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from server.store import log
from server.store.errors import ReportExists
from server.store.records import Job, StoredReport
from server.store.schema import gradings, jobs, reports


def save_report(db: Connection, interview_id: str, revision: int, json: str, at: float) -> None:
    """The one report of this revision; its job, if there is one, is done in the same
    transaction.
    """
    log.standing(db, interview_id)
    row = {"interview_id": interview_id, "revision": revision, "json": json, "created_at": at}
    try:
        db.execute(insert(reports).values(row))
    except IntegrityError as error:
        raise ReportExists(f"revision {revision} of {interview_id}") from error
    db.execute(update(jobs).where(_job(interview_id, revision)).values(state="done", error=""))


def report(db: Connection, interview_id: str, revision: int | None) -> StoredReport | None:
    wanted = select(reports).where(reports.c.interview_id == interview_id)
    if revision is not None:
        wanted = wanted.where(reports.c.revision == revision)
    row = db.execute(wanted.order_by(reports.c.revision.desc()).limit(1)).first()
    return StoredReport(**row._mapping) if row else None


def save_grading(
    db: Connection, interview_id: str, revision: int, question_id: str, json: str
) -> None:
    """Keep one question's grading, so that a crash costs only the question in hand; the last one
    stands, for a later one is of more words."""
    log.standing(db, interview_id)
    key = {"interview_id": interview_id, "revision": revision, "question_id": question_id}
    db.execute(delete(gradings).where(*(gradings.c[name] == key[name] for name in key)))
    db.execute(insert(gradings).values(**key, json=json))


def gradings_of(db: Connection, interview_id: str, revision: int) -> dict[str, str]:
    mine = (gradings.c.interview_id == interview_id) & (gradings.c.revision == revision)
    rows = db.execute(select(gradings.c.question_id, gradings.c.json).where(mine))
    return {row.question_id: row.json for row in rows}


def enqueue(db: Connection, interview_id: str) -> int:
    """Queue one more revision of the report, and return its number."""
    log.standing(db, interview_id)
    numbers = select(jobs.c.revision).where(jobs.c.interview_id == interview_id)
    revision = max(db.execute(numbers).scalars(), default=0) + 1
    row = {"interview_id": interview_id, "revision": revision, "state": "queued", "owner": ""}
    db.execute(insert(jobs).values(row | {"not_before": 0.0, "attempts": 0, "error": ""}))
    return revision


def claim(db: Connection, owner: str, at: float, stale_before: float) -> Job | None:
    """The next job that waits, or one whose claim is so old that its owner must be gone."""
    waits = (jobs.c.state == "queued") & (jobs.c.not_before <= at)
    stale = (jobs.c.state == "claimed") & (jobs.c.claimed_at < stale_before)
    row = db.execute(
        select(jobs)
        .where(or_(waits, stale))
        .order_by(jobs.c.not_before, jobs.c.interview_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return None
    db.execute(
        update(jobs)
        .where(_job(row.interview_id, row.revision))
        .values(state="claimed", owner=owner, claimed_at=at, attempts=row.attempts + 1)
    )
    return Job(row.interview_id, row.revision, row.attempts + 1)


def put_back(db: Connection, job: Job, not_before: float, error: str) -> None:
    """Try the job again later."""
    waiting = {"state": "queued", "owner": "", "not_before": not_before, "error": error}
    db.execute(
        update(jobs)
        .where(_job(job.interview_id, job.revision), jobs.c.state == "claimed")
        .values(waiting)
    )


def release(db: Connection, owner_prefix: str) -> int:
    """Queue again what an earlier process of this machine had claimed when it died."""
    mine = jobs.c.owner.startswith(owner_prefix, autoescape=True)
    released = db.execute(
        update(jobs).where(mine, jobs.c.state == "claimed").values(state="queued", owner="")
    )
    return released.rowcount


def pending(db: Connection, interview_id: str) -> list[int]:
    """Revisions of the interview's report that are still to be made."""
    mine = (jobs.c.interview_id == interview_id) & (jobs.c.state != "done")
    return sorted(db.execute(select(jobs.c.revision).where(mine)).scalars())


def waiting(db: Connection) -> int:
    return len(list(db.execute(select(jobs.c.revision).where(jobs.c.state != "done"))))


def _job(interview_id: str, revision: int) -> ColumnElement[bool]:
    return (jobs.c.interview_id == interview_id) & (jobs.c.revision == revision)
