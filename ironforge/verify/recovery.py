"""How soon the jobs of a killed node started elsewhere.

Judged only where no other fault is near, and another node had run something by then: one that has just come, or was
away itself, watches the others for one whole lease before it takes over from any of them, and a job that was requeued
may be with a node that is hurt next.
Nor where a job killed its node: it kills the next one as well, and all that are left have just come.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from ironforge.verify.account import Account, Run
from ironforge.verify.suspicion import suspect_runs

LEASES: Final = 1.5
# For the machine: to see the next heartbeat, to read the job, to start it.
SCHEDULING_SECONDS: Final = 1.0


class Late(NamedTuple):
    job: str
    seconds: float


class Recoveries(NamedTuple):
    """`interrupted`: runs that a kill interrupted and that started again; `judged`: those that must be in time."""

    interrupted: int
    judged: int
    longest_seconds: float
    late: list[Late]


def recoveries(account: Account, lease_seconds: float) -> Recoveries:
    """`lease_seconds` 0: nothing is judged."""
    limit = LEASES * lease_seconds + SCHEDULING_SECONDS
    slow = account.pace.lost
    kills = {fault.pid: fault.begin for fault in account.faults if fault.name == "kill"}
    by_jobs = {fault.pid for fault in account.faults if fault.by}
    came = {pid: min(run.at for run in runs) for pid, runs in account.on_process.items()}
    alone = {
        pid: lease_seconds > 0
        and pid not in by_jobs
        and len(account.between(at - LEASES * lease_seconds, at + limit)) == 1
        and any(first <= at < kills.get(other, math.inf) for other, first in came.items() if other != pid)
        for pid, at in kills.items()
    }
    seconds: list[tuple[int, Late]] = []
    for job in account.runs:
        for run, following in account.followed(job):
            killed = kills.get(run.pid, math.inf)
            # A suspect waits until a node has nothing else to do.
            if _interrupted(run, killed, following) and following not in set(suspect_runs(account, job, surely=False)):
                seconds.append((run.pid, Late(job, following.at - killed)))
    judged = [(late, limit + slow(kills[pid], kills[pid] + late.seconds)) for pid, late in seconds if alone[pid]]
    return Recoveries(
        len(seconds),
        len(judged),
        max((late.seconds for _, late in seconds), default=0.0),
        [late for late, allowed in judged if late.seconds > allowed],
    )


def _interrupted(run: Run, killed: float, following: Run) -> bool:
    return not run.outcome and run.at <= killed <= following.at
