"""The judge itself, on histories written by hand: good ones pass, each bad one is caught for its reason."""

from __future__ import annotations

import pytest

from ironforge.job.expiry import EXPIRED
from ironforge.store import Stats, StreamDepth
from ironforge.store.counts import Waits
from ironforge.verify import verdict as promises
from ironforge.verify.account import Ended
from ironforge.verify.findings import Verdict
from ironforge.verify.ledger import Event, Ledger, read
from ironforge.verify.observer import imbalance
from ironforge.verify.verdict import judge
from tests.system.verify.histories import AGAIN, BAD, DONE, GOOD, RUN, STEP_SECONDS, events

LEASE_SECONDS = 1.0


def judged(text: str, final: Ended) -> Verdict:
    done = int(final.state == "completed")
    return judge(events(text), {"a": final}, completed_total=done, lease_seconds=LEASE_SECONDS)


@pytest.mark.parametrize(("text", "final"), GOOD.values(), ids=GOOD)
def test_a_good_history_passes(text: str, final: Ended) -> None:
    assert judged(text, final).violations == []


@pytest.mark.parametrize(("text", "final", "promise"), BAD.values(), ids=BAD)
def test_a_bad_history_is_caught_for_its_reason(text: str, final: Ended, promise: str) -> None:
    found = [violation for violation in judged(text, final).violations if violation.promise == promise]

    assert {(violation.job, bool(violation.evidence)) for violation in found} == {("a", True)}


def test_two_settlements_of_one_job_are_caught() -> None:
    verdict = judge(events(f"submit_ok|{RUN}"), {"a": DONE}, completed_total=2)

    assert verdict.settled_twice == 1
    assert [violation.promise for violation in verdict.violations] == [promises.ONCE]


@pytest.mark.parametrize(("reason", "broken"), [(EXPIRED, []), ("", [promises.ASKED])])
def test_only_an_expired_job_is_cancelled_unasked(reason: str, broken: list[str]) -> None:
    history = [Event(0, "asked", "a", expires_in=1.0), Event(1, "submit_ok", "a")]

    verdict = judge(history, {"a": Ended("cancelled", reason=reason)}, completed_total=0)

    assert [violation.promise for violation in verdict.violations] == broken


def test_two_jobs_for_one_key_are_caught() -> None:
    history = [Event(0, "submit_ok", "a", name="key"), Event(1, "submit_info", "b", name="key")]

    one = judge(history, {"a": Ended("cancelled")}, completed_total=0)
    two = judge(history, {"a": DONE, "b": DONE}, completed_total=2)

    assert promises.KEY not in [violation.promise for violation in one.violations]
    assert promises.KEY in [violation.promise for violation in two.violations]


def test_counts_that_do_not_add_up_are_caught() -> None:
    totals = {"submitted": 20, "completed": 5, "cancelled": 4}
    whole = Stats([StreamDepth("default", 2, 3, 1, None)], 4, 2, totals, 0, waiting=Waits(event=1))
    assert imbalance(whole) == []
    [torn] = imbalance(whole._replace(scheduled=3))
    [violation] = judge([], {}, completed_total=0, torn=[torn]).violations
    assert violation.promise == promises.COUNTED
    assert violation.why == torn
    assert "20 jobs were submitted" in torn
    assert "8 were counted as alive" in torn


def test_leftovers_are_caught() -> None:
    [violation] = judge([], {}, completed_total=0, leftovers=["3 entries in q:default:2"]).violations

    assert violation.promise == promises.NOTHING_LEFT
    assert violation.why == "3 entries in q:default:2"


def test_the_figures_are_those_of_the_history() -> None:
    verdict = judged(
        "submit_ok|start 0|kill|start 1 @2|end 1 @2|wait 14|pause @2|starved 4 @2", Ended("completed", 1, 1, crashes=1)
    )

    assert verdict.acknowledged == 1
    assert verdict.unanswered == 0
    assert verdict.lost == 0
    assert verdict.faults == {"kill": 1, "pause": 1}
    assert verdict.starved == 1
    assert verdict.repeated_runs == 1
    assert verdict.repeated_runs_bound == 1
    assert verdict.longest_recovery_seconds == pytest.approx(STEP_SECONDS)
    assert verdict.recoveries == 1
    assert verdict.recoveries_judged == 0


def test_a_recovery_without_another_fault_is_judged() -> None:
    history = "submit_ok|other @2|over @2|start 0|kill|start 1 @2|end 1 @2"
    verdict = judged(history, Ended("completed", 1, 1, crashes=1))

    assert verdict.recoveries == 1
    assert verdict.recoveries_judged == 1


def test_a_node_that_died_by_itself_is_caught() -> None:
    history = [Event(1, "died", pid=7, name="exit code 1")]

    [violation] = judge(history, {}, completed_total=0).violations

    assert violation.why == "process 7 ended by itself: exit code 1"


def test_evidence_is_what_happened_to_the_job() -> None:
    history = events(f"submit_ok|{RUN}")

    [violation] = judge(history, {}, completed_total=0).violations

    assert violation.evidence == history


def test_evidence_names_the_faults_of_the_processes_that_ran_the_job() -> None:
    history = events("submit_ok|start 0|kill|kill @3|start 1 @2|end 1 @2")

    [violation] = judge(history, {"a": AGAIN}, completed_total=1).violations

    assert violation.evidence == [event for event in history if event.pid != 3]


def test_a_ledger_keeps_what_was_written_and_leaves_out_a_torn_line(tmp_path) -> None:
    first, second = Ledger(tmp_path / "one.ledger"), Ledger(tmp_path / "two.ledger")
    first.note("submit_ok", ["a", "b"])
    second.note("start", ["a"], fence=1, pid=7)
    first.close()
    second.close()
    with (tmp_path / "two.ledger").open("ab") as file:
        file.write(b'{"at": 1, "what": "en')

    found = read(tmp_path)

    assert [(event.what, event.job) for event in found] == [("submit_ok", "a"), ("submit_ok", "b"), ("start", "a")]
    assert found[-1].fence == 1
    assert found[-1].pid == 7
