"""Metrics of ticks."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from ironforge.metrics.jobs import Metrics
from ironforge.metrics.ticks import TickMetrics
from ironforge.store.counts import ScheduleCounts
from tests.metrics.kit import reading, samples


def test_lateness_is_observed_and_skips_are_counted_by_reason() -> None:
    registry = CollectorRegistry()
    ticks = TickMetrics(registry).of("default")
    ticks.tick_started(0.5)
    ticks.tick_started(-0.5)
    ticks.ticks_skipped("missed", 3)
    assert registry.get_sample_value("ironforge_tick_lateness_seconds_sum") == 0.5
    assert registry.get_sample_value("ironforge_tick_lateness_seconds_bucket", {"le": "0.1"}) == 1
    assert registry.get_sample_value("ironforge_ticks_skipped_total", {"reason": "missed"}) == 3


def test_a_process_that_serves_several_namespaces_tells_their_ticks_apart() -> None:
    metrics = Metrics(parts=("one", "two"), namespace="one")
    metrics.ticks.of("one").tick_started(0.5)
    metrics.ticks.of("two").ticks_skipped("missed", 3)
    found = samples(metrics.exposition())
    assert found["ironforge_tick_lateness_seconds_count", "one"] == 1.0
    assert found["ironforge_ticks_skipped_total", "two", "missed"] == 3.0


def test_how_schedules_are_is_on_the_page() -> None:
    told = reading(schedules=ScheduleCounts(7, 2, 1, 3, 12_500))
    found = {key[0]: value for key, value in samples(Metrics().exposition(told)).items() if "schedule" in key[0]}
    assert found == {
        "ironforge_schedules": 7.0,
        "ironforge_schedules_paused": 2.0,
        "ironforge_schedules_broken": 1.0,
        "ironforge_schedules_overdue": 3.0,
        "ironforge_schedule_next_tick_seconds": 2.5,
        "ironforge_scheduled_depth": 3.0,
    }


def test_without_a_tick_to_come_there_is_no_time_until_it() -> None:
    assert ("ironforge_schedule_next_tick_seconds",) not in samples(Metrics().exposition(reading()))
