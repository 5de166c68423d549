"""Counting by kind. Kinds are chosen by callers, so they are capped, in each namespace for itself."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from ironforge.job.record import LABELS
from ironforge.metrics.queue_depths import OTHER

# So many kinds are told apart in a namespace: clients that invent names must not fill the scraper's memory.
MAX_KINDS: Final = 1_000


class KindLabels:
    """The values of the labels `namespace` and `kind`; an empty namespace has no label."""

    def __init__(self) -> None:
        self._kinds: defaultdict[str, set[str]] = defaultdict(set)

    def of(self, namespace: str, kind: str) -> tuple[str, ...]:
        kinds = self._kinds[namespace]
        if len(kinds) < MAX_KINDS:
            kinds.add(kind)
        label = kind if kind in kinds else OTHER
        return (namespace, label) if namespace else (label,)


class AcceptedJobs:
    """The jobs that a process has accepted. `labels`: `namespace`, or none where one namespace is served."""

    def __init__(self, registry: CollectorRegistry, kinds: KindLabels, labels: tuple[str, ...]) -> None:
        self._kinds = kinds
        self._counter = Counter(
            "ironforge_jobs_submitted_total", "Jobs accepted", (*labels, "kind", "priority"), registry=registry
        )
        # `labels` costs five times what the counting does, and every submission over HTTP comes through here.
        self._known: dict[tuple[str, str, int], Counter] = {}

    def count(self, namespace: str, kind: str, priority: int, jobs: int) -> None:
        counter = self._known.get((namespace, kind, priority))
        if counter is None:
            labels = self._kinds.of(namespace, kind)
            counter = self._counter.labels(*labels, LABELS[priority])
            if labels[-1] == kind:
                self._known[namespace, kind, priority] = counter
        counter._value.inc(jobs)  # noqa: SLF001 - as `inc`, which asks first whether there are labels


def audit_failures(registry: CollectorRegistry, *labels: str) -> Counter:
    return Counter(
        "ironforge_audit_failures_total",
        "Things done that could not be written down in the audit trail",
        labels,
        registry=registry,
    )


def stranded_workflows(registry: CollectorRegistry) -> Counter:
    return Counter(
        "ironforge_stranded_workflows_total",
        "Workflows, or nodes of them, that nothing would have moved on, found and mended",
        registry=registry,
    )
