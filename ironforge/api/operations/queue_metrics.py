"""The page of /metrics for a caller that is limited to some queues: what is counted for these, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry

from ironforge.api.scope import Exposition
from ironforge.metrics.queue_depths import Reading


def of_queues(exposition: Exposition, queues: Collection[str]) -> Exposition:
    """Without what has no queue: that counts for all of them together."""

    def limited(reading: Reading | None) -> tuple[bytes, str]:
        body, _ = exposition(reading)
        registry = CollectorRegistry()
        registry.register(_Chosen(body.decode(), queues))
        return generate_latest(registry), CONTENT_TYPE_LATEST

    return limited


class _Chosen(Collector):
    def __init__(self, page: str, queues: Collection[str]) -> None:
        self._page = page
        self._queues = queues

    def collect(self) -> Iterable[Metric]:
        for family in text_string_to_metric_families(self._page):
            family.samples = [one for one in family.samples if one.labels.get("queue") in self._queues]
            if family.samples:
                yield family
