"""Bugs of what steers workflows and looks after them, planted in doors and nodes, are found by the tests of that,
each by the one that says what it breaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from ironforge.errors import IncompatibleRecord
from ironforge.redis import scripts
from ironforge.redis.scripts import Script
from ironforge.store.workflows import looks
from ironforge.store.workflows.again import regraphing
from ironforge.workflows import again
from tests.store.kit import Cluster
from tests.store.model.planting import edit
from tests.store.workflows import test_again as retries
from tests.store.workflows import test_interrupted as interrupted
from tests.store.workflows import test_running_again as running_again
from tests.store.workflows import test_steering as steering
from tests.store.workflows import test_workflow_audit as audits

pytestmark = pytest.mark.unmeasured

Plant = Callable[[pytest.MonkeyPatch], None]


class Bug(NamedTuple):
    """`found_by`: a test that fails with it."""

    plant: Plant
    found_by: Callable[[Cluster], Awaitable[None]]


def in_script(script: Script, old: str, new: str) -> Plant:
    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        assert old in script.text
        edit(monkeypatch, script, old, new)

    return plant


def instead_of(module: Any, name: str, other: Callable[..., Any]) -> Plant:
    """`other` gets what is there, and what that is given."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, **more: other(real, *given, **more))

    return plant


def in_jobs_anew(kept: dict[int, int]) -> Plant:
    """They refer to results of these generations."""
    return instead_of(regraphing, "NodeJobs", lambda real, *given, **more: real(*given, **(more | {"kept": kept})))


AUDITED = "reply[#reply + 1] = missing and mend("
BUGS = {
    "a retry runs what failed, and nothing that waits for it": Bug(
        instead_of(again, "_anew", lambda _, progress, numbers: {*numbers}),
        running_again.test_what_was_skipped_or_ran_because_of_a_failure_is_looked_at_anew,
    ),
    "a retry runs all nodes": Bug(
        instead_of(again, "_anew", lambda _, progress, numbers: {*range(len(progress.graph))}),
        retries.test_a_retry_runs_what_failed_and_what_waits_for_it,
    ),
    "a retry leaves older ends in force": Bug(
        in_script(scripts.ADVANCE, "tonumber(generation) == flow.generation", "true"),
        retries.test_ends_of_an_older_generation_that_come_late_change_nothing,
    ),
    "what runs again gets the results of the first runs": Bug(
        in_jobs_anew(dict.fromkeys(range(9), 0)),
        running_again.test_what_runs_again_gets_the_results_of_the_last_run_of_each,
    ),
    "what runs again gets no results that were kept": Bug(
        in_jobs_anew({}),
        running_again.test_what_runs_again_gets_the_results_of_the_last_run_of_each,
    ),
    "what has ended is released again": Bug(
        in_script(scripts.RELEASE, "and state_of(id, number) == 'y'", ""),
        interrupted.test_what_is_asked_for_once_more_does_not_start_again,
    ),
    "what was about to be submitted is released in a pause": Bug(
        in_script(scripts.RELEASE, "and head.paused == 0 and", "and"),
        steering.test_what_is_about_to_be_submitted_does_not_start_in_a_pause,
    ),
    "nobody finds what is stranded": Bug(
        in_script(scripts.AUDIT_WORKFLOWS, AUDITED, "reply[#reply + 1] = false and mend("),
        audits.test_an_end_that_nobody_works_off,
    ),
    "nobody finds a workflow whose nodes have ended": Bug(
        instead_of(looks, "_looks", lambda real, *given: [one for one in real(*given) if one.letter != "o"]),
        audits.test_a_workflow_whose_nodes_have_all_ended,
    ),
    "one that is stranded is found and not mended": Bug(
        in_script(scripts.AUDIT_WORKFLOWS, "redis.call('ZADD', advance, now, item)\n", ""),
        audits.test_a_workflow_that_nobody_began,
    ),
}


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
@pytest.mark.parametrize("name", BUGS)
async def test_it_is_found(one: Cluster, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    BUGS[name].plant(monkeypatch)
    one.checked = False
    with pytest.raises((AssertionError, IncompatibleRecord)):
        await BUGS[name].found_by(one)
