"""What the chaos runs judge beyond the verdict, on written histories."""

from __future__ import annotations

import msgspec

from ironforge.job.expiry import EXPIRED
from ironforge.job.limits import LIMIT_FULL, PREEMPTED, LimitUse
from ironforge.job.record import Job, JobState, encode, format_id, new_id
from ironforge.steps.waits import Wait
from ironforge.store.workflows.nodes import node_id
from ironforge.verify.account import Ended
from ironforge.verify.handlers import TOLD
from ironforge.verify.ledger import Event
from ironforge.verify.limits.load import REFUSING, REPLACING
from ironforge.verify.workflows.documents import map_document, undone_document
from ironforge.verify.workflows.seen import Seen
from tests.system.chaos.answers import ended, ended_nodes, forget, forgotten, recovery, uncounted

DONE = Ended("completed")


def test_recovery_is_the_next_end_and_of_one_node_its_own() -> None:
    told = [
        *(Event(0.5, "fault", name="link-cut", pid=7), Event(1.0, "fault", name="server-kill")),
        *(Event(1.2, "healed", name="link-cut", pid=7), Event(1.5, "end", pid=8), Event(3.2, "end", pid=7)),
        *(Event(4.0, "fault", name="server-kill"), Event(4.1, "end", pid=8), Event(5.0, "fault", name="kill", pid=8)),
    ]

    assert recovery(told) == {"server-kill": 0.5, "link-cut": 2.0}


def test_what_a_full_memory_forgot_ended_as_the_ledger_says() -> None:
    told = [
        *(
            Event(0.5, "start", job="a", fence=2),
            Event(1.0, "end", job="a", fence=2),
            Event(1.0, "end", job="kept"),
            Event(1.0, "start", job="lost"),
        ),
        *(Event(1.0, "cancel_ok", job="b", name="cancelled"), Event(2.0, "fault", name="memory-full")),
    ]

    assert forgotten(told, {"kept": DONE}) == {"a": Ended("completed", 2, 2), "b": Ended("cancelled")}
    assert forgotten(told[:-1], {"kept": DONE}) == {}


def test_what_a_full_memory_forgot_and_never_ran_has_expired_if_it_could() -> None:
    told = [
        *(Event(0.1, "asked", job="a", expires_in=1.0), Event(0.1, "asked", job="b", expires_in=1.0)),
        *(Event(0.2, "asked", job="c"), Event(0.5, "start", job="b"), Event(0.7, "end", job="b")),
        Event(2.0, "fault", name="memory-full"),
    ]

    assert forgotten(told, {}) == {"a": Ended("cancelled", reason=EXPIRED), "b": Ended("completed", 0, 0)}


def test_what_a_full_memory_forgot_was_cancelled_by_its_limit_if_no_run_of_it_ends() -> None:
    jobs = {"a": REFUSING, "b": REFUSING, "c": REPLACING, "d": REPLACING}
    told = [
        *(Event(0.1, "asked", job=job, limits=(LimitUse(limit, "0"),)) for job, limit in jobs.items()),
        *(Event(0.2, "submit_ok", job=job) for job in "abc"),
        *(Event(0.3, "start", job="a"), Event(0.3, "start", job="c", fence=1), Event(0.7, "end", job="a")),
        Event(2.0, "fault", name="memory-full"),
    ]

    assert forgotten(told, {}) == {
        "a": Ended("completed", 0, 0),
        "b": Ended("cancelled", reason=LIMIT_FULL),
        "c": Ended("cancelled", 1, crashes=1, reason=PREEMPTED),
    }


def test_what_a_full_memory_forgot_and_was_cancelled_as_it_ran_or_waited_is_known_by_its_last_run() -> None:
    told = [
        *(Event(0.3, "start", job=job) for job in "abc"),
        *(Event(0.4, "cancel_ok", job="a", name="running"), Event(0.4, "cancel_ok", job="b", name="running")),
        *(Event(0.4, "cancel_info", job="c"), Event(0.5, "left", job="a"), Event(0.5, "parked", job="b")),
        *(Event(0.5, "left", job="c"), Event(0.6, "start", job="c", fence=1), Event(0.7, "left", job="c", fence=1)),
        Event(2.0, "fault", name="memory-full"),
    ]

    assert forgotten(told, {}) == {
        "a": Ended("cancelled"),
        "b": Ended("cancelled"),
        "c": Ended("cancelled", 1, crashes=1),
    }


def test_what_a_full_memory_forgot_and_was_told_to_stop_was_cancelled_if_that_was_asked_for() -> None:
    told = [
        *(Event(0.2, "cancel_info", job="a"), Event(0.3, "start", job="a"), Event(0.3, "start", job="b")),
        *(Event(0.5, "left", job="a"), Event(0.5, "left", job="b"), Event(2.0, "fault", name="memory-full")),
    ]

    assert forgotten(told, {}) == {"a": Ended("cancelled")}


def test_more_ends_than_settlements_are_a_loss() -> None:
    assert uncounted({"a": DONE, "b": Ended("dead")}, 1) == []
    assert len(uncounted({"a": DONE, "b": DONE}, 1)) == 1


def test_what_stands_for_a_workflow_is_no_job_that_was_to_be_counted() -> None:
    job = Job(1, new_id(), "k", "default", 1, b"{}", 1, ended=JobState.COMPLETED)
    workflow = msgspec.structs.replace(job, id=new_id(), wait=Wait("workflow", ""))

    assert ended(map(encode, (job, workflow))) == {job.text_id: Ended("completed")}


def test_a_workflow_that_a_full_memory_forgot_has_told_its_end_or_was_to_be_cancelled() -> None:
    full = Event(2.0, "fault", name="memory-full")
    told = Event(1.0, "node", job="a", name=f"told{TOLD}completed")
    seen = [Seen(name, new_id(), undone_document(name)) for name in ("told", "cancelled", "lost")]
    seen[1].cancelled_at = 1.0

    forget([told], seen)
    assert [one.forgotten for one in seen] == [False, False, False]
    forget([told, full], seen)
    assert [one.forgotten for one in seen] == [True, True, False]


def test_what_made_the_items_of_a_map_completed_where_a_full_memory_forgot_that_but_not_that_its_workflow_did() -> None:
    seen = Seen("w", new_id(), map_document("w"))
    told = [Event(1.0, "node", job="a", name=f"w{TOLD}completed"), Event(2.0, "fault", name="memory-full")]

    assert ended_nodes(told, [seen]) == {format_id(node_id(seen.id, 1)): Ended("completed")}
    assert ended_nodes(told[:1], [seen]) == {}
    assert ended_nodes(told[1:], [seen]) == {}
