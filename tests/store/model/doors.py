"""The part of the model that stands before the doors: what is submitted, cancelled, retried and paused, and what
follows for each job."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from ironforge.errors import IdempotencyConflict, InvalidState
from ironforge.job.record import Job, JobState
from ironforge.redis.shards import shards_of
from ironforge.steps.waits import Wait
from ironforge.store import Submission
from ironforge.store.server_checks import check_shards
from tests.store.kit import Cluster, job

CRASH_BUDGET = 2
# Queue, priority, fairness key, and whether it has a delay.
PLACES = st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.sampled_from(["", "x", "y"]), st.booleans())
# Which one of those that there are.
NUMBERS = st.integers(0, 99)
ENDED = (JobState.COMPLETED, JobState.CANCELLED)


@dataclasses.dataclass
class Known:
    """What the model knows of one job: `holder` is the number of the node that runs it. `ran`: it has come back from a
    node that may have begun it, or has died. `waits`: it has to be let in by its limits, `since_us` says when it came.
    `declined`: it waits for a node that knows its kind. `expires_ms`: it must not start then, or later (0: never).
    `journal`: entries by name; `recorded`: the fence of the run that recorded last. `wait`: of a job that waits."""

    job: Job
    state: JobState
    holder: int | None = None
    crashes: int = 0
    cancel_asked: bool = False
    fence: int = -1
    alone: bool = False
    ran: bool = False
    waits: bool = False
    since_us: int = 0
    declined: bool = False
    expires_ms: int = 0
    journal: dict[str, bytes] = dataclasses.field(default_factory=dict)
    recorded: int = -1
    wait: Wait | None = None


def has_jobs(model: StoreClient) -> bool:
    return bool(model.known)


class StoreClient(RuleBasedStateMachine):
    url: str
    shards = 1

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.cluster = Cluster(self.url)
        self.cluster.with_settings(crash_budget=CRASH_BUDGET, queues=("a", "b"), shards=self.shards)
        self.run(check_shards(self.cluster.settings))
        self.keys_by_shard = shards_of(self.cluster.settings)
        self.known: dict[bytes, Known] = {}
        self.keys: dict[str, tuple[bytes, bytes]] = {}
        self.paused: set[str] = set()

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    def becomes(self, one: Known, state: JobState) -> None:
        one.ran |= state is JobState.DEAD
        one.ran |= one.state is JobState.RUNNING and state in (JobState.QUEUED, JobState.SCHEDULED, JobState.WAITING)
        one.state = state

    def pick(self, number: int, state: JobState) -> Known:
        """One in this state if there is any."""
        fitting = [one for one in self.known.values() if one.state is state] or [*self.known.values()]
        return fitting[number % len(fitting)]

    @rule(places=st.lists(PLACES, min_size=1, max_size=5))
    def submit(self, places: list[tuple[str, int, str, bool]]) -> None:
        batch = [
            Submission(job(queue, priority, fairness_key=key), delay_ms=3_600_000 if later else None)
            for queue, priority, key, later in places
        ]
        answers = self.run(self.cluster.store_client.producer.submit(batch))
        for item, answer in zip(batch, answers, strict=True):
            state = JobState.SCHEDULED if item.delay_ms else JobState.QUEUED
            assert answer.id == item.job.id
            assert answer.state is state
            assert answer.replayed is False
            self.known[item.job.id] = Known(item.job, state)

    @rule(key=st.sampled_from("xyz"), content=st.sampled_from([b"1", b"2"]))
    def submit_with_a_key(self, key: str, content: bytes) -> None:
        one = job("a")
        first = self.keys.get(key)
        submit = self.cluster.store_client.producer.submit([Submission(one, None, None, key, content)])
        if first is not None and first[1] != content:
            with pytest.raises(IdempotencyConflict):
                self.run(submit)
            return
        (answer,) = self.run(submit)
        if first is None:
            self.keys[key] = one.id, content
            self.known[one.id] = Known(one, JobState.QUEUED)
        assert self.keys[key][0] == answer.id
        assert (first is not None) == answer.replayed

    @precondition(has_jobs)
    @rule(number=NUMBERS)
    def submit_again(self, number: int) -> None:
        one = self.pick(number, JobState.QUEUED)
        (answer,) = self.run(self.cluster.store_client.producer.submit([Submission(one.job, again=True)]))
        assert one.job.id == answer.id
        assert answer.replayed is True

    @precondition(has_jobs)
    @rule(number=NUMBERS, state=st.sampled_from(list(JobState)))
    def cancel(self, number: int, state: JobState) -> None:
        one = self.pick(number, state)
        cancel = self.cluster.store_client.producer.cancel(one.job.id)
        if one.state in (JobState.DEAD, *ENDED):
            with pytest.raises(InvalidState) as caught:
                self.run(cancel)
            assert one.state == caught.value.state
            return
        expected = JobState.RUNNING if one.state is JobState.RUNNING else JobState.CANCELLED
        assert expected == self.run(cancel)
        one.cancel_asked = True
        self.becomes(one, expected)

    @precondition(has_jobs)
    @rule(number=NUMBERS, reset=st.booleans())
    def retry(self, number: int, reset: bool) -> None:
        self.revive(self.pick(number, JobState.DEAD), reset)

    def revive(self, one: Known, reset: bool) -> None:
        revive = self.cluster.store_client.producer.retry(one.job.id, reset_retry_count=reset)
        if one.state is not JobState.DEAD:
            with pytest.raises(InvalidState):
                self.run(revive)
            return
        one.job = self.run(revive)
        one.crashes, one.alone = 0, False
        self.becomes(one, JobState.QUEUED)

    @rule(queue=st.sampled_from("ab"), paused=st.sampled_from([True, False, False]))
    def pause(self, queue: str, paused: bool) -> None:
        self.run(self.cluster.store_client.producer.set_paused(queue, paused=paused))
        (self.paused.add if paused else self.paused.discard)(queue)
        assert sorted(self.paused) == list(self.run(self.cluster.store_client.inspector.stats()).paused)
