"""The depths, ages and capacity on a page of metrics, which come from the store, and what an API counts of requests."""

from __future__ import annotations

import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest

from ironforge.job.definition import KindDefinition, door_defaults
from ironforge.metrics import queue_depths as depths_module
from ironforge.metrics.exposition import ChildMetrics
from ironforge.metrics.http import BUCKETS, HttpMetrics
from ironforge.metrics.jobs import Metrics
from ironforge.metrics.queue_depths import Reading
from ironforge.store import NodeView, StreamDepth
from ironforge.store.counts import Waits
from ironforge.store.kinds import Kind, Kinds, KindVersion
from ironforge.store.node_view import About
from ironforge.version import VERSION
from tests.metrics.kit import reading, samples


def depths(metrics: Metrics, told: Reading | None) -> dict[tuple[str, ...], float]:
    return {key: value for key, value in samples(metrics.exposition(told)).items() if "_depth" in key[0]}


def test_depths_are_those_of_the_reading_and_none_without_one():
    metrics = Metrics()
    assert depths(metrics, None) == {}
    told = reading(StreamDepth("mail", 0, 11, 3, None), dead=5, waiting=Waits(sleep=7, event=2))
    assert depths(metrics, told) == {
        ("ironforge_queue_depth", "critical", "mail"): 11.0,
        ("ironforge_dlq_depth",): 5.0,
        ("ironforge_scheduled_depth",): 3.0,
        ("ironforge_waiting_depth", "sleep"): 7.0,
        ("ironforge_waiting_depth", "event"): 2.0,
        ("ironforge_waiting_depth", "children"): 0.0,
        ("ironforge_waiting_depth", "workflow"): 0.0,
    }
    assert samples(metrics.exposition(told))["ironforge_queue_running", "critical", "mail"] == 3.0


def test_those_that_a_limit_keeps_out_are_counted_apart():
    told = reading(StreamDepth("mail", 0, 11, 3, None, limited=7), StreamDepth("mail", 0, 2, 0, None, limited=1))
    found = samples(Metrics().exposition(told))
    assert found["ironforge_queue_depth", "critical", "mail"] == 13.0
    assert found["ironforge_queue_limited", "critical", "mail"] == 8.0


def test_ages_count_from_when_the_oldest_became_ready_and_are_none_where_unknown():
    streams = (StreamDepth("a", 1, 2, 0, 7_500), StreamDepth("b", 1, 2, 0, None), StreamDepth("c", 1, 0, 1, None))
    ahead = StreamDepth("d", 1, 1, 0, 11_000)  # another machine's clock
    found = samples(Metrics().exposition(reading(*streams, ahead)))
    assert {key[2]: value for key, value in found.items() if key[0] == "ironforge_queue_oldest_age_seconds"} == {
        "a": 2.5,
        "c": 0.0,
        "d": 0.0,
    }


def test_capacity_is_that_of_the_nodes_that_hold_a_lease():
    nodes = [NodeView("one", 5_000, {}, concurrency=64), NodeView("two", 1, {}, concurrency=4)]
    late = NodeView("late", -1, {}, concurrency=100)
    found = samples(Metrics().exposition(reading()._replace(nodes=[*nodes, late])))
    assert [found["ironforge_nodes",], found["ironforge_worker_slots",]] == [2.0, 68.0]


def test_paused_queues_are_named_up_to_the_limit(monkeypatch):
    monkeypatch.setattr(depths_module, "MAX_STREAMS", 2)
    metrics = Metrics()
    found = samples(metrics.exposition(reading(paused=["a", "b", "c", "d"])))
    assert {key[1]: value for key, value in found.items() if key[0] == "ironforge_queue_paused"} == {
        "a": 1.0,
        "b": 1.0,
        "other": 1.0,
    }
    assert not [key for key in samples(metrics.exposition(reading())) if key[0] == "ironforge_queue_paused"]


def test_streams_past_the_limit_are_added_up(monkeypatch):
    monkeypatch.setattr(depths_module, "MAX_STREAMS", 1)
    told = reading(*(StreamDepth(f"q{number}", 1, 2, 0, 9_000 - number) for number in range(3)))
    found = samples(Metrics().exposition(told))
    assert [found["ironforge_queue_depth", "high", name] for name in ("q0", "other")] == [2.0, 4.0]
    assert found["ironforge_queue_oldest_age_seconds", "high", "other"] == 1.002


def test_every_page_says_which_build_it_is_of(tmp_path):
    for page in (Metrics().exposition(), ChildMetrics(tmp_path).exposition()):
        assert samples(page)["ironforge_build_info", platform.python_version(), VERSION] == 1.0


@given(st.lists(st.floats(0, 50) | st.sampled_from(BUCKETS), max_size=20))
def test_requests_are_counted_as_the_public_observe_counts_them(seconds):
    registry, reference_registry = CollectorRegistry(), CollectorRegistry()
    http = HttpMetrics(registry)
    reference = Histogram(
        "ironforge_http_request_duration_seconds",
        "same",
        ("method", "route"),
        registry=reference_registry,
        buckets=BUCKETS,
    )
    for number, each in enumerate(seconds):
        http.answered("/jobs/{id}", "GET", 200 + number, each)
        reference.labels("GET", "/jobs/{id}").observe(each)
    expected = samples((generate_latest(reference_registry), ""))
    actual = samples((generate_latest(registry), ""))
    assert pytest.approx({key: actual[key] for key in expected}) == expected
    counted = {key: value for key, value in actual.items() if key[0] == "ironforge_http_requests_total"}
    assert ({("ironforge_http_requests_total", "GET", "/jobs/{id}", "2xx"): len(seconds)} if seconds else {}) == counted


def test_nodes_are_counted_for_each_queue_and_kinds_that_none_of_them_runs():
    kind = Kind.of("gone", [KindVersion("d", 1, 1, KindDefinition(), door_defaults(KindDefinition()))])
    nodes = {"one": About(queues=("mail",)), "two": About(queues=("mail", "other"))}
    kinds = Kinds(1, {"gone": kind, "here": kind}, nodes, {"one": {"here": "d"}, "two": {}})
    told = reading(StreamDepth("mail", 0, 1, 0, None), StreamDepth("lonely", 0, 1, 0, None))._replace(kinds=kinds)
    found = samples(Metrics().exposition(told))
    assert found["ironforge_queue_nodes", "mail"] == 2.0
    assert found["ironforge_queue_nodes", "lonely"] == 0.0
    assert found["ironforge_unserved_kinds",] == 1.0


def test_queues_past_the_limit_have_no_nodes_of_their_own(monkeypatch):
    monkeypatch.setattr(depths_module, "MAX_STREAMS", 1)
    told = reading(StreamDepth("mail", 0, 1, 0, None), StreamDepth("other.queue", 0, 1, 0, None))
    found = samples(Metrics().exposition(told))
    assert [key[1] for key in found if key[0] == "ironforge_queue_nodes"] == ["mail"]
