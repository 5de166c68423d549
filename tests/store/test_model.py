"""The store against a plain model: whatever doors and nodes do in whatever order, no job is lost or ends twice."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from ironforge.errors import JobNotFound, LeaseLost
from ironforge.job.record import JobState, is_alone
from ironforge.store import Delivery
from ironforge.store.consumer import stream_selector
from tests.store.kit import Node, completed, dead, job, job_in, retry, rewrite, stream_of
from tests.store.model import ENDED, Known, StoreClient


class Life(StoreClient):
    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.held: list[list[Delivery]] = []
        self.zombies: list[tuple[Node, list[Delivery]]] = []
        self.epochs: list[int] = []

    @initialize()
    def start(self) -> None:
        for _ in range(2):
            self.join()

    def join(self) -> None:
        node = self.run(self.cluster.node())
        self.epochs.append(node.lease.epoch)
        self.nodes.append(node)
        self.held.append([])

    def of(self, delivery: Delivery) -> Known:
        return self.known[job_in(delivery).id]

    def take(self, node: int, number: int) -> Delivery | None:
        held = self.held[node % len(self.nodes)]
        return held.pop(number % len(held)) if held else None

    # ------------------------------------------------------------------ nodes

    @rule(node=st.integers(0, 9), want=st.integers(1, 4))
    def fetch(self, node: int, want: int) -> None:
        number = node % len(self.nodes)
        waiting = [one.job for one in self.known.values() if one.state is JobState.QUEUED and not one.alone]
        queued = sorted(one.priority for one in waiting if one.queue not in self.paused)
        deliveries = self.run(self.nodes[number].work.fetch(want))
        assert [job_in(delivery).priority for delivery in deliveries] == queued[:want]
        for delivery in deliveries:
            one = self.of(delivery)
            assert one.state is JobState.QUEUED
            assert job_in(delivery).fence > one.fence
            one.state, one.holder, one.fence = JobState.RUNNING, number, job_in(delivery).fence
        self.held[number] += deliveries

    @rule(node=st.integers(0, 9))
    def fetch_alone(self, node: int) -> None:
        """Those that were held by a node that died: never among others, and one at a time."""
        number = node % len(self.nodes)
        waiting = [one.job for one in self.known.values() if one.state is JobState.QUEUED and one.alone]
        queued = sorted(one.priority for one in waiting if one.queue not in self.paused)
        self.run(self.nodes[number].work.fetch(0))  # looks at what is paused
        has = [one for one in self.held[number] if is_alone(stream_of(one))]
        deliveries = self.run(self.nodes[number].work.alone.fetch())
        if has:
            assert deliveries == has
            return
        assert [job_in(delivery).priority for delivery in deliveries] == queued[:1]
        for delivery in deliveries:
            one = self.of(delivery)
            assert one.state == JobState.QUEUED
            assert one.alone is True
            one.state, one.holder, one.fence = JobState.RUNNING, number, job_in(delivery).fence
        self.held[number] += deliveries

    @rule(node=st.integers(0, 9), number=st.integers(0, 9), twice=st.booleans())
    def settle(self, node: int, number: int, twice: bool) -> None:
        delivery = self.take(node, number)
        if delivery is not None:
            for _ in range(1 + twice):
                self.run(self.nodes[node % len(self.nodes)].work.settle([completed(delivery)]))
            self.of(delivery).state = JobState.COMPLETED

    @rule(node=st.integers(0, 9), number=st.integers(0, 9), how=st.sampled_from(["park", "requeue", "bury"]))
    def put_aside(self, node: int, number: int, how: str) -> None:
        delivery = self.take(node, number)
        if delivery is None:
            return
        work = self.nodes[node % len(self.nodes)].work
        make = {"park": retry, "requeue": rewrite, "bury": dead}[how]
        for _ in range(2):  # the second is what a lost reply leads to
            self.run(getattr(work, how)([make(delivery)]))
        one = self.of(delivery)
        states = {"park": JobState.SCHEDULED, "requeue": JobState.QUEUED, "bury": JobState.DEAD}
        one.state = JobState.CANCELLED if one.cancel_asked else states[how]

    @rule(node=st.integers(0, 9))
    def promote(self, node: int) -> None:
        self.cluster.ripen()
        due = self.run(self.nodes[node % len(self.nodes)].work.promote())
        waiting = [one for one in self.known.values() if one.state is JobState.SCHEDULED]
        assert due.moved == len(waiting)
        assert due.next_ms is None
        for one in waiting:
            one.state, one.alone = JobState.QUEUED, False

    @rule(node=st.integers(0, 9))
    def leave(self, node: int) -> None:
        number = node % len(self.nodes)
        self.run(self.nodes[number].leases.leave(self.nodes[number].lease))
        self.depart(number, crashed=False)

    @rule(node=st.integers(0, 9))
    def crash(self, node: int) -> None:
        number = node % len(self.nodes)
        victim, witness = self.nodes[number], self.nodes[(number + 1) % len(self.nodes)]
        assert self.run(witness.leases.take_over(witness.lease, victim.lease.node)) == 0
        self.cluster.lapse(victim)
        assert witness.leases.beat(witness.lease) == [victim.lease.node]
        moved = self.run(witness.leases.take_over(witness.lease, victim.lease.node))
        assert moved == len(self.held[number])
        self.zombies.append((victim, self.held[number]))
        self.depart(number, crashed=True)

    def depart(self, number: int, *, crashed: bool) -> None:
        for delivery in self.held[number]:
            one = self.of(delivery)
            poison = crashed and is_alone(stream_of(delivery))
            one.crashes = one.crashes + 1 if poison else max(one.crashes, int(crashed))
            one.alone = one.crashes > 0
            one.state = JobState.DEAD if poison else JobState.QUEUED
            if one.cancel_asked:
                one.state = JobState.CANCELLED
        del self.nodes[number], self.held[number]
        self.join()

    @precondition(lambda self: self.zombies)
    @rule(number=st.integers(0, 9), how=st.sampled_from(["settle", "park", "requeue", "bury"]))
    def a_fenced_node_writes(self, number: int, how: str) -> None:
        zombie, deliveries = self.zombies[number % len(self.zombies)]
        make = {"settle": completed, "park": retry, "requeue": rewrite, "bury": dead}[how]
        if deliveries:
            with pytest.raises(LeaseLost):
                self.run(getattr(zombie.work, how)([make(delivery) for delivery in deliveries]))
        with pytest.raises(LeaseLost):
            zombie.leases.beat(zombie.lease)

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def every_job_is_where_the_model_says(self) -> None:
        for job_id, one in self.known.items():
            view = self.run(self.cluster.store_client.inspector.get(job_id))
            assert view.state == one.state
            assert view.job.crashes == one.crashes
            if one.state is JobState.RUNNING:
                assert view.cancel_requested == one.cancel_asked

    @invariant()
    def nothing_else_is_there(self) -> None:
        self.cluster.check()
        assert self.cluster.pending() == sum(map(len, self.held))
        assert self.epochs == sorted(set(self.epochs))

    @invariant()
    def the_list_shows_each_job_once(self) -> None:
        page = self.run(self.cluster.store_client.inspector.jobs(limit=1_000))
        assert sorted(view.job.id for view in page.jobs) == sorted(self.known)

    def teardown(self) -> None:
        self.come_to_rest()
        self.run(self.cluster.close())
        self.loop.close()

    def come_to_rest(self) -> None:
        """Whatever is left runs to its end, and then nothing is anywhere but among the ended and the dead."""
        if not self.nodes:
            return
        for number, node in enumerate(self.nodes):
            self.run(node.work.settle([completed(delivery) for delivery in self.held[number]]))
        self.promote(0)
        for queue in "ab":
            self.pause(queue, paused=False)
        for one in self.known.values():
            if one.state in (JobState.RUNNING, JobState.QUEUED):
                one.state = JobState.COMPLETED
        work = self.nodes[0].work
        for fetch in (lambda: work.fetch(10_000), work.alone.fetch):
            while rest := self.run(fetch()):
                self.run(work.settle([completed(delivery) for delivery in rest]))
        assert self.cluster.pending() == 0
        assert len(self.cluster.entries()) == 0
        for one in self.known.values():
            assert one.state in (JobState.DEAD, *ENDED)
            assert self.run(self.cluster.state(one.job)) == one.state
        with pytest.raises(JobNotFound):
            self.run(self.cluster.store_client.inspector.get(job().id))


def test_a_life_of_a_cluster(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_selector, "LOOK_SECONDS", 0.0)
    machine = type("LifeOnServer", (Life,), {"url": server})
    # Each takes half a second: a tenth of what others get.
    examples = int(os.environ.get("IRONFORGE_MODEL_EXAMPLES", settings.default.max_examples // 10))
    options = settings(max_examples=examples, stateful_step_count=40, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=options)
