"""The store against a plain model: whatever doors and nodes do in whatever order, no job is lost or ends twice."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ironforge.errors import IdempotencyConflict, InvalidState, JobNotFound, LeaseLost
from ironforge.job import Job, JobState, decode
from ironforge.store import Delivery, Submission, served
from tests.store.kit import Cluster, Node, completed, dead, job, retry, rewrite

CRASH_BUDGET = 2
# Queue, priority, fairness key, and whether it has a delay.
PLACES = st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.sampled_from(["", "x", "y"]), st.booleans())
ENDED = (JobState.COMPLETED, JobState.CANCELLED)


@dataclasses.dataclass
class Known:
    """What the model knows of one job: `holder` is the number of the node that runs it."""

    job: Job
    state: JobState
    holder: int | None = None
    crashes: int = 0
    cancel_asked: bool = False
    fence: int = -1


class Life(RuleBasedStateMachine):
    url: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.cluster = Cluster(self.url)
        self.cluster.with_settings(crash_budget=CRASH_BUDGET, queues=("a", "b"))
        self.known: dict[bytes, Known] = {}
        self.keys: dict[str, tuple[bytes, bytes]] = {}
        self.nodes: list[Node] = []
        self.held: list[list[Delivery]] = []
        self.zombies: list[tuple[Node, list[Delivery]]] = []
        self.epochs: list[int] = []
        self.paused: set[str] = set()

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

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
        return self.known[decode(delivery.record).id]

    def pick(self, state: JobState, number: int) -> Known | None:
        fitting = [one for one in self.known.values() if one.state is state]
        return fitting[number % len(fitting)] if fitting else None

    def take(self, node: int, number: int) -> Delivery | None:
        held = self.held[node % len(self.nodes)]
        return held.pop(number % len(held)) if held else None

    # ------------------------------------------------------------------ doors

    @rule(places=st.lists(PLACES, min_size=1, max_size=5))
    def submit(self, places: list[tuple[str, int, str, bool]]) -> None:
        batch = [
            Submission(job(queue, priority, fairness_key=key), delay_ms=3_600_000 if later else None)
            for queue, priority, key, later in places
        ]
        answers = self.run(self.cluster.doors.submissions.submit(batch))
        for item, answer in zip(batch, answers, strict=True):
            state = JobState.SCHEDULED if item.delay_ms else JobState.QUEUED
            assert (item.job.id, state, False) == tuple(answer)
            self.known[item.job.id] = Known(item.job, state)

    @rule(key=st.sampled_from("xyz"), content=st.sampled_from([b"1", b"2"]))
    def submit_with_a_key(self, key: str, content: bytes) -> None:
        one = job("a")
        first = self.keys.get(key)
        submit = self.cluster.doors.submissions.submit([Submission(one, None, None, key, content)])
        if first is not None and first[1] != content:
            with pytest.raises(IdempotencyConflict):
                self.run(submit)
            return
        (answer,) = self.run(submit)
        if first is None:
            self.keys[key] = one.id, content
            self.known[one.id] = Known(one, JobState.QUEUED)
        assert (self.keys[key][0], first is not None) == (answer.id, answer.replayed)

    @rule(number=st.integers(0, 99))
    def submit_again(self, number: int) -> None:
        if self.known:
            one = list(self.known.values())[number % len(self.known)]
            (answer,) = self.run(self.cluster.doors.submissions.submit([Submission(one.job)], again=True))
            assert (one.job.id, True) == (answer.id, answer.replayed)

    @rule(state=st.sampled_from(list(JobState)), number=st.integers(0, 99))
    def cancel(self, state: JobState, number: int) -> None:
        one = self.pick(state, number)
        if one is None:
            return
        cancel = self.cluster.doors.submissions.cancel(one.job.id)
        if state in (JobState.DEAD, *ENDED):
            with pytest.raises(InvalidState) as caught:
                self.run(cancel)
            assert state == caught.value.state
            return
        expected = JobState.RUNNING if state is JobState.RUNNING else JobState.CANCELLED
        assert expected == self.run(cancel)
        one.state, one.cancel_asked = expected, True

    @rule(state=st.sampled_from(list(JobState)), number=st.integers(0, 99), reset=st.booleans())
    def revive(self, state: JobState, number: int, reset: bool) -> None:
        one = self.pick(state, number)
        if one is None:
            return
        revive = self.cluster.doors.submissions.revive(one.job.id, reset_retry_count=reset)
        if state is not JobState.DEAD:
            with pytest.raises(InvalidState):
                self.run(revive)
            return
        one.job = self.run(revive)
        one.state, one.crashes = JobState.QUEUED, 0

    @rule(queue=st.sampled_from("ab"), paused=st.booleans())
    def pause(self, queue: str, paused: bool) -> None:
        self.run(self.cluster.doors.submissions.set_paused(queue, paused=paused))
        (self.paused.add if paused else self.paused.discard)(queue)
        assert sorted(self.paused) == list(self.run(self.cluster.doors.inspection.stats()).paused)

    # ------------------------------------------------------------------ nodes

    @rule(node=st.integers(0, 9), want=st.integers(1, 4))
    def fetch(self, node: int, want: int) -> None:
        number = node % len(self.nodes)
        waiting = [one.job for one in self.known.values() if one.state is JobState.QUEUED]
        queued = sorted(one.priority for one in waiting if one.queue not in self.paused)
        deliveries = self.run(self.nodes[number].work.fetch(want))
        assert queued[:want] == [decode(delivery.record).priority for delivery in deliveries]
        for delivery in deliveries:
            one = self.of(delivery)
            assert one.state is JobState.QUEUED
            assert decode(delivery.record).fence > one.fence
            one.state, one.holder, one.fence = JobState.RUNNING, number, decode(delivery.record).fence
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
        assert (len(waiting), None) == (due.moved, due.next_ms)
        for one in waiting:
            one.state = JobState.QUEUED

    @rule(node=st.integers(0, 9))
    def leave(self, node: int) -> None:
        number = node % len(self.nodes)
        self.run(self.nodes[number].leases.leave(self.nodes[number].lease))
        self.depart(number, crashed=False)

    @rule(node=st.integers(0, 9))
    def crash(self, node: int) -> None:
        number = node % len(self.nodes)
        victim, witness = self.nodes[number], self.nodes[(number + 1) % len(self.nodes)]
        assert 0 == self.run(witness.leases.take_over(witness.lease, victim.lease.node))
        self.cluster.lapse(victim)
        assert [victim.lease.node] == witness.leases.beat(witness.lease)
        moved = self.run(witness.leases.take_over(witness.lease, victim.lease.node))
        assert len(self.held[number]) == moved
        self.zombies.append((victim, self.held[number]))
        self.depart(number, crashed=True)

    def depart(self, number: int, *, crashed: bool) -> None:
        for delivery in self.held[number]:
            one = self.of(delivery)
            one.crashes += crashed
            poison = crashed and one.crashes >= CRASH_BUDGET
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
            view = self.run(self.cluster.doors.inspection.get(job_id))
            assert one.state == view.state
            if one.state is JobState.RUNNING:
                assert one.cancel_asked == view.cancel_requested

    @invariant()
    def nothing_else_is_there(self) -> None:
        self.cluster.check()
        assert sum(map(len, self.held)) == self.cluster.pending()
        assert sorted(set(self.epochs)) == self.epochs

    @invariant()
    def the_list_shows_each_job_once(self) -> None:
        page = self.run(self.cluster.doors.inspection.jobs(limit=1_000))
        assert sorted(self.known) == sorted(view.job.id for view in page.jobs)

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
        while rest := self.run(self.nodes[0].work.fetch(10_000)):
            self.run(self.nodes[0].work.settle([completed(delivery) for delivery in rest]))
        assert (0, 0) == (self.cluster.pending(), len(self.cluster.entries()))
        for one in self.known.values():
            assert one.state in (JobState.DEAD, *ENDED)
            assert one.state == self.run(self.cluster.state(one.job))
        with pytest.raises(JobNotFound):
            self.run(self.cluster.doors.inspection.get(job().id))


def test_a_life_of_a_cluster(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "LOOK_SECONDS", 0.0)
    machine = type("LifeOnServer", (Life,), {"url": server})
    examples = int(os.environ.get("IRONFORGE_MODEL_EXAMPLES", "15"))
    options = settings(
        max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=options)
