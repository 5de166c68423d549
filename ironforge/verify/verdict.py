"""Judges a run: the ledger's account against what the store says at the end. Pure: tested on written histories.

A submission whose answer was lost is neither accepted nor refused: it may have become a job, or not. Runs beyond the
first are no violation as long as faults explain them: each fault may repeat what was in flight at its target.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from ironforge.verify.ledger import Event

COMPLETED, CANCELLED, DEAD, MISSING = "completed", "cancelled", "dead", "missing"


class Final(NamedTuple):
    """What the store says of a job at the end. `result`: the fence that its accepted run returned."""

    state: str
    fence: int = 0
    result: int | None = None
    crashes: int = 0


class Violation(msgspec.Struct, frozen=True):
    """A broken promise, with the events of the job that show it."""

    promise: str
    job: str
    why: str
    evidence: list[Event]


class Verdict(msgspec.Struct, frozen=True):
    """The figures of a run, and everything that broke a promise."""

    acknowledged: int
    unanswered: int
    faults: dict[str, int]
    lost: int
    settled_twice: int
    repeated_runs: int
    repeated_runs_bound: int
    longest_recovery_seconds: float
    violations: list[Violation]


class Account:
    """The events of a ledger by job."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.accepted: set[str] = set()
        self.unanswered: set[str] = set()
        self.cancelled_at: dict[str, float] = {}
        self.by_job: defaultdict[str, list[Event]] = defaultdict(list)
        self.faults: list[Event] = []
        self.died: list[Event] = []
        for event in events:
            if event.what == "fault":
                self.faults.append(event)
                continue
            if event.what == "died":
                self.died.append(event)
                continue
            self.by_job[event.job].append(event)
            if event.what == "submit_ok":
                self.accepted.add(event.job)
            elif event.what == "submit_info":
                self.unanswered.add(event.job)
            elif event.what == "cancel_ok" and event.name == CANCELLED:
                self.cancelled_at[event.job] = event.at

    def runs(self, job: str, what: str) -> list[Event]:
        return [event for event in self.by_job[job] if event.what == what]


def judge(events: Iterable[Event], finals: Mapping[str, Final], completed_total: int) -> Verdict:
    """`completed_total`: how many settlements as completed the store has counted."""
    account = Account(events)
    violations: list[Violation] = []

    def violated(promise: str, job: str, why: str) -> None:
        violations.append(Violation(promise, job, why, account.by_job[job]))

    for job in sorted(account.accepted):
        final = finals.get(job, Final(MISSING))
        if final.state not in (COMPLETED, CANCELLED, DEAD):
            violated("accepted means kept", job, f"it was accepted, and in the end it is {final.state}")
    for job in sorted(account.by_job):
        _judge_runs(account, job, finals.get(job, Final(MISSING)), violated)
    for event in account.died:
        violated("a node that nobody hurts goes on", "", f"process {event.pid} ended by itself: {event.name}")
    completed = sum(final.state == COMPLETED for final in finals.values())
    settled_twice = max(0, completed_total - completed)
    if settled_twice:
        violated("settles exactly once", "", f"{completed} jobs are completed, {completed_total} settlements counted")
    repeated, bound = _repetitions(account)
    if repeated > bound:
        violated("repeats only what faults explain", "", f"{repeated} repeated runs, {bound} were in flight at faults")
    return Verdict(
        acknowledged=len(account.accepted),
        unanswered=len(account.unanswered),
        faults=dict(Counter(fault.name for fault in account.faults)),
        lost=sum(violation.promise == "accepted means kept" for violation in violations),
        settled_twice=settled_twice,
        repeated_runs=repeated,
        repeated_runs_bound=bound,
        longest_recovery_seconds=_longest_recovery(account),
        violations=violations,
    )


def _judge_runs(account: Account, job: str, final: Final, tell: Callable[[str, str, str], None]) -> None:
    starts, ends = account.runs(job, "start"), account.runs(job, "end")
    if starts and job not in account.accepted and job not in account.unanswered:
        tell("no phantoms", job, "it ran, and nobody submitted it")
    if final.state == COMPLETED:
        finished = [event.fence for event in ends]
        if final.result not in finished:
            tell(
                "settles exactly once", job, f"its result is of run {final.result}, the runs that ended are {finished}"
            )
        if final.result != final.fence:
            tell("settles exactly once", job, f"its record is of run {final.fence}, its result of run {final.result}")
    fences = [event.fence for event in starts]
    if len(set(fences)) < len(fences):
        tell("the fence rises with every run", job, f"runs in their order: {fences}")
    late = account.cancelled_at.get(job)
    if late is not None and any(event.at > late for event in starts):
        tell("cancelled means never started", job, "it started after its cancellation was acknowledged")


def _repetitions(account: Account) -> tuple[int, int]:
    """Runs beyond the first that no failed attempt explains, and how many the faults explain."""
    repeated = 0
    for job in account.by_job:
        starts, fails = len(account.runs(job, "start")), len(account.runs(job, "fail"))
        repeated += max(0, starts - 1 - fails)
    return repeated, sum(fault.in_flight for fault in account.faults)


def _longest_recovery(account: Account) -> float:
    """From a kill to the restart of the last job that it interrupted."""
    kills = {fault.pid: fault.at for fault in account.faults if fault.name == "kill"}
    longest = 0.0
    for job, events in account.by_job.items():
        done = {(event.pid, event.fence) for event in events if event.what in ("end", "fail")}
        for event in account.runs(job, "start"):
            killed = kills.get(event.pid)
            if killed is not None and (event.pid, event.fence) not in done:
                later = [other.at for other in account.runs(job, "start") if other.at > killed]
                longest = max(longest, min(later, default=killed) - killed)
    return longest
