"""Metrics of ticks."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from ironforge.metrics.ticks import TickMetrics


def test_lateness_is_observed_and_skips_are_counted_by_reason() -> None:
    registry = CollectorRegistry()
    ticks = TickMetrics(registry, (0.1, 1.0))
    ticks.tick_started(0.5)
    ticks.tick_started(-0.5)
    ticks.ticks_skipped("missed", 3)
    assert registry.get_sample_value("ironforge_tick_lateness_seconds_sum") == 0.5
    assert registry.get_sample_value("ironforge_tick_lateness_seconds_bucket", {"le": "0.1"}) == 1
    assert registry.get_sample_value("ironforge_ticks_skipped_total", {"reason": "missed"}) == 3
