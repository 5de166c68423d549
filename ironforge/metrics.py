"""The Prometheus metrics of a process, and the exposition of one process or of all children of a node parent.

The node's counters sit on its hot path, so whole batches are counted at once: durations are grouped by bucket
first, and each bucket is raised once. No label ever carries an id; kinds, which strangers choose, are capped.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_left
from collections import Counter as Tally
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    values,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from ironforge.job import Priority
from ironforge.store.contract import Stats

MULTIPROCESS_DIR: Final = "PROMETHEUS_MULTIPROC_DIR"
SLOT: Final = "IRONFORGE_SLOT"
# So many kinds and streams are told apart: clients that invent names must not fill the scraper's memory.
MAX_KINDS: Final = 1_000
MAX_STREAMS: Final = 1_000
OTHER: Final = "other"

DURATION_BUCKETS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0),
)
LATENESS_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
# A stall stays visible for this long, so that a scrape every 15 s sees each of them.
LAG_WINDOW_SECONDS: Final = 15.0


def _claim_slot(slot: str) -> None:
    """The child that replaces a dead one continues its files: counters never fall, and files never pile up.

    Two writers would ruin a file, so nothing that this process starts or forks gets the same name.
    """
    owner = os.getpid()

    def identifier() -> str:
        return slot if os.getpid() == owner else str(os.getpid())

    values.ValueClass = values.MultiProcessValue(identifier)  # type: ignore[no-untyped-call]


_IS_CHILD: Final = MULTIPROCESS_DIR in os.environ and SLOT in os.environ
if _IS_CHILD:
    _claim_slot(os.environ.pop(SLOT))


# A `_created` time next to every counter would double the page, and nobody reads it.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """What this process counts. One per registry; `registry` defaults to a new one.

    Metrics without a kind are public prometheus_client objects: use them directly.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._make_job_metrics(self.registry)
        self._make_node_metrics(self.registry)
        self._depths = Depths()
        self.registry.register(self._depths)
        self._kinds: set[str] = set()
        self._submitted_of: dict[tuple[str, Priority], Counter] = {}
        if MULTIPROCESS_DIR not in os.environ:
            ProcessCollector(registry=self.registry)

    def _make_job_metrics(self, registry: CollectorRegistry) -> None:
        self._submitted = Counter(
            "ironforge_jobs_submitted_total", "Jobs accepted", ("kind", "priority"), registry=registry
        )
        self._completed = Counter("ironforge_jobs_completed_total", "Jobs completed", ("kind",), registry=registry)
        self._failed = Counter("ironforge_jobs_failed_total", "Failed attempts", ("kind",), registry=registry)
        self._retried = Counter("ironforge_jobs_retried_total", "Retries scheduled", ("kind",), registry=registry)
        self._dead = Counter(
            "ironforge_jobs_dlq_total",
            "Jobs that gave up and went to the dead letter",
            ("kind",),
            registry=registry,
        )
        self._duration = Histogram(
            "ironforge_job_duration_seconds",
            "Run time of one attempt, whatever its outcome",
            ("kind",),
            registry=registry,
            buckets=DURATION_BUCKETS,
        )

    def _make_node_metrics(self, registry: CollectorRegistry) -> None:
        self.active_jobs = Gauge(
            "ironforge_active_jobs", "Jobs running now", registry=registry, multiprocess_mode="livesum"
        )
        self.loop_lag = Gauge(
            "ironforge_loop_lag_seconds",
            f"Longest delay of the event loop within the last {LAG_WINDOW_SECONDS:g} seconds",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.lease_losses = Counter("ironforge_lease_losses_total", "Leases lost to a take-over", registry=registry)
        self.stale_settlements = Counter(
            "ironforge_stale_settlements_total", "Settlements refused by the fence", registry=registry
        )
        self._latency = Histogram(
            "ironforge_queue_latency_seconds",
            "From submission to the start of the run",
            registry=registry,
            buckets=DURATION_BUCKETS,
        )
        self._lateness = Histogram(
            "ironforge_timer_lateness_seconds",
            "From the due time of a delay or retry to its move into the queue",
            registry=registry,
            buckets=LATENESS_BUCKETS,
        )

    def submitted(self, kind: str, priority: Priority, count: int = 1) -> None:
        """`count` jobs of this kind and priority were accepted."""
        # `labels` costs five times what the counting does, and every submission over HTTP comes through here.
        counter = self._submitted_of.get((kind, priority))
        if counter is None:
            label = self._label(kind)
            counter = self._submitted.labels(label, priority.label)
            if label == kind:
                self._submitted_of[kind, priority] = counter
        counter.inc(count)

    def completed(self, kind: str, seconds: Sequence[float]) -> None:
        """One job completed per entry of `seconds`, its run time."""
        label = self._label(kind)
        self._completed.labels(label).inc(len(seconds))
        _observe(self._duration.labels(label), DURATION_BUCKETS, seconds)

    def failed(self, kind: str, seconds: Sequence[float]) -> None:
        """One attempt failed per entry of `seconds`, its run time."""
        label = self._label(kind)
        self._failed.labels(label).inc(len(seconds))
        _observe(self._duration.labels(label), DURATION_BUCKETS, seconds)

    def retried(self, kind: str, count: int = 1) -> None:
        """`count` retries were scheduled."""
        self._retried.labels(self._label(kind)).inc(count)

    def dead(self, kind: str, count: int = 1) -> None:
        """`count` jobs went to the dead letter."""
        self._dead.labels(self._label(kind)).inc(count)

    def started(self, latencies_seconds: Sequence[float]) -> None:
        """Jobs began to run, each this long after its submission."""
        _observe(self._latency, DURATION_BUCKETS, _not_negative(latencies_seconds))

    def timers_moved(self, lateness_seconds: Sequence[float]) -> None:
        """Delays and retries were moved to their queues, each this long after it was due."""
        _observe(self._lateness, LATENESS_BUCKETS, _not_negative(lateness_seconds))

    def set_depths(self, stats: Stats) -> None:
        """The depths that the next exposition shows. Before the first call it shows none."""
        self._depths.stats = stats

    def exposition(self) -> tuple[bytes, str]:
        """The body of `/metrics` and its Content-Type; in a child process, for its siblings too."""
        registry = with_siblings(self.registry)
        if registry is not self.registry:
            registry.register(self._depths)
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def _label(self, kind: str) -> str:
        if kind in self._kinds:
            return kind
        if len(self._kinds) >= MAX_KINDS:
            return OTHER
        self._kinds.add(kind)
        return kind


class ChildMetrics:
    """The parent's side: what its child processes count, in one exposition.

    Each child writes to memory-mapped files in `folder`, named by its slot and not by its process id.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob("*.db"):
            leftover.unlink()

    def environment(self, slot: int) -> dict[str, str]:
        """What the child in `slot` needs in its environment before it starts."""
        return {MULTIPROCESS_DIR: str(self.folder), SLOT: str(slot)}

    def child_gone(self, slot: int) -> None:
        """The child in `slot` has ended: its gauges vanish, its counters stay."""
        mark_process_dead(slot, str(self.folder))  # type: ignore[no-untyped-call]

    def exposition(self) -> tuple[bytes, str]:
        """The body of `/metrics` and its Content-Type."""
        return generate_latest(_family(str(self.folder))), CONTENT_TYPE_LATEST


def with_siblings(registry: CollectorRegistry) -> CollectorRegistry:
    """In a child process what all children have counted together, else `registry` itself."""
    return _family(os.environ[MULTIPROCESS_DIR]) if _IS_CHILD else registry


def _family(folder: str) -> CollectorRegistry:
    """What all children that write to `folder` have counted together."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    return registry


class Depths(Collector):
    """The depths of the last `Stats`. A collector, not gauges: a queue that is gone leaves no series behind,
    and a node, which never asks for stats, shows no depth at all instead of a false 0."""

    def __init__(self) -> None:
        self.stats: Stats | None = None

    def collect(self) -> Iterable[GaugeMetricFamily]:
        if self.stats is None:
            return
        depths: Tally[tuple[str, str]] = Tally()
        for number, stream in enumerate(self.stats.streams):
            queue = stream.queue if number < MAX_STREAMS else OTHER
            depths[queue, Priority(stream.priority).label] += stream.queued
        queues = GaugeMetricFamily("ironforge_queue_depth", "Jobs waiting", labels=("queue", "priority"))
        for labels, depth in depths.items():
            queues.add_metric(labels, depth)
        yield queues
        paused = GaugeMetricFamily("ironforge_queue_paused", "1: nodes take no jobs of it", labels=("queue",))
        named = (queue if number < MAX_STREAMS else OTHER for number, queue in enumerate(self.stats.paused))
        for queue in dict.fromkeys(named):
            paused.add_metric((queue,), 1)
        yield paused
        yield GaugeMetricFamily("ironforge_dlq_depth", "Jobs in the dead letter", value=self.stats.dead)


async def measure_loop_lag(metrics: Metrics, interval_seconds: float = 0.5) -> None:
    """Run until cancelled: how late the loop wakes a sleeper is how long a handler blocks everything."""
    loop = asyncio.get_running_loop()
    recent: deque[float] = deque([0.0], maxlen=max(1, round(LAG_WINDOW_SECONDS / interval_seconds)))
    while True:
        due = loop.time() + interval_seconds
        await asyncio.sleep(interval_seconds)
        recent.append(max(0.0, loop.time() - due))
        metrics.loop_lag.set(max(recent))


def _observe(histogram: Histogram, bounds: tuple[float, ...], seconds: Sequence[float]) -> None:
    """The same as `histogram.observe` on each entry.

    prometheus_client has no public way to count many observations at once, and one `observe` costs more than
    the rest of a job's bookkeeping; hence its private parts here, which a test compares with the public ones.
    """
    if not seconds:
        return
    histogram._sum.inc(sum(seconds))  # noqa: SLF001
    for bucket, count in Tally(map(partial(bisect_left, bounds), seconds)).items():
        histogram._buckets[bucket].inc(count)  # noqa: SLF001


def _not_negative(seconds: Sequence[float]) -> Sequence[float]:
    """The clocks of two machines differ: what ended before it began took no time."""
    return seconds if not seconds or min(seconds) >= 0 else [max(0.0, each) for each in seconds]
