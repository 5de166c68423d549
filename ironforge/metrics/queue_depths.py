"""Queues and nodes, as the store counts them, as Prometheus metrics: depths, ages, capacity.

Read when a scraper asks for them, and not remembered: a queue that is gone leaves no series behind, and a process that
never asks the store, as a node does not, shows no depth at all instead of a false 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ironforge.job.record import Priority
from ironforge.store import NodeView, Stats, StreamDepth
from ironforge.store.kinds import NO_KINDS, Kinds

# So many streams are told apart: clients that invent names must not fill the scraper's memory.
MAX_STREAMS: Final = 1_000
OTHER: Final = "other"


class Reading(NamedTuple):
    """What a page of metrics is made of beside what its process counts."""

    stats: Stats
    nodes: Sequence[NodeView]
    kinds: Kinds = NO_KINDS


class Depths(Collector):
    """Those of a reading, with the label `namespace` unless it is empty."""

    def __init__(self, reading: Reading | None, namespace: str = "") -> None:
        self._reading = reading
        self._own = {"namespace": namespace} if namespace else {}

    def collect(self) -> Iterable[Metric]:
        if self._reading is None:
            return
        stats, nodes, kinds = self._reading
        yield from self._of_streams(stats)
        yield self._servers(stats, kinds)
        paused = self._family("ironforge_queue_paused", "1: nodes take no jobs of it", "queue")
        for queue in dict.fromkeys(_told(number, queue) for number, queue in enumerate(stats.paused)):
            paused.add_metric((*self._own.values(), queue), 1)
        yield paused
        alive = [node for node in nodes if node.lease_ms_left > 0]
        for name, documentation, value in (
            ("ironforge_scheduled_depth", "Jobs that are not due yet", stats.scheduled),
            ("ironforge_dlq_depth", "Jobs in the dead letter", stats.dead),
            ("ironforge_unserved_kinds", "Kinds that are known and that no node runs", len(kinds.unserved)),
            (
                "ironforge_unserved_version_jobs",
                "Jobs that wait for a node with the version of the application that began them, where none has it",
                sum(line.jobs for line in kinds.without_node(stats.versions)),
            ),
            ("ironforge_nodes", "Nodes that hold a lease", len(alive)),
            ("ironforge_worker_slots", "Jobs that these can run at a time", sum(node.concurrency for node in alive)),
            *_of_schedules(stats),
        ):
            family = self._family(name, documentation)
            family.add_metric(tuple(self._own.values()), value)
            yield family
        yield self._of_waiting(stats)
        for total, name, documentation in (
            ("poison", "ironforge_poison_total", "Jobs buried as poison"),
            ("expired", "ironforge_expired_total", "Jobs cancelled because they had not started in time"),
            ("lost_unique_keys", "ironforge_unique_keys_lost_total", "Unique keys of jobs that were gone, mended"),
        ):
            counter = CounterMetricFamily(name, documentation, labels=tuple(self._own))
            counter.add_metric(tuple(self._own.values()), stats.totals.get(total, 0))
            yield counter

    def _of_streams(self, stats: Stats) -> Iterable[GaugeMetricFamily]:
        told: dict[tuple[str, str], StreamDepth] = {}
        for number, stream in enumerate(stats.streams):
            place = _told(number, stream.queue), Priority(stream.priority).label
            told[place] = told[place].together(stream) if place in told else stream
        labels = ("queue", "priority")
        depth = self._family("ironforge_queue_depth", "Jobs waiting", *labels)
        running = self._family("ironforge_queue_running", "Jobs running", *labels)
        suspects = self._family("ironforge_queue_suspects", "Jobs of these that wait to run alone", *labels)
        declined = self._family(
            "ironforge_queue_declined", "Jobs of these that wait for a node that may run them", *labels
        )
        limited = self._family("ironforge_queue_limited", "Jobs of these that a limit keeps out", *labels)
        age = self._family("ironforge_queue_oldest_age_seconds", "How long the longest of them has waited", *labels)
        for place, stream in told.items():
            where = (*self._own.values(), *place)
            depth.add_metric(where, stream.queued)
            running.add_metric(where, stream.running)
            suspects.add_metric(where, stream.suspects)
            declined.add_metric(where, stream.declined)
            limited.add_metric(where, stream.limited)
            if not stream.queued:
                age.add_metric(where, 0)
            elif stream.oldest_ms is not None:
                age.add_metric(where, max(0, stats.now_ms - stream.oldest_ms) / 1000)
        yield from (depth, running, suspects, declined, limited, age)

    def _of_waiting(self, stats: Stats) -> GaugeMetricFamily:
        about = "Jobs that wait for a time, an event or their children, and workflows"
        family = self._family("ironforge_waiting_depth", about, "for")
        for what, jobs in stats.waiting._asdict().items():
            family.add_metric((*self._own.values(), what), jobs)
        return family

    def _servers(self, stats: Stats, kinds: Kinds) -> GaugeMetricFamily:
        family = self._family("ironforge_queue_nodes", "Nodes that take jobs from it", "queue")
        servers = kinds.servers()
        told = {_told(number, stream.queue): servers(stream.queue) for number, stream in enumerate(stats.streams)}
        told.pop(OTHER, None)  # of several queues
        for queue, nodes in told.items():
            family.add_metric((*self._own.values(), queue), nodes)
        return family

    def _family(self, name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(name, documentation, labels=(*self._own, *labels))


def _told(number: int, queue: str) -> str:
    return queue if number < MAX_STREAMS else OTHER


def _of_schedules(stats: Stats) -> Iterable[tuple[str, str, float]]:
    told = stats.schedules
    yield "ironforge_schedules", "Schedules", told.total
    yield "ironforge_schedules_paused", "Schedules that are paused", told.paused
    yield "ironforge_schedules_broken", "Schedules that cannot be read, or whose job is refused", told.broken
    yield "ironforge_schedules_overdue", "Schedules whose tick is due, and that nothing fires", told.overdue
    if (seconds := stats.next_tick_seconds) is not None:
        yield "ironforge_schedule_next_tick_seconds", "Until the next tick of any schedule", seconds
