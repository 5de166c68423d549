"""The Prometheus metrics of an API that serves many namespaces, each of which sees its own alone.

All namespaces share one counter with a label for them: metrics of the same name that are made twice in a process would
write to the same file where several processes count together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ironforge.job.record import LABELS
from ironforge.metrics.exposition import page, with_siblings
from ironforge.metrics.http import PREFIX
from ironforge.metrics.jobs import AUDIT_FAILURES, AUDIT_FAILURES_HELP, MAX_KINDS
from ironforge.metrics.queue_depths import OTHER, Depths, Reading


class NamespaceMetrics:
    """One for a process. What counts for none of them, the requests of `of_process`, is for the namespace `home`."""

    def __init__(self, of_process: CollectorRegistry, home: str) -> None:
        self.of_process = of_process
        self.home = home
        self.registry = CollectorRegistry()
        self.submitted = Counter(
            "ironforge_jobs_submitted_total",
            "Jobs accepted",
            ("namespace", "kind", "priority"),
            registry=self.registry,
        )
        self.audit_failures = Counter(AUDIT_FAILURES, AUDIT_FAILURES_HELP, ("namespace",), registry=self.registry)
        self.kinds: defaultdict[str, set[str]] = defaultdict(set)

    def of(self, namespace: str) -> TenantMetrics:
        return TenantMetrics(self, namespace)


class TenantMetrics(Collector):
    """One namespace's part."""

    def __init__(self, metrics: NamespaceMetrics, namespace: str) -> None:
        self._metrics = metrics
        self._namespace = namespace
        self._kinds = metrics.kinds[namespace]
        self._audit_failures = metrics.audit_failures.labels(namespace)
        # `labels` costs more than the counting, and every submission comes through here.
        self._submitted_of: dict[tuple[str, int], Counter] = {}

    def submitted(self, kind: str, priority: int, count: int = 1) -> None:
        """`count` jobs of this kind and priority were accepted."""
        counter = self._submitted_of.get((kind, priority))
        if counter is None:
            if len(self._kinds) < MAX_KINDS:
                self._kinds.add(kind)
            label = kind if kind in self._kinds else OTHER
            counter = self._metrics.submitted.labels(self._namespace, label, LABELS[priority])
            if label == kind:
                self._submitted_of[kind, priority] = counter
        counter.inc(count)

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
