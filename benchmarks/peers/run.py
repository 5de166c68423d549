"""How does IronForge compare with other queues, on one machine, in one run?

First each peer tries its concurrencies on a few jobs, and its best one is kept. Then all systems take turns, so that
a busy minute of the machine hits each of them. Numbers of jobs follow the speed: a few seconds of work for each.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from benchmarks import bound, harness
from benchmarks.peers import measure, table

TRIAL_JOBS = 1_000
RUN_SECONDS = 4.0
FEWEST, MOST = 1_000, 200_000

T = TypeVar("T", "Trial", float)


class Trial(NamedTuple):
    """Jobs per second. The concurrency with the highest `drained` is the best one."""

    drained: float
    submitted: float


class Contender(NamedTuple):
    name: str
    system: table.Installed
    concurrency: str
    jobs: int


async def run(
    *, repeats: int = 3, nodes: Sequence[int] = (1, 2), only: Sequence[str] = (), **_flags: Any
) -> dict[str, Any]:
    """Jobs per second by system; what the median of IronForge is of each; who could not be measured, and why."""
    contenders, failures = _contenders(only)
    rates: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(repeats):
        for contender in contenders:
            try:
                for what, rate in _once(contender, nodes).items():
                    rates[contender.name][what].append(rate)
            except RuntimeError as error:
                failures[contender.name] = str(error)
    limits = await bound.run(repeats=repeats)
    figures = _compared(rates)
    drained = _drain(nodes[0])
    bars = [(name, found[drained]) for name, found in figures.items() if drained in found]
    return {
        "unit": "jobs/s, median",
        "systems": {
            one.name: {"version": one.system.version, "concurrency": one.concurrency, "jobs": one.jobs}
            for one in contenders
        },
        "failures": failures,
        "runs": {name: dict(found) for name, found in rates.items()},
        "figures": {**figures, **_limits(limits)},
        "plot": {"x": "", "y": "jobs/s", "series": {drained: bars}} if bars else None,
    }


def _contenders(only: Sequence[str]) -> tuple[list[Contender], dict[str, str]]:
    failures: dict[str, str] = {}
    contenders = [Contender("ironforge", table.ours(), "64", 0)]
    contenders[0] = contenders[0]._replace(jobs=_jobs_for(_trial(contenders[0].system, "64", 20_000)))
    for peer in table.PEERS:
        if only and peer.name not in only:
            continue
        try:
            contender = _contender(peer, table.install(peer))
        except (RuntimeError, OSError) as error:
            failures[peer.name] = str(error)
            say(f"{peer.name}: {error}")
            continue
        contenders.append(contender)
        say(f"{peer.name} {contender.system.version}: best concurrency {contender.concurrency}")
    return contenders, failures


def _contender(peer: table.Peer, system: table.Installed) -> Contender:
    """Raises RuntimeError when none of its concurrencies comes to an end."""
    best, trial = at_its_best(peer.concurrencies, lambda concurrency: _trial(system, concurrency, TRIAL_JOBS))
    return Contender(peer.name, system, best, _jobs_for(trial))


def at_its_best(concurrencies: Sequence[str], trial: Callable[[str], T]) -> tuple[str, T]:
    """The concurrency whose trial gives most, and that. Raises RuntimeError when none comes to an end."""
    trials: dict[str, T] = {}
    trouble = RuntimeError("it was not tried")
    for concurrency in concurrencies:
        try:
            trials[concurrency] = trial(concurrency)
        except RuntimeError as error:
            trouble = error
    if not trials:
        raise trouble
    best = max(trials, key=trials.__getitem__)
    return best, trials[best]


def _trial(system: table.Installed, concurrency: str, jobs: int) -> Trial:
    with measure.server() as url:
        submitted = measure.submit(system, url, jobs)
        return Trial(measure.drain(system, url, concurrency, 1, jobs), submitted)


def _jobs_for(trial: Trial) -> int:
    return max(FEWEST, min(MOST, round(min(trial) * RUN_SECONDS / 1_000) * 1_000))


def _once(contender: Contender, nodes: Sequence[int]) -> dict[str, float]:
    found: dict[str, float] = {}
    for processes in nodes:
        jobs = contender.jobs * processes
        with measure.server() as url:
            submitted = measure.submit(contender.system, url, jobs)
            found.setdefault("submit", submitted)
            found[_drain(processes)] = measure.drain(contender.system, url, contender.concurrency, processes, jobs)
    say(f"{contender.name}: " + ", ".join(f"{what} {rate:,.0f}/s" for what, rate in found.items()))
    return found


def _drain(processes: int) -> str:
    return f"drain, {processes} process{'es' if processes > 1 else ''}"


def _compared(rates: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    medians = {name: {what: statistics.median(runs) for what, runs in found.items()} for name, found in rates.items()}
    mine = medians.get("ironforge", {})
    return {
        name: {**found, **{f"{what}, ours ÷ its": mine[what] / rate for what, rate in found.items() if what in mine}}
        for name, found in medians.items()
    }


def _limits(limits: dict[str, Any]) -> dict[str, dict[str, float]]:
    bare = limits["figures"]
    return {
        "bound: bare commands": {
            "submit": bare["submit: XADD, HSET"]["median"],
            _drain(1): bare["drain: XREADGROUP, MULTI … EXEC"]["median"],
        }
    }


def say(text: str) -> None:
    print(f"{harness.clock()} {text}", file=sys.stderr, flush=True)
