"""The depths of queues and of the dead letter as Prometheus metrics.

A collector, not gauges: a queue that is gone leaves no series behind, and a node, which never asks for stats, shows no
depth at all instead of a false 0.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ironforge.job import Priority
from ironforge.store.contract import Stats

# So many streams are told apart: clients that invent names must not fill the scraper's memory.
MAX_STREAMS: Final = 1_000
OTHER: Final = "other"


class Depths(Collector):
    """Those of the last `stats`, with the label `namespace` unless it is empty."""

    def __init__(self, namespace: str = "") -> None:
        self.stats: Stats | None = None
        self._labels = {"namespace": namespace} if namespace else {}

    def collect(self) -> Iterable[GaugeMetricFamily]:
        if self.stats is None:
            return
        depths: Tally[tuple[str, str]] = Tally()
        for number, stream in enumerate(self.stats.streams):
            queue = stream.queue if number < MAX_STREAMS else OTHER
            depths[queue, Priority(stream.priority).label] += stream.queued
        names, own = tuple(self._labels), tuple(self._labels.values())
        queues = GaugeMetricFamily("ironforge_queue_depth", "Jobs waiting", labels=(*names, "queue", "priority"))
        for labels, depth in depths.items():
            queues.add_metric((*own, *labels), depth)
        yield queues
        paused = GaugeMetricFamily("ironforge_queue_paused", "1: nodes take no jobs of it", labels=(*names, "queue"))
        told = (queue if number < MAX_STREAMS else OTHER for number, queue in enumerate(self.stats.paused))
        for queue in dict.fromkeys(told):
            paused.add_metric((*own, queue), 1)
        yield paused
        dead = GaugeMetricFamily("ironforge_dlq_depth", "Jobs in the dead letter", labels=names)
        dead.add_metric(own, self.stats.dead)
        yield dead
