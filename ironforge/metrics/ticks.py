"""Metrics of the ticks of schedules that a process fires."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

LATENESS_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class TickMetrics:
    """`labels`: `namespace`, or none where one namespace is served."""

    def __init__(self, registry: CollectorRegistry, labels: tuple[str, ...] = ()) -> None:
        self._labels = labels
        self._lateness = Histogram(
            "ironforge_tick_lateness_seconds",
            "From the time of a schedule's tick to when its job was in its queue",
            labels,
            registry=registry,
            buckets=LATENESS_BUCKETS,
        )
        self._skipped = Counter(
            "ironforge_ticks_skipped_total",
            "Ticks of schedules that started no job",
            (*labels, "reason"),
            registry=registry,
        )

    def of(self, namespace: str) -> TickCounts:
        """What counts the ticks of a namespace that is served."""
        own = (namespace,) if self._labels else ()
        return TickCounts(self._lateness.labels(*own) if own else self._lateness, self._skipped, own)


class TickCounts:
    """What a ticker tells of its namespace."""

    def __init__(self, lateness: Histogram, skipped: Counter, namespace: tuple[str, ...]) -> None:
        self._lateness = lateness
        self._skipped = skipped
        self._namespace = namespace

    def tick_started(self, late_seconds: float) -> None:
        """One has started a job, so long after its time."""
        self._lateness.observe(max(0.0, late_seconds))

    def ticks_skipped(self, reason: str, count: int) -> None:
        """So many have started none, for this reason."""
        self._skipped.labels(*self._namespace, reason).inc(count)
