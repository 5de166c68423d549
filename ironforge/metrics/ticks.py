"""Metrics of the ticks of schedules that a process fires."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram


class TickMetrics:
    """`buckets` of the lateness, in seconds."""

    def __init__(self, registry: CollectorRegistry, buckets: Sequence[float]) -> None:
        self._lateness = Histogram(
            "ironforge_tick_lateness_seconds",
            "From the time of a schedule's tick to when its job was in its queue",
            registry=registry,
            buckets=buckets,
        )
        self._skipped = Counter(
            "ironforge_ticks_skipped_total", "Ticks of schedules that started no job", ("reason",), registry=registry
        )

    def tick_started(self, late_seconds: float) -> None:
        """One has started a job, so long after its time."""
        self._lateness.observe(max(0.0, late_seconds))

    def ticks_skipped(self, reason: str, count: int) -> None:
        """So many have started none, for this reason."""
        self._skipped.labels(reason).inc(count)
