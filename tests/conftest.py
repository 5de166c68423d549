"""What holds for all tests: how many examples hypothesis looks for, which come first, what a proof is, and of
which coverage is taken.

Proofs are tests that need the machine's time. `scripts/test --all` runs them after all others, few at a time, and those
that do not pass once more, alone, so that one bad moment fakes no fault; both outcomes are told. One that found in its
midst that the machine had no time, and would skip itself, has not passed beside another either.

Branch coverage is taken of tests that may reach lines of ours that no other does: it doubles the time that one takes.
"""

from __future__ import annotations

import signal
from collections.abc import Generator

import coverage
import pytest
from hypothesis import HealthCheck, settings

# Examples share their cores with other work, so how long one takes says nothing. `scripts/test --all` asks for `all`.
settings.register_profile("quick", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("all", settings.get_profile("quick"), max_examples=150)
settings.load_profile("quick")


def pytest_configure() -> None:
    """A shell has what it runs in the background ignore signals, and their programs would; a handler ends with them."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first: at the end no process has one left while the others have nothing to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    beside_others = hasattr(item.config, "workerinput")
    if beside_others and item.get_closest_marker("proof") and report.when == "call" and report.skipped:
        report.outcome = "failed"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    measuring = coverage.Coverage.current()
    if measuring is None or not reaches_nothing_new(item):
        return (yield)
    with pytest.MonkeyPatch.context() as here:
        here.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # nor are the processes that it starts measured
        # In a process of xdist others began before: each would go on when the one after it stops.
        while (begun := coverage.Coverage.current()) is not None:
            begun.stop()
        try:
            return (yield)
        finally:
            measuring.set_option("run:patch", [])  # done already: each start would wrap `os._exit` once more
            measuring.start()


def reaches_nothing_new(item: pytest.Item) -> bool:
    """Of our lines: it says so, looks for examples at random, or repeats another with Redis, shards or uvloop."""
    if item.get_closest_marker("unmeasured") or getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
        return True
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return False
    given = item.callspec.params
    return given.get("server") == "redis" or given.get("shards", 1) != 1 or "uvloop" in item.callspec.id
