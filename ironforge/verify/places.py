"""Who used the keys of limits, and who surely had a place, by what submitters and handlers told.

A run counts while the lease of its node surely holds: one that a fault has touched runs on for nobody, and does not
count from that fault on. A node that is killed keeps its places, for the same jobs: of those it may be known when they
are over for sure, and that is their next run.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
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
    return sorted(account.runs[job], key=lambda run: (run.fence, run.at))


def held_by(account: Account, job: str) -> Iterator[Held]:
    runs = in_their_order(account, job)
    for run, following in zip_longest(runs, runs[1:]):
        again = following.at if following else math.inf
        faults = account.touching(run, again)
        kept = following is not None and following.fence == run.fence + 1 and account.asked[job].name != NEWER_KIND
        if kept and not run.outcome and [fault.name for fault in faults] == ["kill"]:
            yield Held(run, again)
        else:
            yield Held(run, min(run.until, run.left, again, *(fault.begin for fault in faults)))
