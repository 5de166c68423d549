"""What the judge says of workflows, on ledgers and views written by hand."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from ironforge.job.record import format_id, new_id
from ironforge.store.workflows.contract import NodeView, WorkflowView
from ironforge.verify.account import Account, Ended
from ironforge.verify.handlers import TOLD, UNDONE, digest
from ironforge.verify.ledger import Event
from ironforge.verify.workflows import verdict as promises
from ironforge.verify.workflows.documents import Document, document, undone_document
from ironforge.verify.workflows.seen import Retry, Seen, Stretch
from ironforge.verify.workflows.verdict import judge_workflows
from ironforge.workflows.states import NodeState

NAME = "w"
HOW = {"succeeded": "end", "failed": "fail"}
IN_THE_END = {"succeeded": "completed", "failed": "dead", "cancelled": "cancelled"}


def chain(**more: Any) -> Document:
    """Of two nodes."""
    nodes: list[dict[str, Any]] = [{"id": "n0", "kind": "k", **more}, {"id": "n1", "kind": "k", "after": ["n0"]}]
    return document(NAME, nodes)


class History:
    def __init__(self, made: Document, status: str = "completed", generation: int = 0) -> None:
        self.seen = Seen(NAME, new_id(), made)
        self.status, self.generation = status, generation
        self.events: list[Event] = []
        self.finals: dict[str, Ended] = {}
        self.views = {node.id: NodeView(node.id, node.kind, NodeState.SKIPPED) for node in made.graph.nodes}
        self.heard(status)

    def heard(self, status: str) -> History:
        if status != "cancelled":
            self._ran(f"{NAME}{TOLD}{status}", 90, 91, "end")
        return self

    def ran(self, node: str, begin: float, end: float, state: str = "succeeded", *, shown: bool = True) -> History:
        """`shown`: by the view."""
        job = self._ran(f"{NAME}/{node}", begin, end, HOW[state])
        self.finals[job[0]] = Ended(IN_THE_END[state], 0, 0)
        if shown:
            result = msgspec.json.encode(node) if state == "succeeded" else None
            self.views[node] = NodeView(node, "k", NodeState(state), job[1], result)
        return self

    def is_now(self, node: str, state: str) -> History:
        self.views[node] = self.views[node]._replace(state=NodeState(state))
        return self

    def given(self, node: str, need: str, value: object) -> History:
        job = format_id(self.views[node].job_id or b"")
        self.events.append(Event(50, "given", job, name=need, value=digest(value)))
        return self

    def undone(self, node: str, begin: float, end: float) -> History:
        self._ran(f"{NAME}/{node}{UNDONE}", begin, end, "end")
        return self

    def broken(self) -> list[str]:
        nodes = [self.views[node.id] for node in self.seen.document.graph.nodes]
        words = (self.seen.id, NAME, self.status, 0, 0, "", self.seen.document.workflow, nodes)
        self.seen.view = WorkflowView(*words, generation=self.generation)  # type: ignore[arg-type]
        found: list[str] = []
        account = Account(sorted(self.events, key=lambda event: event.at))
        judge_workflows(account, [self.seen], self.finals, lambda promise, _job, _why: found.append(promise))
        return found

    def _ran(self, name: str, begin: float, end: float, how: str) -> tuple[str, bytes]:
        job_id = new_id()
        job = format_id(job_id)
        self.events += [Event(begin, "node", job, name=name, pid=1), Event(begin, "start", job, pid=1)]
        self.events.append(Event(end, how, job, pid=1))
        return job, job_id


def good() -> History:
    return History(chain()).ran("n0", 1, 2).ran("n1", 3, 4)


def test_a_workflow_that_went_as_it_says_is_well() -> None:
    assert good().given("n1", "n0", "n0").broken() == []


def test_one_that_goes_on_in_the_end_is_caught() -> None:
    history = good()
    history.status = "running"
    assert promises.ENDS in history.broken()


def test_one_that_tells_its_end_twice_or_wrongly_is_caught() -> None:
    assert good().heard("completed").broken() == [promises.ENDS]
    history = good()
    history.status = "failed"
    assert promises.ENDS in history.broken()


def test_one_that_is_gone_is_caught() -> None:
    found: list[str] = []
    judge_workflows(Account([]), [Seen(NAME, new_id(), chain())], {}, lambda promise, *_: found.append(promise))
    assert found == [promises.ENDS]


def test_one_that_a_full_memory_has_dropped_is_right() -> None:
    found: list[str] = []
    gone = Seen(NAME, new_id(), chain(), forgotten=True)
    judge_workflows(Account([]), [gone], {}, lambda promise, *_: found.append(promise))
    assert found == []


def test_a_node_that_begins_before_another_one_has_ended_is_caught() -> None:
    assert History(chain()).ran("n0", 1, 3).ran("n1", 2, 4).broken() == [promises.IN_TURN]


def test_a_node_that_is_two_jobs_is_caught() -> None:
    assert good().ran("n0", 1.5, 1.6, shown=False).broken() == [promises.ONE_JOB]


def test_a_node_that_did_not_start_after_a_retry_may_show_no_job_that_ran() -> None:
    """The other root failed again, before this one had started again."""
    roots = document(NAME, [{"id": name, "kind": "k"} for name in ("n0", "n1")])
    history = History(roots, "failed", generation=1)
    history.ran("n0", 1, 2, "failed", shown=False).ran("n1", 1, 3, "failed", shown=False)
    history.ran("n0", 11, 12, "failed").is_now("n1", "cancelled")
    assert history.broken() == []
    assert history.is_now("n1", "failed").broken() == [promises.ONE_JOB]


@pytest.mark.parametrize(("on_failure", "broken"), [("continue", []), ("skip_dependents", [promises.AS_SAID])])
def test_a_node_that_runs_and_was_to_be_skipped_is_caught(on_failure: str, broken: list[str]) -> None:
    status = "completed" if on_failure == "continue" else "failed"
    history = History(chain(on_failure=on_failure), status)
    assert history.ran("n0", 1, 2, "failed").ran("n1", 3, 4).broken() == broken


def test_a_node_that_is_skipped_and_was_to_run_is_caught() -> None:
    assert History(chain()).ran("n0", 1, 2).broken() == [promises.AS_SAID]


def test_a_node_that_is_cancelled_where_nothing_stopped_its_workflow_is_caught() -> None:
    history = History(chain(), "failed").ran("n0", 1, 2).is_now("n1", "cancelled")
    assert history.broken() == [promises.AS_SAID]
    assert History(chain(), "failed").ran("n0", 1, 2, "failed").is_now("n1", "cancelled").broken() == []


def test_one_that_was_cancelled_and_nobody_asked_is_caught() -> None:
    history = History(chain(), "cancelled").ran("n0", 1, 2).is_now("n1", "cancelled")
    assert history.broken() == [promises.AS_SAID]
    history.seen.cancelled_at = 1.5
    assert history.broken() == []


def test_another_result_than_was_returned_is_caught() -> None:
    assert good().given("n1", "n0", "n1").broken() == [promises.RESULTS]
    assert good().given("n1", "n0", None).broken() == [promises.RESULTS]


@pytest.mark.parametrize(
    ("pause", "broken"), [(Stretch(1.5, 3.5), [promises.PAUSED]), (Stretch(2.5, 3.5), []), (Stretch(1.5, 2.5), [])]
)
def test_a_node_that_begins_in_a_pause_is_caught(pause: Stretch, broken: list[str]) -> None:
    history = good()
    history.seen.paused.append(pause)
    assert history.broken() == broken


def failed() -> History:
    history = History(undone_document(NAME), "failed").ran("n0", 1, 2).ran("n1", 3, 4).ran("n2", 5, 6)
    return history.ran("n3", 7, 8, "failed")


def test_what_is_undone_the_last_first_is_well() -> None:
    assert failed().undone("n2", 10, 11).undone("n1", 12, 13).undone("n0", 14, 15).broken() == []


def test_what_is_undone_in_another_order_or_at_once_is_caught() -> None:
    assert promises.UNDOES in failed().undone("n2", 10, 11).undone("n0", 12, 13).undone("n1", 14, 15).broken()
    assert failed().undone("n2", 10, 13).undone("n1", 12, 13).undone("n0", 14, 15).broken() == [promises.UNDOES]


def test_what_is_not_undone_or_twice_is_caught() -> None:
    assert failed().undone("n2", 10, 11).undone("n1", 12, 13).broken() == [promises.UNDOES]
    whole = failed().undone("n2", 10, 11).undone("n1", 12, 13).undone("n0", 14, 15)
    assert whole.undone("n0", 16, 17).broken() == [promises.UNDOES]
    assert good().undone("n0", 16, 17).broken() == [promises.UNDOES]


def retried() -> History:
    """After 5 s, when the second node had failed."""
    history = History(chain(), generation=1).heard("failed").ran("n0", 1, 2)
    history.ran("n1", 3, 4, "failed", shown=False)
    history.seen.retries.append(Retry(5.0, (NodeState.SUCCEEDED, NodeState.FAILED), "failed"))
    return history


def test_a_retry_that_runs_what_had_failed_is_well() -> None:
    assert retried().ran("n1", 6, 7).broken() == []


def test_a_retry_that_runs_what_had_succeeded_is_caught() -> None:
    assert retried().ran("n0", 6, 7).ran("n1", 8, 9).broken() == [promises.AGAIN]


def test_a_retry_that_runs_nothing_is_caught() -> None:
    history = History(chain(), generation=1).heard("failed").ran("n0", 1, 2).ran("n1", 3, 4, "failed")
    history.seen.retries.append(Retry(5.0, (NodeState.SUCCEEDED, NodeState.FAILED), "failed"))
    history.is_now("n1", "succeeded")
    assert promises.AGAIN in history.broken()


def test_a_job_of_a_workflow_that_nobody_submitted_is_caught() -> None:
    found: list[str] = []
    events = [Event(1, "node", "a", name="other/n0"), Event(1, "start", "a", pid=1), Event(2, "end", "a", pid=1)]
    judge_workflows(Account(events), [], {}, lambda promise, *_: found.append(promise))
    assert found == [promises.ONE_JOB]
    assert math.isinf(Seen(NAME, new_id(), chain()).cancelled_at)


def test_what_ran_after_a_failure_began_before_that_node_succeeded_in_a_retry() -> None:
    nodes = [
        {"id": "n0", "kind": "k", "on_failure": "skip_dependents"},
        {"id": "n1", "kind": "k", "after": ["n0"], "when": "all_done"},
    ]
    history = History(document(NAME, nodes), generation=1).ran("n0", 1, 2, "failed", shown=False)
    history.ran("n1", 3, 4, "failed", shown=False).heard("failed").ran("n0", 11, 12).ran("n1", 13, 14)
    history.seen.retries.append(Retry(10, [NodeState.FAILED, NodeState.FAILED], "failed"))
    assert history.broken() == []
