"""The judge itself, on histories written by hand: good ones pass, each bad one is caught for its reason."""

from __future__ import annotations

import pytest

from ironforge.verify.ledger import Event, Ledger, read
from ironforge.verify.verdict import Final, judge

KEPT = "accepted means kept"
ONCE = "settles exactly once"
PHANTOM = "no phantoms"
FENCE = "the fence rises with every run"
CANCEL = "cancelled means never started"
BOUND = "repeats only what faults explain"
RUN = "start 0|end 0"
DONE = Final("completed", 0, 0)


def events(text: str) -> list[Event]:
    """`start 1|end 1|kill 3`: what happened to job `a`, in this order; a fault with what was in flight."""
    found = []
    for number, step in enumerate(filter(None, text.split("|"))):
        what, _, rest = step.strip().partition(" ")
        value = int(rest or 0)
        if what in ("kill", "pause", "stop"):
            found.append(Event(number, "fault", name=what, pid=1, in_flight=value))
        elif what == "cancelled":
            found.append(Event(number, "cancel_ok", "a", name="cancelled"))
        elif what == "cancelling":
            found.append(Event(number, "cancel_ok", "a", name="running"))
        else:
            found.append(Event(number, what, "a", fence=value, pid=1))
    return found


GOOD = {
    "it ran and completed": (f"submit_ok|{RUN}", DONE),
    "it was submitted before its answer was noted": (f"{RUN}|submit_ok", DONE),
    "the answer was lost and it became a job": (f"submit_info|{RUN}", DONE),
    "the answer was lost and it never was a job": ("submit_info", Final("missing")),
    "it failed, was retried and completed": ("submit_ok|start 0|fail 0|start 1|end 1", Final("completed", 1, 1)),
    "it failed until it was dead": ("submit_ok|start 0|fail 0|start 1|fail 1", Final("dead", 1)),
    "its node was killed and it ran again": ("submit_ok|start 0|kill 1|start 1|end 1", Final("completed", 1, 1)),
    "it ended on a paused node that had lost it": (
        "submit_ok|start 0|pause 1|start 1|end 1|end 0",
        Final("completed", 1, 1),
    ),
    "its first run was settled and the second one came too late": (
        "submit_ok|start 0|pause 1|end 0|start 1|end 1",
        Final("completed", 1, 1),
    ),
    "its result was not settled when its node died": (
        "submit_ok|start 0|end 0|kill 1|start 1|end 1",
        Final("completed", 1, 1),
    ),
    "it was handed back before it had started": ("submit_ok|stop 0|start 1|end 1", Final("completed", 1, 1)),
    "it was handed back twice": ("submit_ok|stop 0|stop 0|start 2|end 2", Final("completed", 2, 2)),
    "it was cancelled before it ran": ("submit_ok|cancelled", Final("cancelled")),
    "it was cancelled while it ran": ("submit_ok|start 0|cancelling", Final("cancelled")),
    "it ran on after its cancellation was asked for": ("submit_ok|start 0|cancelling|end 0", DONE),
    "it was cancelled after it had run once": ("submit_ok|start 0|fail 0|cancelled", Final("cancelled")),
    "it was poison": ("submit_ok|start 0|kill 1|start 1|kill 1|start 2|kill 1", Final("dead", 3, None, 3)),
    "two faults explain two repetitions": (
        "submit_ok|start 0|kill 1|start 1|pause 1|start 2|end 2",
        Final("completed", 2, 2),
    ),
    "a fault repeated nothing": (f"submit_ok|{RUN}|kill 5", DONE),
    "nothing happened at all": ("", Final("missing")),
}
BAD = {
    "it was accepted and is gone": ("submit_ok", Final("missing"), KEPT),
    "it was accepted, ran, and is gone": (f"submit_ok|{RUN}", Final("missing"), KEPT),
    "it is still queued": ("submit_ok", Final("queued"), KEPT),
    "it is still scheduled": ("submit_ok|start 0|fail 0", Final("scheduled", 1), KEPT),
    "it is still running": ("submit_ok|start 0", Final("running"), KEPT),
    "it is gone after a kill": ("submit_ok|start 0|kill 1", Final("missing"), KEPT),
    "nobody submitted it": (RUN, DONE, PHANTOM),
    "it is completed and never ran": ("submit_ok", DONE, ONCE),
    "it is completed and no run ended": ("submit_ok|start 0", DONE, ONCE),
    "its result is of a run that failed": ("submit_ok|start 0|fail 0", DONE, ONCE),
    "its result is of a run that never was": (f"submit_ok|{RUN}", Final("completed", 1, 1), ONCE),
    "it has no result": (f"submit_ok|{RUN}", Final("completed", 0, None), ONCE),
    "an older run's result stands in a newer record": (
        "submit_ok|start 0|pause 1|start 1|end 1|end 0",
        Final("completed", 1, 0),
        ONCE,
    ),
    "a newer run's result stands in an older record": (
        "submit_ok|start 0|pause 1|start 1|end 1|end 0",
        Final("completed", 0, 1),
        ONCE,
    ),
    "it ran twice with the same fence": ("submit_ok|start 0|kill 1|start 0|end 0", DONE, FENCE),
    "it ran twice at the same time with the same fence": ("submit_ok|start 0|start 0|end 0|end 0|kill 1", DONE, FENCE),
    "it started after its cancellation": (f"submit_ok|cancelled|{RUN}", DONE, CANCEL),
    "it started again after its cancellation": (
        "submit_ok|start 0|fail 0|cancelled|start 1|end 1",
        Final("completed", 1, 1),
        CANCEL,
    ),
    "it ran twice and no fault explains it": ("submit_ok|start 0|start 1|end 1", Final("completed", 1, 1), BOUND),
    "it ran more often than the faults explain": (
        "submit_ok|start 0|kill 1|start 1|start 2|end 2",
        Final("completed", 2, 2),
        BOUND,
    ),
    "it ran again though nothing was in flight": (
        "submit_ok|start 0|end 0|kill 0|start 1|end 1",
        Final("completed", 1, 1),
        BOUND,
    ),
}


@pytest.mark.parametrize(("text", "final"), GOOD.values(), ids=GOOD)
def test_a_good_history_passes(text: str, final: Final) -> None:
    verdict = judge(events(text), {"a": final}, completed_total=int(final.state == "completed"))

    assert [] == verdict.violations


@pytest.mark.parametrize(("text", "final", "promise"), BAD.values(), ids=BAD)
def test_a_bad_history_is_caught_for_its_reason(text: str, final: Final, promise: str) -> None:
    verdict = judge(events(text), {"a": final}, completed_total=int(final.state == "completed"))

    assert promise in [violation.promise for violation in verdict.violations]


def test_two_settlements_of_one_job_are_caught() -> None:
    verdict = judge(events(f"submit_ok|{RUN}"), {"a": DONE}, completed_total=2)

    assert (1, [ONCE]) == (verdict.settled_twice, [violation.promise for violation in verdict.violations])


def test_the_figures_are_those_of_the_history() -> None:
    verdict = judge(
        events("submit_ok|start 0|kill 2|start 1|end 1|pause 1"), {"a": Final("completed", 1, 1)}, completed_total=1
    )

    assert (1, 0, 0) == (verdict.acknowledged, verdict.unanswered, verdict.lost)
    assert {"kill": 1, "pause": 1} == verdict.faults
    assert (1, 3) == (verdict.repeated_runs, verdict.repeated_runs_bound)
    assert 1.0 == verdict.longest_recovery_seconds


def test_a_node_that_died_by_itself_is_caught() -> None:
    history = [Event(1, "died", pid=7, name="exit code 1")]

    [violation] = judge(history, {}, completed_total=0).violations

    assert "process 7 ended by itself: exit code 1" == violation.why


def test_evidence_is_what_happened_to_the_job() -> None:
    history = events(f"submit_ok|{RUN}")

    [violation] = judge(history, {}, completed_total=0).violations

    assert history == violation.evidence


def test_a_ledger_keeps_what_was_written_and_leaves_out_a_torn_line(tmp_path) -> None:
    first, second = Ledger(tmp_path / "one.ledger"), Ledger(tmp_path / "two.ledger")
    first.note("submit_ok", ["a", "b"])
    second.note("start", ["a"], fence=1, pid=7)
    first.close()
    second.close()
    with (tmp_path / "two.ledger").open("ab") as file:
        file.write(b'{"at": 1, "what": "en')

    found = read(tmp_path)

    assert [("submit_ok", "a"), ("submit_ok", "b"), ("start", "a")] == [(event.what, event.job) for event in found]
    assert (1, 7) == (found[-1].fence, found[-1].pid)
