"""The Prometheus metrics of an API that serves many namespaces, each of which sees its own alone.

All namespaces share one counter with a label for them: metrics of the same name that are made twice in a process would
write to the same file where several processes count together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ironforge.depths import OTHER, Depths
from ironforge.job import LABELS
from ironforge.metrics import AUDIT_FAILURES, AUDIT_FAILURES_HELP, MAX_KINDS, with_siblings
from ironforge.store.contract import Stats


class NamespaceMetrics:
    """One for a process."""

    def __init__(self) -> None:
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
        self._depths = Depths(namespace)

    def submitted(self, kind: str, priority: int, count: int = 1) -> None:
        """`count` jobs of this kind and priority were accepted."""
        if len(self._kinds) < MAX_KINDS:
            self._kinds.add(kind)
        label = kind if kind in self._kinds else OTHER
        self._metrics.submitted.labels(self._namespace, label, LABELS[priority]).inc(count)

    def audit_failed(self) -> None:
        """Something was done, and could not be written down in the audit trail."""
        self._audit_failures.inc()

    def set_depths(self, stats: Stats) -> None:
        """The depths that the next exposition shows."""
        self._depths.stats = stats

    def exposition(self) -> tuple[bytes, str]:
        """The body of `/metrics` and its Content-Type."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterable[Metric]:
        for family in with_siblings(self._metrics.registry).collect():
            family.samples = [one for one in family.samples if one.labels.get("namespace") == self._namespace]
            if family.samples:
                yield family
        yield from self._depths.collect()
