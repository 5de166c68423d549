"""The part of the model in which jobs that run have children: what they know of them, and what becomes of these."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from ironforge.errors import InvalidState
from ironforge.job.record import JobState, encode, is_alone
from ironforge.redis.family_keys import children_of, results_of
from ironforge.steps.errors import StepError
from ironforge.steps.waits import Wait, member_of
from ironforge.store import Delivery, NewWait, Submission
from ironforge.store.steps.contract import NewChildren, ParentRun
from tests.store.kit import HOUR_MS, job, job_in, now_ms
from tests.store.model.doors import ENDED, NUMBERS, Known, has_jobs
from tests.store.model.nodes import Life

# A step of a parent, of one life of it: its name in the journal and how many children it has.
STEPS = (("pack", 2), ("send", 3))


class Family:
    """What a parent knows: ids of open children, and how the others have ended, by name."""

    def __init__(self) -> None:
        self.open: dict[str, bytes] = {}
        self.ended: dict[str, JobState] = {}
        # Those of a former life are no more its own.
        self.left: set[bytes] = set()


class Families(Life):
    """Of one shard, for only there everything happens at once."""

    def __init__(self) -> None:
        super().__init__()
        self.families: dict[bytes, Family] = {}
        self.child_of: dict[bytes, tuple[bytes, str]] = {}

    # ------------------------------------------------------------------ what becomes of jobs

    def becomes(self, one: Known, state: JobState) -> None:
        super().becomes(one, state)
        if state in (JobState.DEAD, *ENDED) and one.job.id in self.child_of:
            parent, name = self.child_of[one.job.id]
            family = self.families[parent]
            family.open.pop(name, None)
            family.left.discard(one.job.id)
            family.ended[name] = state  # also where it is of a former life: one that completes late need not go again

    def see_to(self) -> None:
        """Children of those that have ended, or are dead, are cancelled, and theirs, and so on."""
        todo = [*self.families]
        for parent in todo:
            family = self.families[parent]
            given_up = {*family.left}
            if self.known[parent].state in (JobState.DEAD, *ENDED):
                given_up |= {*family.open.values()}
            for job_id in given_up:
                child = self.known[job_id]
                if child.state in (JobState.DEAD, *ENDED):
                    continue
                child.cancel_asked = True
                if child.state is not JobState.RUNNING:
                    self.becomes(child, JobState.CANCELLED)
                    todo += [job_id] if job_id in self.families else []

    # ------------------------------------------------------------------ handlers

    @precondition(has_jobs)
    @rule(number=NUMBERS, step=st.sampled_from(STEPS))
    def give_children(self, number: int, step: tuple[str, int]) -> None:
        """A job that runs submits them, or does so again."""
        if (taken := self.take(number)) is None:
            return
        node, delivery = taken
        if is_alone(delivery[0]):  # how a step that it records counts for its crashes is not the matter here
            self.held[self.nodes.index(node)].append(delivery)
            return
        one, (field, count) = self.of(delivery), step
        run = ParentRun(*delivery[:2], job_in(delivery))
        family, life = self.families.get(one.job.id) or Family(), run.job.revivals
        missing = [index for index in range(count) if self.goes_now(family, field, index, life)]
        submit = node.work.children.submit(run, field, NewChildren(count, self.child), self.entry(run, field))
        if one.cancel_asked and missing:
            with pytest.raises(StepError, match="told to stop"):
                self.run(submit)
            self.held[self.nodes.index(node)].append(delivery)
            return
        self.run(submit)
        self.held[self.nodes.index(node)].append(self.with_journal(delivery))
        self.families[one.job.id] = family
        for index in missing:
            self.add_child(family, one, member_of(field, index, life))

    def goes_now(self, family: Family, field: str, index: int, life: int) -> bool:
        """None of it has completed, or goes in this life of its parent already."""
        names = [member_of(field, index, each) for each in range(life + 1)]
        return names[-1] not in {*family.open, *family.ended} and all(
            family.ended.get(name) is not JobState.COMPLETED for name in names
        )

    def entry(self, run: ParentRun, field: str) -> object:
        return self.run(self.nodes[0].work.journal(run.stream, run.job.id)).get(field)

    def child(self, index: int) -> Submission:
        return Submission(job("a", 2), delay_ms=HOUR_MS if index == 2 else None)

    def add_child(self, family: Family, parent: Known, name: str) -> None:
        key = children_of(self.keys_by_shard[0], parent.job.id)
        job_id = self.cluster.raw.hget(key, name)
        assert job_id is not None, f"{name!r} was not submitted"
        index = int(name.partition("\n")[2].partition(".")[0])
        made = self.child(index)
        state = JobState.SCHEDULED if made.delay_ms else JobState.QUEUED
        self.known[job_id] = Known(msgspec.structs.replace(made.job, id=job_id), state)
        family.open[name] = job_id
        self.child_of[job_id] = parent.job.id, name

    def with_journal(self, delivery: Delivery) -> Delivery:
        stream, entry, _ = delivery
        return stream, entry, encode(msgspec.structs.replace(job_in(delivery), journal=True, version=2))

    @precondition(lambda self: self.families)
    @rule(number=NUMBERS)
    def wait_for_children(self, number: int) -> None:
        held = [
            (at, delivery)
            for at, deliveries in enumerate(self.held)
            for delivery in deliveries
            if job_in(delivery).journal and job_in(delivery).id in self.families
        ]
        if not held:
            return
        at, delivery = held[number % len(held)]
        self.held[at].remove(delivery)
        waiting = job_in(delivery).again(wait=Wait("children", "pack"))
        self.run(self.nodes[at].work.park_waiting([NewWait.of(*delivery[:2], waiting, now_ms())]))
        one = self.of(delivery)
        self.becomes(one, JobState.CANCELLED if one.cancel_asked else JobState.WAITING)
        one.ran, one.alone, one.crashes = True, False, job_in(delivery).crashes

    # ------------------------------------------------------------------ nodes and doors

    @rule(node=st.integers(0, 9))
    def promote(self, node: int) -> None:
        """And wake those that wait for none any more, and cancel those whose parents are no more."""
        work = self.nodes[node % len(self.nodes)].work
        self.cluster.ripen()
        self.run(work.promote())
        for one in self.known.values():
            if one.state is JobState.SCHEDULED:
                one.alone = False
                self.becomes(one, JobState.QUEUED)
            if one.state is JobState.WAITING and not self.families[one.job.id].open:
                self.becomes(one, JobState.QUEUED)
        while self.run(work._families.sweep()):
            pass
        self.see_to()
        assert self.run(work.audit_families()) == 0

    def revive(self, one: Known, reset: bool) -> None:
        if one.state is JobState.DEAD and one.job.id in self.child_of:
            with pytest.raises(InvalidState, match="child of job"):
                self.run(self.cluster.store_client.producer.retry(one.job.id, reset_retry_count=reset))
            return
        was_dead = one.state is JobState.DEAD
        super().revive(one, reset)
        if was_dead and one.job.id in self.families:
            family = self.families[one.job.id]
            family.left |= {*family.open.values()}
            family.open = {}

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def parents_know_of_their_children(self) -> None:
        keys = self.keys_by_shard[0]
        for parent, family in self.families.items():
            if self.known[parent].state in ENDED:
                continue
            opened = self.cluster.raw.hgetall(children_of(keys, parent))
            assert {name.decode(): job_id for name, job_id in opened.items()} == family.open
            told = self.cluster.raw.hkeys(results_of(keys, parent))
            assert {*family.ended} <= {name.decode() for name in told}

    def come_to_rest(self) -> None:
        """Each parent ends, and no child is left."""
        if not self.nodes:
            return
        for queue in "ab":
            self.pause(queue, paused=False)
        for _ in range(10 + 3 * len(self.known)):
            while any(self.held):
                self.settle(0, twice=False)
            self.promote(0)
            self.fetch(0, 50)
            self.fetch_alone(0)
            if not any(self.held) and {one.state for one in self.known.values()} <= {JobState.DEAD, *ENDED}:
                break
        super().come_to_rest()
        self.promote(0)
        assert self.cluster.raw.zrangebyscore(self.keys_by_shard[0].families, "-inf", "(0") == []
