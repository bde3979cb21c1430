"""What can go wrong with the store."""

from __future__ import annotations


class StoreError(Exception):
    """Nothing was written."""


class StoreUnavailable(StoreError):
    """The disk is full, the database locked, damaged or out of reach; said after a bounded number
    of tries.
    """


class StaleLease(StoreError):
    """A newer owner has taken the interview: whoever gets this must stop and leave the call
    alone.
    """


class UnknownInterview(StoreError):
    """No such interview."""


class Erased(UnknownInterview):
    """The interview's words were erased; only the skeleton of its log is left."""


class UnknownPlan(StoreError):
    """No plan with this hash."""


class ReportExists(StoreError):
    """This interview has a report of this revision already."""
