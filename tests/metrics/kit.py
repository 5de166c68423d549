"""Helpers for tests that read pages of metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from ironforge.metrics.queue_depths import Reading
from ironforge.store import Stats, StreamDepth


def samples(exposition: tuple[bytes, str]) -> dict[tuple[str, ...], float]:
    """Every sample as `(name, label value, ...): value`, the labels in the order of their names."""
    families = text_string_to_metric_families(exposition[0].decode())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def reading(*streams: StreamDepth, dead: int = 0, **fields: object) -> Reading:
    stats = Stats(streams=list(streams), scheduled=3, dead=dead, totals={}, now_ms=10_000)
    return Reading(stats._replace(**fields), [])
