"""Judges limits, unique keys, expiry and kinds that not every node knows, by what submitters and handlers told.

What limits do about full keys and failures instead of letting jobs wait is in `limits/policy_verdict.py`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from ironforge.job.expiry import EXPIRED
from ironforge.job.limits import Rate
from ironforge.verify.account import AFTERMATH_SECONDS, CLOCK_SECONDS, Account, Ended, Run, Tell
from ironforge.verify.handlers import NEWER_KIND
from ironforge.verify.limits.load import limit_of
from ironforge.verify.limits.places import Held, held_by, in_their_order, more_than, users_of
from ironforge.verify.limits.policy_verdict import judge_full, judge_parking

ENDED: Final = ("completed", "cancelled", "dead")

HOLDERS: Final = "never more holders of a key than its limit says"
RATE: Final = "never more starts than the rate allows"
ORDER: Final = "fifo keeps the order"
WAITED: Final = "who could run does not wait"
UNIQUE: Final = "one unfinished job a unique key"
LET_GO: Final = "a unique key goes with its job"
DECLINED: Final = "no job is declined for ever"
EXPIRES: Final = "a job starts before it expires, or never"

# Between a node's look at the clock, which is not behind the server's, and what the handler tells: it starts at once,
# on a machine that may be busy.
START_SECONDS: Final = 0.1


def judge_flow(account: Account, finals: Mapping[str, Ended], tell: Tell) -> None:
    held = {job: list(held_by(account, job)) for job in account.asked}
    for claim, jobs in users_of(account).items():
        limit = limit_of(claim)
        if limit.concurrency is not None:
            _holders(limit.concurrency, claim, [one for job in jobs for one in held[job]], tell)
        if limit.rate is not None:
            _starts(account, claim, jobs, limit.rate, tell)
        if limit.order:
            in_order = [job for job in jobs if job in account.accepted and held[job]]
            _order([held[job] for job in in_order], claim, whole=limit.on_failure != "skip", tell=tell)
            judge_parking(account, finals, in_order, claim, tell)
        judge_full(account, finals, {job: held[job] for job in jobs}, claim, tell)
    for event in account.waited:
        if not account.between(event.at - event.seconds - AFTERMATH_SECONDS, event.at):
            tell(WAITED, event.job, f"it headed the line of {event.name!r} for {event.seconds:.1f} s, and was to go on")
    _unique(account, finals, tell)
    _expiry(account, finals, tell)
    for job, event in account.asked.items():
        state = finals[job].state if job in finals else "missing"
        if event.name == NEWER_KIND and job in account.accepted and state not in ENDED:
            tell(DECLINED, job, f"nodes know its kind, and in the end it is {state}")


def _holders(most: int, claim: str, held: Sequence[Held], tell: Tell) -> None:
    if (found := more_than(most, held)) is not None:
        job, running = found
        tell(HOLDERS, job, f"it began while {running} held {claim!r}, of which {most} may run")


def _starts(account: Account, claim: str, jobs: Sequence[str], rate: Rate, tell: Tell) -> None:
    """In any time from a submission to a start. What was let in before and had not started yet may come on top: at most
    that is what was submitted before."""
    units = {job: use.units for job in jobs for use in account.asked[job].limits if use.claim == claim}
    a_second = rate.units / rate.per_seconds
    changes = [(account.asked[job].at, 0, job) for job in jobs]
    changes += [(at, 1, job) for job in jobs for at in _let_in(account, job)]
    changes += [(run.until, 2, job) for job in jobs for run in account.runs[job] if run.outcome == "fail"]
    pending: dict[str, int] = {}
    started, least = 0, math.inf
    for at, what, job in sorted(changes):
        if what != 1:
            least = min(least, started + sum(pending.values()) - a_second * at)
            pending[job] = units[job]
            continue
        pending.pop(job, None)
        started += units[job]
        over = started - a_second * (at + CLOCK_SECONDS) - least - rate.most_at_once
        if over > 0 and over > a_second * account.wall_clock.gained(account.asked[jobs[0]].at, at):
            return tell(RATE, job, f"{over:.1f} more units of {claim!r} had started than its rate and burst allow")
    return None


def _let_in(account: Account, job: str) -> Iterator[float]:
    """When runs began that a rate has let in. One that was taken over is not let in again: the first of them counts."""
    begun = math.inf
    for run in in_their_order(account, job):
        begun = min(begun, run.at)
        if run.outcome == "fail" and not account.touching(run):
            yield begun
            begun = math.inf
    if not math.isinf(begun):
        yield begun


def _order(jobs: Sequence[Sequence[Held]], claim: str, *, whole: bool, tell: Tell) -> None:
    """`whole`: no job begins before all runs of the one before it have."""
    sure = [held for held in jobs if held[0].until > held[0].run.at]
    for before, after in pairwise(sure):
        runs = before if whole else before[:1]
        late = [run for run, until in runs if until > run.at and run.at > after[0].run.at]
        if late:
            return tell(
                ORDER, after[0].run.job, f"it came to run before run {late[0].fence} of {late[0].job}, {claim!r}"
            )
    return None


def _unique(account: Account, finals: Mapping[str, Ended], tell: Tell) -> None:
    last = {job: run for job in account.asked if (run := _last(account, job, finals.get(job)))}
    by_key: defaultdict[str, list[str]] = defaultdict(list)
    for event in account.answered:
        if event.job in account.asked and (key := account.asked[event.job].unique):
            for other in by_key[key]:
                if other in last and last[other].until > event.at:
                    tell(UNIQUE, event.job, f"it was accepted with the key {key!r}, and {other} ended after that")
            by_key[key].append(event.job)
    for event in account.told_apart:
        run = last.get(event.job)
        if run and run.until + account.unsettled_seconds < event.at - event.seconds and not account.touching(run):
            tell(LET_GO, event.job, f"it had ended, and a submission with its key {event.unique!r} stood for it")


def _last(account: Account, job: str, final: Ended | None) -> Run | None:
    """The run that ended the job, where one did."""
    runs = [run for run in account.runs[job] if final and run.fence == final.fence and run.outcome]
    return runs[-1] if runs and final and final.state in ENDED else None


def _expiry(account: Account, finals: Mapping[str, Ended], tell: Tell) -> None:
    """By the answer at the latest the server has counted from. A further run may be late: its job has started, or was
    with a node that died."""
    for answer in account.answered:
        job = answer.job
        if job not in account.asked or not (expires_in := account.asked[job].expires_in):
            continue
        runs = [run for run in account.runs[job] if not account.touching(run)]
        for run in runs:
            late = run.at - answer.at - expires_in
            due = answer.at + expires_in
            slow = account.wall_clock.lost(account.asked[job].at, run.at) + account.pace.lost(due, max(due, run.at))
            if run.fence == 0 and late > CLOCK_SECONDS + START_SECONDS + slow:
                tell(EXPIRES, job, f"it started {late:.3f} s after it had expired")
        if runs and job in finals and finals[job].reason == EXPIRED:
            tell(EXPIRES, job, f"run {runs[0].fence} had started, and it was cancelled as one that had not")
