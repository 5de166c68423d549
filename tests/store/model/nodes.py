"""The part of the model that runs jobs: nodes that fetch, settle, put aside, leave and die."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from ironforge.errors import JobNotFound, LeaseLost
from ironforge.job.record import JobState, is_alone
from ironforge.store import Delivery
from tests.store.kit import Node, completed, dead, job, job_in, retry, rewrite, stream_of
from tests.store.model.doors import CRASH_BUDGET, ENDED, NUMBERS, Known, StoreClient, has_jobs
from tests.store.snapshot import Snapshot


class Life(StoreClient):
    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.held: list[list[Delivery]] = []
        self.zombies: list[tuple[Node, list[Delivery]]] = []
        self.epochs: list[int] = []
        self.looks = 0

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

    def take(self, number: int) -> tuple[Node, Delivery] | None:
        """One that is held, and a node fetches some first when there is none, or half of the time. None: its node has
        ended it by itself, or none can run."""
        if number % 2 or not any(self.held):
            self.fetch(number, 4)
        held = [(at, delivery) for at, deliveries in enumerate(self.held) for delivery in deliveries]
        if not held:
            return None
        at, delivery = held[number % len(held)]
        self.held[at].remove(delivery)
        return self.nodes[at], delivery

    # ------------------------------------------------------------------ nodes

    def waiting(self, *, alone: bool) -> list[Known]:
        """Those that a node may take now, in their order as far as it is certain."""
        queued = [one for one in self.known.values() if one.state is JobState.QUEUED and one.alone is alone]
        return sorted((one for one in queued if one.job.queue not in self.paused), key=lambda one: one.job.priority)

    def given(self, number: int, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            one = self.of(delivery)
            assert one.state is JobState.QUEUED
            assert job_in(delivery).fence > one.fence
            one.holder, one.fence = number, job_in(delivery).fence
            self.becomes(one, JobState.RUNNING)
        self.held[number] += deliveries

    @rule(node=st.integers(0, 9), want=st.integers(1, 4))
    def fetch(self, node: int, want: int) -> None:
        number = node % len(self.nodes)
        waiting = self.waiting(alone=False)
        deliveries = self.run(self.nodes[number].work.fetch(want))
        self.given(number, deliveries)
        self.check_given(number, waiting, deliveries, want)

    @rule(node=st.integers(0, 9))
    def fetch_alone(self, node: int) -> None:
        """Those that were held by a node that died: never among others, and one at a time."""
        number = node % len(self.nodes)
        if self.shards > 1:
            self.fetch_alone_from_shards(number)
            return
        waiting = self.waiting(alone=True)
        has = [one for one in self.held[number] if is_alone(stream_of(one))]
        # A node that has one asks again only where the answer was lost, and does so at once.
        if any(self.of(one).job.queue in self.paused for one in has):
            return
        self.run(self.nodes[number].work.fetch(0))  # looks at what is paused
        deliveries = self.run(self.nodes[number].work.alone.fetch())
        if has:
            assert deliveries == has
            return
        assert all(self.of(delivery).alone for delivery in deliveries)
        self.given(number, deliveries)
        self.check_given(number, waiting, deliveries, 1)

    def fetch_alone_from_shards(self, number: int) -> None:
        """A node that has none asks when it has the turn, and where it has seen that some wait."""
        if any(is_alone(stream_of(one)) for one in self.held[number]):
            return
        self.fetch(number, 50)
        waiting = self.waiting(alone=True)
        alone = self.nodes[number].work.alone
        deliveries: list[Delivery] = []
        if self.run(alone.claim()):
            deliveries = self.run(alone.fetch())
            self.run(alone.unclaim())
        assert all(self.of(delivery).alone for delivery in deliveries)
        self.given(number, deliveries)
        self.check_given(number, waiting, deliveries, 1)

    def check_given(self, number: int, waiting: list[Known], deliveries: list[Delivery], want: int) -> None:
        given = [job_in(delivery).priority for delivery in deliveries]
        assert given == [one.job.priority for one in waiting][:want]

    @precondition(has_jobs)
    @rule(number=NUMBERS, twice=st.booleans())
    def settle(self, number: int, twice: bool) -> None:
        if taken := self.take(number):
            node, delivery = taken
            for _ in range(1 + twice):
                self.run(node.work.settle([completed(delivery)]))
            self.becomes(self.of(delivery), JobState.COMPLETED)

    @precondition(has_jobs)
    @rule(number=NUMBERS, how=st.sampled_from(["park", "requeue", "bury"]))
    def put_aside(self, number: int, how: str) -> None:
        if (taken := self.take(number)) is None:
            return
        node, delivery = taken
        make = {"park": retry, "requeue": rewrite, "bury": dead}[how]
        for _ in range(2):  # the second is what a lost reply leads to
            self.run(getattr(node.work, how)([make(delivery)]))
        one = self.of(delivery)
        states = {"park": JobState.SCHEDULED, "requeue": JobState.QUEUED, "bury": JobState.DEAD}
        self.becomes(one, JobState.CANCELLED if one.cancel_asked else states[how])

    @rule(node=st.integers(0, 9))
    def promote(self, node: int) -> None:
        self.cluster.ripen()
        waiting = [one for one in self.known.values() if one.state is JobState.SCHEDULED or self.wakes(one)]
        due = self.run(self.nodes[node % len(self.nodes)].work.promote())
        assert due.moved == len(waiting)
        for one in waiting:
            one.alone = False
            self.becomes(one, JobState.QUEUED)

        assert (due.next_ms is None) is not self.is_something_due_later()

    def wakes(self, _one: Known) -> bool:
        """Whether it waits for something that is there."""
        return False

    def is_something_due_later(self) -> bool:
        return False

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
        seen = witness.leases.beat(witness.lease)
        if self.shards == 1:  # others are given a lease's time after their server was away
            assert seen == [victim.lease.node]
        moved = self.run(witness.leases.take_over(witness.lease, victim.lease.node))
        assert moved == len(self.held[number])
        self.zombies.append((victim, self.held[number]))
        self.depart(number, crashed=True)

    def depart(self, number: int, *, crashed: bool) -> None:
        for delivery in self.held[number]:
            one = self.of(delivery)
            if one.recorded == job_in(delivery).fence:
                one.crashes = 0
            alone = crashed and is_alone(stream_of(delivery))
            one.crashes = one.crashes + 1 if alone else max(one.crashes, int(crashed))
            one.alone = one.crashes > 0
            state = JobState.DEAD if alone and one.crashes >= CRASH_BUDGET else JobState.QUEUED
            self.becomes(one, JobState.CANCELLED if one.cancel_asked else state)
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

    def state_of(self, one: Known) -> JobState:
        """As a look at it says it."""
        return one.state

    @invariant()
    def every_job_is_where_the_model_says(self) -> None:
        """In the list all of them, each once; and where it is looked up one, each time another."""
        inspector, ids = self.cluster.store_client.inspector, [*self.known]
        views = self.run(inspector.jobs(limit=1_000)).jobs
        assert sorted(view.job.id for view in views) == sorted(ids)
        self.looks += 1
        alone = [self.run(inspector.get(ids[self.looks % len(ids)]))] if ids else []
        for view in (*views, *alone):
            one = self.known[view.job.id]
            assert view.state == self.state_of(one)
            assert view.job.crashes == one.crashes
            if one.state is JobState.RUNNING:
                assert view.cancel_requested == one.cancel_asked

    @invariant()
    def nothing_else_is_there(self) -> None:
        self.check_shards(self.cluster.check())
        assert self.epochs == sorted(set(self.epochs))

    def check_shards(self, shards: list[Snapshot]) -> None:
        assert sum(seen.pending for seen in shards) == sum(map(len, self.held))

    def teardown(self) -> None:
        try:
            self.come_to_rest()
            self.cluster.check()
        finally:
            self.cluster.raw.flushdb()  # or looks at all keys would take longer with each example
            self.cluster.checked = False
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
                self.becomes(one, JobState.COMPLETED)
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
