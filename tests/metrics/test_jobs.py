"""Metrics: what is counted, and what a scrape of one process or of many shows."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest

from ironforge.job.record import Priority
from ironforge.metrics import kinds
from ironforge.metrics.exposition import ChildMetrics
from ironforge.metrics.jobs import DURATION_BUCKETS, Metrics, measure_loop_lag
from ironforge.store import StreamDepth
from tests.metrics.kit import reading, samples
from tests.support.waiting import PATIENCE_SECONDS


def test_the_job_counters_have_the_promised_names_and_labels():
    metrics = Metrics()
    metrics.submitted("email.send", Priority.HIGH, 3)
    metrics.completed("email.send", [0.1, 0.2])
    metrics.failed("email.send", [0.3])
    metrics.retried("email.send")
    metrics.dead("email.send")
    found = samples(metrics.exposition())
    assert {key: value for key, value in found.items() if key[0].startswith("ironforge_jobs_")} == {
        ("ironforge_jobs_submitted_total", "email.send", "high"): 3.0,
        ("ironforge_jobs_completed_total", "email.send"): 2.0,
        ("ironforge_jobs_failed_total", "email.send"): 1.0,
        ("ironforge_jobs_retried_total", "email.send"): 1.0,
        ("ironforge_jobs_dlq_total", "email.send"): 1.0,
    }
    assert found["ironforge_job_duration_seconds_count", "email.send"] == 3.0
    assert pytest.approx(found["ironforge_job_duration_seconds_sum", "email.send"]) == 0.6


def test_metrics_without_a_kind_are_there_from_the_start():
    metrics = Metrics()
    metrics.active_jobs.set(7)
    metrics.lease_losses.inc()
    metrics.stale_settlements.inc(5)
    metrics.timers_moved([0.004, 0.2])
    found = samples(metrics.exposition())
    assert [
        found["ironforge_active_jobs",],
        found["ironforge_lease_losses_total",],
        found["ironforge_stale_settlements_total",],
        found["ironforge_timer_lateness_seconds_count",],
        found["ironforge_loop_lag_seconds",],
    ] == [7.0, 1.0, 5.0, 2.0, 0.0]


@given(st.lists(st.floats(0, 5000) | st.sampled_from(DURATION_BUCKETS), max_size=50))
def test_a_batch_is_counted_as_the_public_observe_counts_each_entry(seconds):
    metrics = Metrics()
    metrics.started(seconds, "mail:1r")
    reference_registry = CollectorRegistry()
    reference = Histogram(
        "ironforge_queue_latency_seconds",
        "same",
        ("priority", "queue"),
        registry=reference_registry,
        buckets=DURATION_BUCKETS,
    ).labels("high", "mail")
    for each in seconds:
        reference.observe(each)
    expected = samples((generate_latest(reference_registry), ""))
    actual = samples(metrics.exposition())
    assert pytest.approx({key: actual[key] for key in expected}) == expected


def test_a_latency_below_zero_counts_as_zero_because_clocks_differ():
    metrics = Metrics()
    metrics.started([-3.0, 1.0], "mail:1")
    assert samples(metrics.exposition())["ironforge_queue_latency_seconds_sum", "high", "mail"] == 1.0


def test_kinds_past_the_limit_are_counted_together(monkeypatch):
    monkeypatch.setattr(kinds, "MAX_KINDS", 2)
    metrics = Metrics()
    for kind in ("a", "b", "c", "d", "a"):
        metrics.completed(kind, [0.1])
    found = samples(metrics.exposition())
    assert {key[1]: value for key, value in found.items() if key[0] == "ironforge_jobs_completed_total"} == {
        "a": 2.0,
        "b": 1.0,
        "other": 2.0,
    }


def test_several_namespaces_are_told_apart_by_the_part_in_the_name_of_a_stream():
    metrics = Metrics(parts=("a", "a", "b"), namespace="a")
    metrics.submitted("k", Priority.HIGH)
    for stream in ("0/mail:1", "1/mail:1", "2/mail:1r"):
        namespace = metrics.namespace_of(stream)
        metrics.started([0.1], stream)
        metrics.completed("k", [0.1], namespace)
        metrics.failed("k", [0.1], namespace)
        metrics.retried("k", stream)
        metrics.dead("k", stream)
    found = samples(metrics.exposition(reading(StreamDepth("mail", 1, 2, 0, None))))
    names = ("ironforge_jobs_completed_total", "ironforge_jobs_failed_total", "ironforge_jobs_retried_total")
    for name in (*names, "ironforge_jobs_dlq_total"):
        assert [found[name, "k", "a"], found[name, "k", "b"]] == [2.0, 1.0]
    assert [found["ironforge_job_duration_seconds_count", "k", name] for name in "ab"] == [4.0, 2.0]
    assert [found["ironforge_queue_latency_seconds_count", name, "high", "mail"] for name in "ab"] == [2.0, 1.0]
    assert found["ironforge_jobs_submitted_total", "k", "a", "high"] == 1.0
    assert [found["ironforge_queue_depth", "a", "high", "mail"], found["ironforge_dlq_depth", "a"]] == [2.0, 0.0]


def test_one_namespace_in_several_shards_has_no_label_for_it():
    parts = Metrics(parts=("a", "a"), namespace="a")
    plain = Metrics()
    for metrics, stream in ((parts, "1/mail:1"), (plain, "mail:1")):
        namespace = metrics.namespace_of(stream)
        metrics.submitted("k", Priority.HIGH)
        metrics.started([0.1], stream)
        metrics.completed("k", [0.1], namespace)
        metrics.retried("k", stream)
        metrics.dead("k", stream)
    told = reading(StreamDepth("mail", 1, 2, 0, None))
    ours, theirs = (
        {key: value for key, value in samples(metrics.exposition(told)).items() if key[0].startswith("ironforge_")}
        for metrics in (parts, plain)
    )
    assert ours == theirs


def test_kinds_that_one_namespace_invents_leave_room_for_those_of_another(monkeypatch):
    monkeypatch.setattr(kinds, "MAX_KINDS", 2)
    metrics = Metrics(parts=("a", "b"), namespace="a")
    for kind in ("1", "2", "3", "4"):
        metrics.completed(kind, [0.1], "a")
    metrics.completed("5", [0.1], "b")
    found = samples(metrics.exposition())
    assert {key[1:] for key in found if key[0] == "ironforge_jobs_completed_total"} == {
        ("1", "a"),
        ("2", "a"),
        ("other", "a"),
        ("5", "b"),
    }


async def test_loop_lag_shows_how_long_the_loop_was_blocked():
    metrics = Metrics()
    measuring = asyncio.create_task(measure_loop_lag(metrics, interval_seconds=0.01))
    await asyncio.sleep(0)
    subprocess.run([sys.executable, "-c", "import time; time.sleep(0.1)"], check=True)  # noqa: ASYNC221
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _turn in iter(lambda: samples(metrics.exposition())["ironforge_loop_lag_seconds",] < 0.08, False):
            await asyncio.sleep(0)
    measuring.cancel()
    await asyncio.wait([measuring])


def child(children: ChildMetrics, slot: int, code: str) -> None:
    """Run `code` in a process that counts for `slot`."""
    program = "from ironforge.metrics.jobs import Metrics; metrics = Metrics()\n" + textwrap.dedent(code)
    environment = {**os.environ, **children.environment(slot)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


def test_one_scrape_adds_up_all_children(tmp_path):
    children = ChildMetrics(tmp_path)
    child(children, 0, "metrics.completed('a', [0.1]); metrics.active_jobs.set(3); metrics.loop_lag.set(0.5)")
    child(children, 1, "metrics.completed('a', [9, 8]); metrics.active_jobs.set(4); metrics.loop_lag.set(0.2)")
    found = samples(children.exposition())
    assert [
        found["ironforge_jobs_completed_total", "a"],
        found["ironforge_job_duration_seconds_count", "a"],
        found["ironforge_active_jobs",],
        found["ironforge_loop_lag_seconds",],
    ] == [3.0, 3.0, 7.0, 0.5]
    assert not [key for key in found if "depth" in key[0]]


def test_children_that_serve_several_namespaces_add_up_in_each(tmp_path):
    children = ChildMetrics(tmp_path)
    code = """
        metrics = Metrics(parts=('a', 'b'), namespace='a')
        for stream in ('0/q:1', '1/q:1', '1/q:1'):
            metrics.completed('k', [0.1], metrics.namespace_of(stream))
            metrics.started([0.1], stream)
    """
    for slot in (0, 1):
        child(children, slot, code)
    found = samples(children.exposition())
    assert [found["ironforge_jobs_completed_total", "k", name] for name in "ab"] == [2.0, 4.0]
    assert [found["ironforge_queue_latency_seconds_count", name, "high", "q"] for name in "ab"] == [2.0, 4.0]


def test_a_child_that_is_gone_leaves_its_counters_and_takes_its_gauges(tmp_path):
    children = ChildMetrics(tmp_path)
    child(children, 0, "metrics.completed('a', [0.1]); metrics.active_jobs.set(3)")
    children.child_gone(0)
    found = samples(children.exposition())
    assert found["ironforge_jobs_completed_total", "a"] == 1.0
    assert ("ironforge_active_jobs",) not in found


def test_the_next_child_in_a_slot_counts_on_in_the_same_files(tmp_path):
    children = ChildMetrics(tmp_path)
    child(children, 0, "metrics.completed('a', [0.1])")
    files = sorted(tmp_path.iterdir())
    children.child_gone(0)
    child(children, 0, "metrics.completed('a', [0.2])")
    assert samples(children.exposition())["ironforge_jobs_completed_total", "a"] == 2.0
    assert sorted(tmp_path.iterdir()) == files


def test_what_a_child_starts_or_forks_does_not_write_into_its_files(tmp_path):
    children = ChildMetrics(tmp_path)
    code = """
        import os, subprocess, sys
        metrics.completed("a", [0.1])
        program = "from ironforge.metrics.jobs import Metrics; Metrics().completed('b', [0.1])"
        subprocess.run([sys.executable, "-c", program], check=True)
        forked = os.fork()
        if forked == 0:
            metrics.completed("c", [0.1])
            os._exit(0)
        os.waitpid(forked, 0)
        metrics.completed("d", [0.1])
    """
    child(children, 0, code)
    assert len(list(tmp_path.glob("counter_*.db"))) == 3
    found = samples(children.exposition())
    assert {key[1] for key in found if key[0] == "ironforge_jobs_completed_total"} == {"a", "b", "c", "d"}
