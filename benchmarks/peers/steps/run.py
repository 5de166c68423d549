"""How many steps does IronForge record in a second, and others, on one machine, in one run?

A job, task or workflow has ten steps, each awaited before the next one; its result is recorded. DBOS and Absurd record
on PostgreSQL, once with each commit on disk before it is answered (as `local` of ours) and once without
(`synchronous_commit` off, as `relaxed`). Celery records no steps: its chains and chords, which hand results on by its
result backend, stand beside workflows of as many nodes. Their tasks are counted one by one, because all chains come to
their ends together. All take turns, each on a fresh server.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

from benchmarks.peers import measure, postgres, table
from benchmarks.peers.run import at_its_best, say
from benchmarks.peers.steps import CHAIN, FAN, SHAPE, STEPS

TRIAL_JOBS = 200
FEWEST, MOST = 200, 20_000
RUN_SECONDS = 4.0


class Contender(NamedTuple):
    """One way to run one system: `durable`, or as fast as it may be. `shape`: of a workflow of as many tasks; empty:
    steps of a job."""

    name: str
    peer: table.Peer | None
    concurrencies: tuple[str, ...]
    durable: bool = False
    shape: str = ""

    @property
    def label(self) -> str:
        return f"{self.name}, {self.shape or 'steps'}, {'each commit on disk' if self.durable else 'relaxed'}"

    def installed(self) -> table.Installed:
        """Raises RuntimeError."""
        mine = "steps.flows" if self.shape else "steps.ours"
        return table.install(self.peer) if self.peer else table.ours(mine)

    def server(self) -> AbstractContextManager[str]:
        if self.name in ("dbos", "absurd"):
            return postgres.server(synchronous_commit=self.durable)
        return measure.server(fsync="always" if self.durable else "everysec")


_DBOS = table.Peer("dbos", "dbos", ("uvloop",), module="steps.dbos")
_ABSURD = table.Peer("absurd", "absurd-sdk", ("absurdctl", "uvloop"), module="steps.absurd")
_CELERY = table.Peer("celery", "celery", ("celery[redis]", "hiredis"), module="steps.celery")
CONTENDERS = (
    Contender("ironforge", None, ("64",)),
    Contender("ironforge", None, ("64",), durable=True),
    Contender("dbos", _DBOS, ("20", "100")),
    Contender("dbos", _DBOS, ("20", "100"), durable=True),
    Contender("absurd", _ABSURD, ("10", "100")),
    Contender("absurd", _ABSURD, ("10", "100"), durable=True),
    *(
        each._replace(shape=shape)
        for shape in (CHAIN, FAN)
        for each in (Contender("ironforge", None, ("64",)), Contender("celery", _CELERY, ("threads:4", "prefork:2")))
    ),
)


async def run(*, repeats: int = 3, only: Sequence[str] = (), **_flags: Any) -> dict[str, Any]:
    """Steps per second by system; what the median of IronForge is of each; who could not be measured, and why."""
    failures: dict[str, str] = {}
    ready: list[tuple[Contender, table.Installed, str, int]] = []
    for one in CONTENDERS:
        if only and one.name not in (*only, "ironforge"):
            continue
        try:
            system = one.installed()
            best, rate = at_its_best(one.concurrencies, partial(_steps, one, system, jobs=TRIAL_JOBS))
        except (RuntimeError, OSError) as error:
            failures[one.label] = str(error)
            say(f"{one.label}: {error}")
            continue
        jobs = max(FEWEST, min(MOST, round(rate / STEPS * RUN_SECONDS / 100) * 100))
        ready.append((one, system, best, jobs))
    rates: dict[Contender, list[float]] = defaultdict(list)
    for _ in range(repeats):
        for one, system, concurrency, jobs in ready:
            try:
                rates[one].append(_steps(one, system, concurrency, jobs))
            except RuntimeError as error:
                failures[one.label] = str(error)
                continue
            say(f"{one.label}: {rates[one][-1]:,.0f} steps/s")
    medians = {one: statistics.median(found) for one, found in rates.items()}
    mine = {(one.shape, one.durable): rate for one, rate in medians.items() if one.peer is None}
    return {
        "unit": "steps/s, median",
        "failures": failures,
        "systems": {
            one.label: {"version": system.version, "concurrency": best, "jobs": jobs}
            for one, system, best, jobs in ready
        },
        "runs": {one.label: found for one, found in rates.items()},
        "figures": {
            one.label: {"steps/s": rate, **({"ours ÷ its": mine[work] / rate} if work in mine else {})}
            for one, rate in medians.items()
            for work in [(one.shape, one.durable)]
        },
    }


def _steps(one: Contender, system: table.Installed, concurrency: str, jobs: int) -> float:
    """Steps per second. Raises RuntimeError with what it said last."""
    more = {SHAPE: one.shape, **({"IRONFORGE_DURABILITY": "local"} if one.durable else {})}
    system = system._replace(environment={**system.environment, **more})
    with one.server() as url:
        measure.prepare(system, url)
        measure.submit(system, url, jobs)
        if one.shape:
            return measure.drain(system, url, concurrency, 1, STEPS * jobs)
        return STEPS * measure.drain(system, url, concurrency, 1, jobs)
