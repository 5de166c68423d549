"""The events of a ledger in order: runs by job, faults by process, what was asked for each job.

A fault is a stretch of time on one process, or on all of them when it is the server's (process 0). What a fault
explains is decided here, once: every promise that forgives something asks the same question.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from ironforge.verify.ledger import UNSETTLED_SECONDS, Event
from ironforge.verify.pace import LATE, Pace
from ironforge.verify.wall_clock import WALL, WallClock

CANCELLED: Final = "cancelled"
STARVED: Final = "starved"
# The clock on the wall was set, by so much that leases ended.
CLOCK_SET: Final = "clock set"
# A node that was away goes on under a dead name until it hears of its fate: for this long its runs may be repeated.
AFTERMATH_SECONDS: Final = 1.0
# The ledger is told by the machine's clock, due times and rates are by the server's, in whole milliseconds.
CLOCK_SECONDS: Final = 0.01
# A drain waits for what runs, and scripts come back by their text: neither repeats anything.
DRAINS: Final = ("stop", "deploy")
# What the ledger says of an event that was sent.
SENDINGS: Final = ("sent", "sent_late", "sent_info")
HARMLESS: Final = (*DRAINS, "script-flush")


# Tells a broken promise: which one, of which job (or none), and how it shows.
Tell = Callable[[str, str, str], None]


class Ended(NamedTuple):
    """What the store says of a job at the end. `result`: the fence that its accepted run returned. `reason`: why it was
    cancelled, where a record says it."""

    state: str
    fence: int = 0
    result: int | None = None
    crashes: int = 0
    reason: str = ""


def fence_of(result: bytes | None) -> int | None:
    """What a handler returned of the fence of its run: that alone, or among other things."""
    told = msgspec.json.decode(result) if result else None
    return told.get("fence") if isinstance(told, dict) else told if isinstance(told, int) else None


class Run(NamedTuple):
    """`until`: when it ended, failed or left its node to wait; infinite when the ledger does not say. `outcome`: end,
    fail, parked or nothing. `left`: when its handler was over, also because it was told to stop. `records`: it may have
    recorded something, and crashes then count from there."""

    job: str
    at: float
    pid: int
    fence: int
    outcome: str
    until: float
    left: float = math.inf
    records: bool = False


class Fault(NamedTuple):
    """`pid` 0: the server, and so every process. `end` is when it was healed, for a kill when it happened. `by`: the
    job that did it, and the fence of its run."""

    name: str
    pid: int
    begin: float
    end: float
    by: str = ""
    fence: int = 0

    def touches(self, run: Run, unsettled_until: float) -> bool:
        """Whether it may have kept the run from being settled."""
        if self.name in HARMLESS or self.pid not in (0, run.pid):
            return False
        return self.begin <= unsettled_until and run.at <= self.end + AFTERMATH_SECONDS


class Account:
    def __init__(self, events: Iterable[Event]) -> None:
        self.accepted: set[str] = set()
        self.unanswered: set[str] = set()
        self.cancelled_at: dict[str, float] = {}
        self.asked_to_cancel: set[str] = set()
        self.due: dict[str, float] = {}
        self.by_key: defaultdict[str, set[str]] = defaultdict(set)
        self.asked: dict[str, Event] = {}
        self.answered: list[Event] = []
        self.told_apart: list[Event] = []
        self.waited: list[Event] = []
        self.retried: list[Event] = []
        self._of_sorts = {"told_apart": self.told_apart, "waited": self.waited, "retried": self.retried}
        self.resumed: list[Event] = []
        self.sent: list[Event] = []
        self.of_schedules: dict[str, str] = {}
        self.of_workflows: dict[str, str] = {}
        self.by_job: defaultdict[str, list[Event]] = defaultdict(list)
        self.died: list[Event] = []
        self.faults: list[Fault] = []
        self._by_pid: defaultdict[int, list[Fault]] = defaultdict(list)
        self._of_processes: list[Event] = []
        of_machine: dict[str, list[Event]] = {WALL: [], LATE: []}
        of_no_job = {**of_machine, "died": self.died, "resumed": self.resumed, **dict.fromkeys(SENDINGS, self.sent)}
        for event in events:
            if event.job:
                self.by_job[event.job].append(event)
                self._note(event)
                if event.what == "start" and event.name:
                    self.of_schedules[event.job] = event.name
            else:
                of_no_job.get(event.what, self._of_processes).append(event)
        self.pace, self.wall_clock = Pace.of(of_machine[LATE]), WallClock.of(of_machine[WALL])
        self.faults += [Fault(CLOCK_SET, 0, *leap) for leap in self.wall_clock.leaps()]
        self._pair(self._of_processes)
        # Where no process got a processor for some time, results were settled that much later as well.
        starved = (event.seconds for event in self._of_processes if event.what == STARVED)
        self.unsettled_seconds = UNSETTLED_SECONDS + max(starved, default=0.0)
        self.runs = {job: _runs(job, told) for job, told in self.by_job.items()}
        self.on_process = _by_process(self.runs)

    def killed(self, pid: int) -> float:
        """When; never: infinite."""
        return min((fault.begin for fault in self._by_pid[pid] if fault.name == "kill"), default=math.inf)

    def interrupted(self, run: Run) -> bool:
        """Whether its node was killed while it ran."""
        return not run.outcome and run.at <= self.killed(run.pid) < run.left

    def crashed(self, run: Run, before: float = math.inf) -> bool:
        """Whether it was surely under way, on a node in good health, when that was killed, and nothing else touched it
        `before` it was repeated: a server that lost what it knew forgets that this was a crash."""
        if not math.isinf(run.left):  # ended, failed, or told to stop, and settled since, perhaps
            return False
        touching = self.touching(run, before)
        return [fault.name for fault in touching] == ["kill"] and not self._stopped(run, touching[0].begin)

    def followed(self, job: str) -> Iterator[tuple[Run, Run]]:
        """Each run with the one that was made of it. In the order of their fences: one on a node that was away may
        start after the run that replaces it."""
        return pairwise(sorted(self.runs[job], key=lambda run: (run.fence, run.at)))

    def in_order(self, job: str) -> Iterator[tuple[Run, float]]:
        """Its runs, each with when the one began that was made of it; infinite: none was."""
        runs = sorted(self.runs.get(job, ()), key=lambda run: (run.fence, run.at))
        return zip(runs, [*(run.at for run in runs[1:]), math.inf], strict=False)

    def touching(self, run: Run, before: float = math.inf) -> list[Fault]:
        """The faults that explain that this run, not repeated `before`, is repeated; those of the server included."""
        unsettled_until = min(run.left + self.unsettled_seconds, before)
        return [fault for pid in (run.pid, 0) for fault in self._by_pid[pid] if fault.touches(run, unsettled_until)]

    def evidence(self, job: str) -> list[Event]:
        """What happened to the job, and to the processes that ran it."""
        processes = {0, *(run.pid for run in self.runs.get(job, ()))}
        told = [*self.by_job.get(job, ()), *(event for event in self._of_processes if event.pid in processes)]
        return sorted(told, key=lambda event: event.at)

    def ended_twice(self) -> list[str]:
        return [job for job, runs in self.runs.items() if sum(run.outcome == "end" for run in runs) > 1]

    def between(self, begin: float, end: float) -> list[Fault]:
        """Every fault, harmless or not, that was not over before `begin` and had begun before `end`."""
        return [fault for fault in self.faults if fault.begin <= end and begin <= fault.end]

    def queued_until(self, due: float, before: float) -> float:
        """When the last of the jobs began that were accepted before `due`, of those that began `before`: what comes to
        the end of a queue when it is due stands behind them. 0: there were none."""
        accepted = (event for event in self.answered if event.at <= due and not self.due.get(event.job))
        begun = (self.runs[event.job][0].at for event in accepted if self.runs[event.job] and not self._held(event.job))
        return max((at for at in begun if at < before), default=0.0)

    def _held(self, job: str) -> bool:
        """Whether something else than those before it may have let it wait."""
        return job in self.asked and bool(self.asked[job].limits)

    def _stopped(self, run: Run, killed: float) -> bool:
        return any(fault.pid == run.pid and fault.name in DRAINS for fault in self.between(run.at, killed))

    def _note(self, event: Event) -> None:
        if event.due:
            self.due[event.job] = event.due
        if event.what == "asked":
            self.asked[event.job] = event
        elif (kept := self._of_sorts.get(event.what)) is not None:
            kept.append(event)
        elif event.what == "node":
            self.of_workflows[event.job] = event.name
        if event.what in ("submit_ok", "submit_info"):
            (self.accepted if event.what == "submit_ok" else self.unanswered).add(event.job)
            if event.what == "submit_ok":
                self.answered.append(event)
            if event.name:
                self.by_key[event.name].add(event.job)
        elif event.what in ("cancel_ok", "cancel_info"):
            self.asked_to_cancel.add(event.job)
            if event.what == "cancel_ok" and event.name == CANCELLED:
                self.cancelled_at[event.job] = event.at

    def _pair(self, events: list[Event]) -> None:
        """Node faults are told when they begin (and again when healed), server faults at both ends as well."""
        begun: dict[str, float] = {}
        for event in events:
            if event.what == "fault_begin":
                begun[event.name] = event.at
            elif event.what == STARVED:
                self.faults.append(Fault(STARVED, event.pid, event.at - event.seconds, event.at))
            elif event.what == "fault" and event.pid == 0:
                self.faults.append(Fault(event.name, 0, begun.pop(event.name, event.at), event.at))
            elif event.what == "fault":
                same = (event.pid, event.name)
                heals = (other.at for other in events if other.what == "healed" and (other.pid, other.name) == same)
                end = min((at for at in heals if at >= event.at), default=event.at)
                self.faults.append(Fault(event.name, event.pid, event.at, end, event.by, event.fence))
        for fault in sorted(self.faults, key=lambda fault: fault.begin):
            self._by_pid[fault.pid].append(fault)
        for pid, faults in self._by_pid.items():
            if pid:
                self._by_pid[pid] = list(_joined(faults))


def _by_process(runs_of: Mapping[str, Sequence[Run]]) -> defaultdict[int, list[Run]]:
    found: defaultdict[int, list[Run]] = defaultdict(list)
    for runs in runs_of.values():
        for run in runs:
            found[run.pid].append(run)
    return found


def _joined(faults: Sequence[Fault]) -> Iterator[Fault]:
    """A node that is away again before it has heard of its fate was away all the time. Faults in their order."""
    for at, fault in enumerate(faults):
        end = fault.end
        for following in faults[at + 1 :]:
            if following.name not in HARMLESS and following.begin <= end + AFTERMATH_SECONDS:
                end = max(end, following.end)
        yield fault._replace(end=end)


def _runs(job: str, events: Iterable[Event]) -> list[Run]:
    ends = {(event.pid, event.fence): event for event in events if event.what in ("end", "fail", "parked")}
    records = {(event.pid, event.fence) for event in events if event.what in ("stepped", "slept", "waits")}
    lefts = {(event.pid, event.fence): event.at for event in events if event.what == "left"}
    runs = []
    for event in events:
        if event.what == "start":
            end = ends.get((event.pid, event.fence))
            outcome, until = (end.what, end.at) if end else ("", math.inf)
            run = event.pid, event.fence
            left = min(until, lefts.get(run, math.inf))
            runs.append(Run(job, event.at, *run, outcome, until, left, run in records))
    return runs
