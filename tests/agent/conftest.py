"""A small plan and a call over it, for every test of the interviewer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from calls import Call, small_plan

from agent.plan import Plan


@pytest.fixture
def make_plan() -> Callable[..., Plan]:
    return small_plan


@pytest.fixture
def plan() -> Plan:
    return small_plan()


@pytest.fixture
def call(plan: Plan) -> Call:
    return Call(plan)


@pytest.fixture
def make_call() -> Callable[..., Call]:
    return lambda **policy: Call(small_plan(**policy))
