"""Judges the jobs whose nodes died: which were suspected, which were buried, and what else ran meanwhile.

Judged by what handlers and faults told, and not by the node's own count: a node that counts wrongly would be right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final

from ironforge.settings import Settings
from ironforge.verify.account import Account, Ended, Fault, Run, Tell

CRASH_BUDGET: Final = Settings().crash_budget
DEAD: Final = "dead"

INNOCENT: Final = "no innocent job is buried as poison"
GUILTY: Final = "who kills its nodes is buried, by a crash of its own, in time"
BY_ITSELF: Final = "a suspect runs alone"
# Two runs that follow each other at once are told by two handlers, and a handler tells its end before it is over.
SLACK_SECONDS: Final = 0.002


def judge_suspects(account: Account, finals: Mapping[str, Ended], tell: Tell) -> None:
    own: dict[str, list[Fault]] = {}
    for fault in account.faults:
        if fault.by:
            own.setdefault(fault.by, []).append(fault)
    suspected = [run for job in account.runs for run in suspect_runs(account, job, surely=True)]
    for job, final in finals.items():
        if final.state == DEAD and final.crashes >= CRASH_BUDGET:
            _innocent(account, job, final, own.get(job, []), tell)
    for job, faults in own.items():
        _guilty(account, job, finals.get(job), faults, tell)
    for run in suspected:
        if beside := _beside(account, run):
            tell(
                BY_ITSELF,
                run.job,
                f"run {run.fence} on process {run.pid} was not alone: {beside[0].job} ran there as well",
            )
    for first, second in combinations(sorted(suspected, key=lambda run: run.at), 2):
        if first.pid != second.pid and _at_once(account, first, second):
            tell(BY_ITSELF, second.job, f"run {second.fence} began while {first.job} ran alone on process {first.pid}")


def suspect_runs(account: Account, job: str, *, surely: bool) -> Iterator[Run]:
    """Those that followed so many runs killed as one less than the budget; `surely`: where the server cannot have
    forgotten one of these crashes. There may be more of them, for a node may have died that held the job and had not
    started it."""
    kills = 0
    for run, repeated_at in account.in_order(job):
        if kills >= CRASH_BUDGET - 1:
            yield run
        counts = account.crashed(run, repeated_at) if surely else account.interrupted(run)
        if surely and run.records:
            kills = 0
        # A run that ended by itself, and told so, may be settled or not: from there on nothing is sure.
        kills = kills + 1 if counts else 0


def _innocent(account: Account, job: str, final: Ended, own: list[Fault], tell: Tell) -> None:
    """Buried by the crash of its last run: nothing else may have run there, and something must have hurt it."""
    last = [run for run in account.runs[job] if run.fence == final.fence - 1]
    if not last or own:
        return  # it was killed between its delivery and its start; or it is guilty
    if not account.touching(last[0]):
        tell(
            INNOCENT, job, f"it is dead as poison, and nothing hurt process {last[0].pid} while run {last[0].fence} ran"
        )
    elif beside := _beside(account, last[0]):
        tell(INNOCENT, job, f"it is dead as poison, and {beside[0].job} ran on process {last[0].pid} as well")


def _guilty(account: Account, job: str, final: Ended | None, faults: list[Fault], tell: Tell) -> None:
    kills = [fault for fault in faults if fault.name == "kill"]
    if not kills:
        return  # one that blocks its node may be done before that shows
    others = sum(fault.pid == 0 for fault in account.faults)
    if final is None or final.state != DEAD:
        tell(GUILTY, job, f"it killed {len(kills)} nodes, and is {final.state if final else 'missing'}")
    elif len(kills) > CRASH_BUDGET + others:
        tell(GUILTY, job, f"it killed {len(kills)} nodes before it was buried")
    elif kills[-1].fence != final.fence - 1:
        tell(
            GUILTY,
            job,
            f"it was buried after run {final.fence - 1}, and the last one that it killed was {kills[-1].fence}",
        )


def _beside(account: Account, run: Run) -> list[Run]:
    """The other runs on its process. One that another fault has cut short there may be waited for no longer."""
    end = _end(account, run)
    others = [other for other in account.on_process[run.pid] if other != run]
    return [
        other
        for other in others
        if min(end, _end(account, other)) - max(run.at, other.at) > SLACK_SECONDS and not _cut(account, other, run)
    ]


def _at_once(account: Account, first: Run, second: Run) -> bool:
    if second.at > _end(account, first) - SLACK_SECONDS:
        return False
    # A node that is dead to the others, and does not know it yet, runs on beside its heirs.
    return not account.touching(first, second.at) and not account.touching(second, second.at)


def _end(account: Account, run: Run) -> float:
    return min(run.left, account.killed(run.pid))


def _cut(account: Account, other: Run, run: Run) -> bool:
    """Whether the other one had lost its lease before: then it ended without a word."""
    return math.isinf(other.left) and any(fault.name != "kill" for fault in account.touching(other, run.at))
