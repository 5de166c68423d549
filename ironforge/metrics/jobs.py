"""The Prometheus metrics of a process: what happens to jobs in it, and how it is itself.

The node's counters sit on its hot path, so whole batches are counted at once: durations are grouped by bucket
first, and each bucket is raised once. No label ever carries an id; kinds, which strangers choose, are capped, in each
namespace for itself. A process that serves one namespace has no label for it, so most pages stay short.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_left
from collections import Counter as Tally
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from ironforge.job.record import split_stream
from ironforge.metrics.exposition import MULTIPROCESS_DIR, page, with_siblings
from ironforge.metrics.kinds import AcceptedJobs, KindLabels, audit_failures, stranded_workflows
from ironforge.metrics.queue_depths import Depths, Reading
from ironforge.metrics.ticks import LATENESS_BUCKETS, TickMetrics
from ironforge.redis.shards import part_of

DURATION_BUCKETS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0),
)
# A stall stays visible for this long, so that a scrape every 15 s sees each of them.
LAG_WINDOW_SECONDS: Final = 15.0


class Metrics:
    """What this process counts, in a registry of its own.

    `parts`: the namespace of each part that this node serves, in the order by which its deliveries name them. If they
    are several, job metrics have the label `namespace`, and `namespace` is the one that this process submits to.
    Metrics without a kind are public prometheus_client objects: use them directly.
    """

    def __init__(self, *, parts: Sequence[str] = (), namespace: str = "default") -> None:
        self.registry = CollectorRegistry()
        self.namespaces = frozenset(parts)
        several = len(self.namespaces) > 1
        self._parts = parts if several else ()
        self._own = namespace if several else ""
        labels = ("namespace",) if several else ()
        self._kinds = KindLabels()
        self._accepted = AcceptedJobs(self.registry, self._kinds, labels)
        self._make_job_metrics(self.registry, labels)
        self._make_node_metrics(self.registry)
        self.ticks = TickMetrics(self.registry, labels)
        if MULTIPROCESS_DIR not in os.environ:
            ProcessCollector(registry=self.registry)

    def _make_job_metrics(self, registry: CollectorRegistry, namespace: tuple[str, ...]) -> None:
        def counter(name: str, documentation: str) -> Counter:
            return Counter(name, documentation, (*namespace, "kind"), registry=registry)

        self._completed = counter("ironforge_jobs_completed_total", "Jobs completed")
        self._failed = counter("ironforge_jobs_failed_total", "Failed attempts")
        self._retried = counter("ironforge_jobs_retried_total", "Retries scheduled")
        self._dead = counter("ironforge_jobs_dlq_total", "Jobs that gave up and went to the dead letter")
        self._declined = counter(
            "ironforge_jobs_declined_total",
            "Jobs of a kind that their node did not know, or begun by another version of the application",
        )
        self._duration = Histogram(
            "ironforge_job_duration_seconds",
            "Run time of one attempt, whatever its outcome",
            (*namespace, "kind"),
            registry=registry,
            buckets=DURATION_BUCKETS,
        )
        self._latency = Histogram(
            "ironforge_queue_latency_seconds",
            "From when a job became ready to the start of its run",
            (*namespace, "queue", "priority"),
            registry=registry,
            buckets=DURATION_BUCKETS,
        )
        self._latency_of: dict[str, Histogram] = {}

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
        self.lost_places = Counter(
            "ironforge_limit_places_lost_total", "Places of limits without a job, found and mended", registry=registry
        )
        self.stranded_waiters = Counter(
            "ironforge_stranded_waiters_total",
            "Jobs that waited and would not have been woken, found and mended",
            registry=registry,
        )
        self.lost_families = Counter(
            "ironforge_families_lost_total",
            "Parents and children that would have waited for ever, or been forgotten, found and mended",
            registry=registry,
        )
        self.stranded_workflows = stranded_workflows(registry)
        self._audit_failures = audit_failures(registry)
        self.suspect_runs = Counter(
            "ironforge_suspect_runs_total", "Runs of a job with nothing else on its node", registry=registry
        )
        self._lateness = Histogram(
            "ironforge_timer_lateness_seconds",
            "From the due time of a delay or retry to its move into the queue",
            registry=registry,
            buckets=LATENESS_BUCKETS,
        )

    def namespace_of(self, stream: str) -> str:
        """Of a stream as a delivery names it; empty where one namespace is served."""
        return self._parts[part_of(stream)] if self._parts else ""

    def submitted(self, kind: str, priority: int, count: int = 1) -> None:
        """`count` jobs of this kind and priority were accepted."""
        self._accepted.count(self._own, kind, priority, count)

    def completed(self, kind: str, seconds: Sequence[float], namespace: str = "") -> None:
        """One job completed per entry of `seconds`, its run time. `namespace`: as `namespace_of` names it."""
        self._attempted(self._completed, kind, seconds, namespace)

    def failed(self, kind: str, seconds: Sequence[float], namespace: str = "") -> None:
        """One attempt failed per entry of `seconds`, its run time."""
        self._attempted(self._failed, kind, seconds, namespace)

    def _attempted(self, counter: Counter, kind: str, seconds: Sequence[float], namespace: str) -> None:
        labels = self._kinds.of(namespace, kind)
        counter.labels(*labels).inc(len(seconds))
        _observe(self._duration.labels(*labels), DURATION_BUCKETS, seconds)

    def retried(self, kind: str, stream: str = "") -> None:
        """A retry was scheduled of a job that was delivered from `stream`."""
        self._retried.labels(*self._kinds.of(self.namespace_of(stream), kind)).inc()

    def dead(self, kind: str, stream: str = "") -> None:
        """A job that was delivered from `stream` went to the dead letter."""
        self._dead.labels(*self._kinds.of(self.namespace_of(stream), kind)).inc()

    def declined(self, kind: str, stream: str = "") -> None:
        """A job that was delivered from `stream` waits for a node that knows its kind."""
        self._declined.labels(*self._kinds.of(self.namespace_of(stream), kind)).inc()

    def started(self, latencies_seconds: Sequence[float], stream: str) -> None:
        """Jobs that were delivered from `stream` began to run, each this long after it had become ready."""
        histogram = self._latency_of.get(stream)
        if histogram is None:
            namespace = self.namespace_of(stream)
            queue, priority = split_stream(stream.rpartition("/")[2])
            labels = (*([namespace] if namespace else []), queue, priority.label)
            histogram = self._latency_of[stream] = self._latency.labels(*labels)
        _observe(histogram, DURATION_BUCKETS, _not_negative(latencies_seconds))

    def timers_moved(self, lateness_seconds: Sequence[float]) -> None:
        """Delays and retries were moved to their queues, each this long after it was due."""
        _observe(self._lateness, LATENESS_BUCKETS, _not_negative(lateness_seconds))

    def audit_failed(self) -> None:
        """Something was done, and could not be written down in the audit trail."""
        self._audit_failures.inc()

    def exposition(self, reading: Reading | None = None) -> tuple[bytes, str]:
        """The body of `/metrics` and its Content-Type; in a child process, for its siblings too."""
        return page(with_siblings(self.registry), Depths(reading, self._own))


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
