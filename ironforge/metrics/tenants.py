"""The Prometheus metrics of an API that serves many namespaces, each of which sees its own alone.

All namespaces share one counter with a label for them: metrics of the same name that are made twice in a process would
write to the same file where several processes count together.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ironforge.metrics.exposition import page, with_siblings
from ironforge.metrics.http import PREFIX
from ironforge.metrics.kinds import AcceptedJobs, KindLabels, audit_failures
from ironforge.metrics.queue_depths import Depths, Reading
from ironforge.metrics.ticks import TickMetrics


class NamespaceMetrics:
    """One for a process. What counts for none of them, the requests of `of_process`, is for the namespace `home`."""

    def __init__(self, of_process: CollectorRegistry, home: str) -> None:
        self.of_process = of_process
        self.home = home
        self.registry = CollectorRegistry()
        self.accepted = AcceptedJobs(self.registry, KindLabels(), ("namespace",))
        self.audit_failures = audit_failures(self.registry, "namespace")
        self.ticks = TickMetrics(self.registry, ("namespace",))


class TenantMetrics(Collector):
    """One namespace's part."""

    def __init__(self, metrics: NamespaceMetrics, namespace: str) -> None:
        self._metrics = metrics
        self._namespace = namespace
        self.ticks = metrics.ticks
        self._audit_failures = metrics.audit_failures.labels(namespace)

    def submitted(self, kind: str, priority: int, count: int = 1) -> None:
        """`count` jobs of this kind and priority were accepted."""
        self._metrics.accepted.count(self._namespace, kind, priority, count)

    def audit_failed(self) -> None:
        """Something was done, and could not be written down in the audit trail."""
        self._audit_failures.inc()

    def exposition(self, reading: Reading | None = None) -> tuple[bytes, str]:
        """The body of `/metrics` and its Content-Type."""
        return page(self, Depths(reading, self._namespace))

    def collect(self) -> Iterable[Metric]:
        for family in with_siblings(self._metrics.registry).collect():
            family.samples = [one for one in family.samples if one.labels.get("namespace") == self._namespace]
            if family.samples:
                yield family
        if self._metrics.home == self._namespace:
            yield from (one for one in with_siblings(self._metrics.of_process).collect() if one.name.startswith(PREFIX))
