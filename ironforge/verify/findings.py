"""What a run found."""

from __future__ import annotations

import msgspec

from ironforge.verify.ledger import Event


class Violation(msgspec.Struct, frozen=True):
    """A broken promise, with the events of the job, and of the processes that ran it, that show it."""

    promise: str
    job: str
    why: str
    evidence: list[Event]


class Verdict(msgspec.Struct, frozen=True):
    """The figures of a run, and everything that broke a promise.

    `repeated_runs_bound`: how many runs a fault touched before they were settled. `starved`: how often a node got no
    processor for a third of a lease; `clock_set`: how often the machine's clock was set by a lot: both count as faults
    of the machine. `recoveries`: runs that a kill interrupted; those `recoveries_judged` had no other fault near them.
    """

    acknowledged: int
    unanswered: int
    faults: dict[str, int]
    lost: int
    settled_twice: int
    repeated_runs: int
    repeated_runs_bound: int
    longest_recovery_seconds: float
    violations: list[Violation]
    starved: int = 0
    clock_set: int = 0
    recoveries: int = 0
    recoveries_judged: int = 0
    ticks_started: int = 0
    ticks_skipped: int = 0
