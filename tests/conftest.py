"""What holds for all tests: how many examples hypothesis looks for, and what a proof is.

Proofs are tests that need the machine's time. They run after all others, and once more when they do not pass.

The second run comes when every other test is over, so that one bad moment fakes no fault; both outcomes are told at
the end, so that it hides none. One that found in its midst that the machine had no time, and skipped itself, has not
passed either. A process of xdist, where no proof is alone, repeats nothing.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# Examples share their cores with other work, so how long one takes says nothing. `scripts/test --all` asks for `all`.
settings.register_profile("quick", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("all", settings.get_profile("quick"), max_examples=150)
settings.load_profile("quick")

UNPROVEN = "unproven at first"
# True: it has not passed and shall run again. False: it does.
AGAIN = pytest.StashKey[bool]()


def is_proof(item: pytest.Item) -> bool:
    return item.get_closest_marker("proof") is not None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=is_proof)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    alone = not hasattr(item.config, "workerinput")
    unproven = report.failed or (report.skipped and report.when == "call")
    if unproven and is_proof(item) and alone and item.stash.get(AGAIN, default=True):
        item.stash[AGAIN] = True
        report.outcome = UNPROVEN
    report.second = not item.stash.get(AGAIN, default=True)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    done = yield
    if item.stash.get(AGAIN, default=False):
        item.stash[AGAIN] = False
        item.session.items.append(item)
    return done


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    return (UNPROVEN, "1", UNPROVEN.upper()) if report.outcome == UNPROVEN else None


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """First outcomes in full, and then every proof that ran again with both."""
    first = terminalreporter.getreports(UNPROVEN)
    if not first:
        return
    terminalreporter.section("proofs that did not pass at first")
    for report in first:
        terminalreporter.write_sep("_", f"{report.nodeid} ({report.when})")
        terminalreporter.write_line(report.longreprtext)
        for title, content in report.sections:
            terminalreporter.write_sep("-", title)
            terminalreporter.write_line(content.rstrip())
    terminalreporter.section("proofs that ran again, with both outcomes")
    ends = [one for name in ("passed", "skipped", "failed", "error") for one in terminalreporter.getreports(name)]
    for report in first:
        then = [outcome(one) for one in ends if getattr(one, "second", False) and one.nodeid == report.nodeid]
        terminalreporter.write_line(f"{report.nodeid}: {outcome(report)}; then {', '.join(then) or 'not run again'}")


def outcome(report: pytest.TestReport) -> str:
    """In one line, with its reason if there is one."""
    crash = getattr(report.longrepr, "reprcrash", None)
    why = crash.message if crash else report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    first_line = why.partition("\n")[0]
    return f"{report.outcome} in {report.when}" + (f": {first_line}" if first_line else "")
