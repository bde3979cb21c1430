"""The one thread that writes: what waits in its queue is committed together, and each caller gets
its own answer.

* A future is resolved only after the commit that contains its work: what it returns is durable.
* Every piece of work has a savepoint, so that one refusal (a stale lease) undoes nobody else's
  work.
* A full disk or a locked database fails the whole transaction. It is tried again, piece by piece
  where the pieces may differ, until the caller's patience is over; then that caller gets
  `StoreUnavailable` and nothing of its work is written.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from server.store.errors import StoreUnavailable
from server.store.faults import Fault, fault_of, passes

logger = logging.getLogger(__name__)

MAX_BATCH = 64
RETRY_S = 0.1


@dataclass
class Work:
    run: Callable[[Connection], Any]
    deadline: float
    future: Future[Any] = field(default_factory=Future)


@dataclass
class _Outcome:
    value: Any = None
    error: BaseException | None = None

    def settle(self, future: Future[Any]) -> None:
        if self.error is None:
            future.set_result(self.value)
        else:
            future.set_exception(self.error)


class Writer:
    def __init__(self, engine: Engine, *, patience_s: float) -> None:
        self._engine = engine
        self._patience_s = patience_s
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[Connection], Any]) -> Future[Any]:
        work = Work(run, time.monotonic() + self._patience_s)
        with self._gate:
            if self._closed:
                raise StoreUnavailable("The store is closed.")
            self._queue.put(work)
        return work.future

    def close(self) -> None:
        """Write what waits, then stop."""
        with self._gate:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            batch, going = self._next_batch()
            batch = [work for work in batch if work.future.set_running_or_notify_cancel()]
            self._commit(batch)

    def _next_batch(self) -> tuple[list[Work], bool]:
        first = self._queue.get()
        batch = [first] if first else []
        while first and len(batch) < MAX_BATCH:
            try:
                more = self._queue.get_nowait()
            except queue.Empty:
                break
            if more is None:
                return batch, False
            batch.append(more)
        return batch, first is not None

    def _commit(self, batch: list[Work]) -> None:
        while batch:
            try:
                outcomes = self._transact(batch)
            except DBAPIError as error:
                batch = self._after_fault(batch, error)
            except Exception as error:
                # The thread's outermost edge: whatever it is, the callers must hear of it and the
                # thread live on.
                logger.exception("The store's writer failed")
                _refuse(batch, error)
                return
            else:
                for work, outcome in zip(batch, outcomes, strict=True):
                    outcome.settle(work.future)
                return

    def _transact(self, batch: list[Work]) -> list[_Outcome]:
        with self._engine.connect() as connection, connection.begin():
            return [_attempt(connection, work) for work in batch]

    def _after_fault(self, batch: list[Work], error: DBAPIError) -> list[Work]:
        """Those of the batch that are worth another try; the others have their answer."""
        fault = fault_of(error)
        logger.warning("The store could not write: %s (%s)", fault.value, error.orig)
        if len(batch) > 1 and fault is not Fault.LOCKED:
            for work in batch:  # one piece too big for the disk must not fail the small ones
                self._commit([work])
            return []
        now = time.monotonic()
        waiting = [work for work in batch if passes(fault) and now + RETRY_S < work.deadline]
        unavailable = StoreUnavailable(f"The interview could not be saved: {fault.value}.")
        _refuse([work for work in batch if work not in waiting], unavailable, error)
        if waiting:
            time.sleep(RETRY_S)
        return waiting


def _attempt(connection: Connection, work: Work) -> _Outcome:
    savepoint = connection.begin_nested()
    try:
        value = work.run(connection)
    except IntegrityError as error:
        savepoint.rollback()
        return _Outcome(error=error)
    except DBAPIError:
        raise  # SQLite has rolled back everything, the savepoint included
    except Exception as error:
        # Any refusal or defect is this caller's alone; the caller raises it again.
        savepoint.rollback()
        return _Outcome(error=error)
    savepoint.commit()
    return _Outcome(value)


def _refuse(batch: list[Work], error: BaseException, cause: BaseException | None = None) -> None:
    for work in batch:
        refusal = type(error)(*error.args) if isinstance(error, StoreUnavailable) else error
        refusal.__cause__ = cause
        work.future.set_exception(refusal)
