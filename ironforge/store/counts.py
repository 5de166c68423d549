"""How many jobs and schedules there are, where, and how they are: what statistics and metrics are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class StreamDepth(NamedTuple):
    queue: str
    priority: int
    queued: int
    running: int
    oldest_ms: int | None  # when the longest queued job became ready; None as well where that would cost too much
    suspects: int = 0  # of those that are queued: they wait to run alone
    declined: int = 0  # of those that are queued: they wait for a node that knows their kind
    limited: int = 0  # of those that are queued: a limit keeps them out

    def together(self, other: StreamDepth) -> StreamDepth:
        """Of two places that hold jobs of the same queue and priority."""
        oldest = [ms for ms in (self.oldest_ms, other.oldest_ms) if ms is not None]
        return self._replace(
            queued=self.queued + other.queued,
            running=self.running + other.running,
            oldest_ms=min(oldest, default=None),
            suspects=self.suspects + other.suspects,
            declined=self.declined + other.declined,
            limited=self.limited + other.limited,
        )


class VersionLine(NamedTuple):
    """Queued jobs of a kind that nodes declined, for another version of the application has begun them: they wait for a
    node that has it."""

    queue: str
    kind: str
    version: str
    jobs: int


class ScheduleCounts(NamedTuple):
    """How many schedules there are; of these: paused ones; `broken` ones, which cannot be read or whose job is refused;
    `overdue` ones, whose tick nothing fires. `next_ms`: when the next tick fires, Unix time; None: there is none."""

    total: int = 0
    paused: int = 0
    broken: int = 0
    overdue: int = 0
    next_ms: int | None = None

    def together(self, other: ScheduleCounts) -> ScheduleCounts:
        return ScheduleCounts(
            self.total + other.total,
            self.paused + other.paused,
            self.broken + other.broken,
            self.overdue + other.overdue,
            min((ms for ms in (self.next_ms, other.next_ms) if ms is not None), default=None),
        )


class Waits(NamedTuple):
    """How many jobs are in state waiting, by what they wait for. `workflow`: workflows that have not ended."""

    sleep: int = 0
    event: int = 0
    children: int = 0
    workflow: int = 0

    @property
    def total(self) -> int:
        return sum(self)


class Stats(NamedTuple):
    """`totals` counts since the namespace exists: submitted, completed, failed, retried, dead (poison: of those),
    cancelled (expired: of those), and ticks of schedules; all, also those that are 0. `paused`: names of queues,
    sorted, also of those that have no job. `versions`: jobs that wait for one, sorted."""

    streams: list[StreamDepth]
    scheduled: int
    dead: int
    totals: dict[str, int]
    now_ms: int
    paused: Sequence[str] = ()
    schedules: ScheduleCounts = ScheduleCounts()
    waiting: Waits = Waits()
    versions: Sequence[VersionLine] = ()

    @property
    def next_tick_seconds(self) -> float | None:
        """Until the next tick of any schedule, 0 for one that is due; None: there is none."""
        next_ms = self.schedules.next_ms
        return None if next_ms is None else max(0, next_ms - self.now_ms) / 1000


class Totals(NamedTuple):
    """Those of `Stats`, at a moment."""

    totals: dict[str, int]
    now_ms: int
