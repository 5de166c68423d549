"""Judges what limits do instead of letting jobs wait: cancel the new one, or the oldest, or stop behind a dead one.

Each few jobs of a limit that cancels have a key of their own: so it is known how many had to go.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from ironforge.job.expiry import EXPIRED
from ironforge.job.limits import LIMIT_FULL, PREEMPTED
from ironforge.verify.account import AFTERMATH_SECONDS, CANCELLED, Account, Ended, Tell
from ironforge.verify.ledger import Event
from ironforge.verify.limits.load import LIMITS, limit_of
from ironforge.verify.limits.places import Held, in_their_order
from ironforge.verify.suspicion import DEAD

FULL: Final = "only a full key cancels"
OLDEST: Final = "the oldest makes way"
PARKED: Final = "a parked key waits for its dead job"

# By what a limit does when it is full: why those are cancelled that it cancels, as their records say it.
REASONS: Final[Mapping[str, str]] = {"cancel_new": LIMIT_FULL, "cancel_oldest": PREEMPTED}


def ends_unasked(account: Account, job: str, final: Ended) -> bool:
    """Whether something that the submitter said is why this job was cancelled."""
    asked = account.asked.get(job)
    if asked is None:
        return False
    if final.reason == EXPIRED:
        return asked.expires_in > 0
    return final.reason in reasons_of(asked)


def reasons_of(asked: Event) -> list[str]:
    """Why a limit may cancel the job, as its record says it."""
    return [REASONS[policy] for use in asked.limits if (policy := LIMITS[use.name].when_full) in REASONS]


def judge_full(
    account: Account, finals: Mapping[str, Ended], held: Mapping[str, Sequence[Held]], claim: str, tell: Tell
) -> None:
    """`held`: the runs of all jobs that used the key."""
    limit = limit_of(claim)
    if limit.when_full == "wait":
        return
    jobs = [job for job in held if job in finals]
    cancelled = [job for job in jobs if finals[job].state == CANCELLED]
    if len(cancelled) > max(0, len(jobs) - (limit.concurrency or 0)):
        counted = (
            f"{len(cancelled)} of {len(jobs)} jobs of {claim!r} were cancelled, of which {limit.concurrency} may run"
        )
        tell(FULL, cancelled[-1], counted)
    if limit.when_full == "cancel_oldest":
        for job in cancelled:
            _oldest(account, job, held, tell)


def _oldest(account: Account, job: str, held: Mapping[str, Sequence[Held]], tell: Tell) -> None:
    """One that came later is why; and of those that ran before it was submitted none stays when it is told to stop."""
    came = account.asked[job].at
    if all(account.asked[other].at <= came for other in held):
        tell(OLDEST, job, "it made way, and no other one came after it")
    told = _told_to_stop(account, job)
    for runs in held.values():
        for run, until in runs:
            if run.job != job and run.at < came and told < until:
                tell(OLDEST, job, f"it made way, and {run.job} ran before it had come, and went on")


def _told_to_stop(account: Account, job: str) -> float:
    """When the last run was; infinite when there was none, or its node may have stopped it."""
    for run in in_their_order(account, job)[-1:]:
        faults = account.between(run.at - AFTERMATH_SECONDS, run.left)
        if not run.outcome and not any(fault.pid in (0, run.pid) for fault in faults):
            return run.left
    return math.inf


def judge_parking(account: Account, finals: Mapping[str, Ended], jobs: Sequence[str], claim: str, tell: Tell) -> None:
    """`jobs`: those that ran, in the order in which they were submitted."""
    if limit_of(claim).on_failure != "park":
        return
    resumed = [(event.at - event.seconds, event.at) for event in account.resumed if event.name == claim]
    for before, after in pairwise(jobs):
        last, first = in_their_order(account, before)[-1], in_their_order(account, after)[0]
        died = (
            before in finals and finals[before].state == DEAD and last.outcome == "fail" and not account.touching(last)
        )
        if died and not any(begun <= first.at and answered >= last.until for begun, answered in resumed):
            tell(PARKED, after, f"it ran, although {before} lies dead, and {claim!r} waits for that")
