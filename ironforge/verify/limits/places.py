"""Who used the keys of limits, and who surely had a place, by what submitters and handlers told.

A run counts while the lease of its node surely holds: one that a fault has touched runs on for nobody, and does not
count from that fault on. A node that is killed keeps its places, for the same jobs: of those it may be known when they
are over for sure, and that is their next run.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from ironforge.verify.account import Account, Run
from ironforge.verify.handlers import NEWER_KIND


class Held(NamedTuple):
    """A run, and until when it surely held the places of its job; before it began, when it never surely did."""

    run: Run
    until: float


def users_of(account: Account) -> dict[str, list[str]]:
    """The jobs that use each key of a limit, in the order in which they were submitted."""
    users: defaultdict[str, list[str]] = defaultdict(list)
    for job, event in account.asked.items():
        for use in event.limits:
            users[use.claim].append(job)
    return users


def in_their_order(account: Account, job: str) -> list[Run]:
    return sorted(account.runs.get(job, ()), key=lambda run: (run.fence, run.at))


def held_by(account: Account, job: str) -> Iterator[Held]:
    runs = in_their_order(account, job)
    for run, following in zip_longest(runs, runs[1:]):
        again = following.at if following else math.inf
        faults = account.touching(run, again)
        may_decline = job in account.asked and account.asked[job].name == NEWER_KIND
        kept = following is not None and following.fence == run.fence + 1 and not may_decline
        if kept and not run.outcome and [fault.name for fault in faults] == ["kill"]:
            yield Held(run, again)
        else:
            yield Held(run, min(run.until, run.left, again, *(fault.begin for fault in faults)))


def more_than(most: int, held: Sequence[Held]) -> tuple[str, list[str]] | None:
    """The first job that began while others held so many places that there were too many of them, and all of these;
    None: there were never."""
    changes = sorted(
        (at, begins, run.job)
        for run, until in held
        if until > run.at
        for at, begins in ((run.at, True), (until, False))
    )
    running: Counter[str] = Counter()
    for _, begins, job in changes:
        running[job] += 1 if begins else -1
        running = +running
        if len(running) > most:
            return job, sorted(running)
    return None
