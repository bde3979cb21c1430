"""For all tests."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.stalls import MachineStalled, Stalls

# Nothing here is about speed, and a busy machine takes its time. Without chance a change fails for
# what it did; HYPOTHESIS_PROFILE=search looks further, with other examples in each run.
settings.register_profile("viva", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "viva"))

LINES_OF_A_REASON = 12
REAL_TIME = ("session", "media", "browser", "phone", "rehearsal")


def in_real_time(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in REAL_TIME)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A real-time test that failed is taken once more: browser, server and telephone exchange share
    the machine with it, and any of them may have been given no time. The summary says which and
    why, since once in many runs is how a race of ours shows as well."""
    for item in filter(in_real_time, items):
        if item.get_closest_marker("flaky") is None:
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("rerun", []):
        crash = getattr(report.longrepr, "reprcrash", None)
        why = crash.message if crash is not None else str(report.longrepr)
        terminalreporter.write_line(f"taken again: {report.nodeid}\n  {shortened(why)}")


def shortened(why: str) -> str:
    return "\n  ".join(why.splitlines()[:LINES_OF_A_REASON])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    yield from watched(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    yield from watched(item)


def watched(item: pytest.Item) -> Generator[None, None, None]:
    if not in_real_time(item):
        yield
        return
    stalls = Stalls()
    try:
        with stalls.watched():
            yield
    except (Exception, pytest.fail.Exception) as error:
        if stalls.torn:
            raise MachineStalled(
                f"held up for {stalls.worst_s:.2f} s; it failed of: {error}"
            ) from error
        raise
