"""What a crash does to the jobs that were held when it happened: they are counted, suspected, buried. Pure.

Which of many jobs has killed a node cannot be told, so a crash counts on all that it held, up to the crash budget less
one, and no further. A job that stands there is a suspect: it runs with nothing else on its node, and a crash of that
run is its own. So the guilty is buried after as many crashes as the budget says, and no other job ever is.

This is the one place where it is decided; every way by which a delivered job is requeued leads through `requeued`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ironforge.formats.timestamps import now_ms
from ironforge.job.record import Job, JobState
from ironforge.job.tracebacks import AttemptError


class Crash(NamedTuple):
    """`what` died, in words; `node` its name. `alone`: it ran this job and nothing else. `seen`: what the job's handler
    was seen to do before, in words, or nothing."""

    what: str
    node: str
    alone: bool = False
    seen: str = ""


def is_suspect(job: Job, budget: int) -> bool:
    """Whether this job has to run alone. A budget of 1 is like one of 2: no crash among others may spend it."""
    return job.crashes >= max(1, budget - 1)


def requeued(job: Job, budget: int, crash: Crash | None = None, *, may_have_started: bool = True) -> Job:
    """The record with which a delivered job is requeued; one that has ended as dead is to be buried instead.

    One that has not started stays what it was: it expires, and another job may still replace it.
    """
    if crash is None:
        return job.again() if may_have_started else job
    if not crash.alone:
        crashes = max(job.crashes, min(job.crashes + 1, max(1, budget - 1)))
        errors = _with_error(job, crash) if crash.seen else job.errors
        return job.again(crashes=crashes, errors=errors, ready_ms=now_ms())
    again = job.again(crashes=job.crashes + 1, errors=_with_error(job, crash), ready_ms=now_ms())
    if again.crashes < budget:  # which has been raised since
        return again
    return again.finish(JobState.DEAD, now_ms(), reason=f"poison: {_told(crash)}")


def cleared(job: Job, budget: int) -> Job:
    """After a run that ended by itself, whatever came of it: one that was suspected ran alone, and killed no node."""
    return msgspec.structs.replace(job, crashes=0) if is_suspect(job, budget) else job


def _with_error(job: Job, crash: Crash) -> tuple[AttemptError, ...]:
    name = "BlockedLoop" if crash.seen else "Crash"
    return job.errors_with(AttemptError(job.attempt + 1, now_ms(), name, _told(crash), crash.node))


def _told(crash: Crash) -> str:
    held = "ran nothing but this job" if crash.alone else "held this job"
    return f"{crash.what} while it {held}" + (f", whose handler {crash.seen}" if crash.seen else "")
