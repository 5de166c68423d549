"""The part of the model in which jobs have steps: runs record them, sleep and wait for events, and these come."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ironforge.errors import LeaseLost
from ironforge.job.record import JobState
from ironforge.steps import journal
from ironforge.steps.journal import Entry, EntryKind
from ironforge.steps.waits import Wait, WaitFor
from ironforge.store import Delivery, NewStep, NewWait
from ironforge.store.steps.events import home_of
from tests.store.kit import Node, job_in
from tests.store.model.doors import ENDED, NUMBERS, Known, has_jobs
from tests.store.model.flow import Flow
from tests.store.model.submitting import HOUR_MS
from tests.store.snapshot import Snapshot
from tests.store.steps.waiting import kept

EVENTS = st.sampled_from("ef")
# By the clock of the model a time is over or not; the server's own, which lets events expire, goes on beside it.
UNCERTAIN_MS = 600_000


class Steps(Flow):
    def __init__(self) -> None:
        super().__init__()
        self.events: dict[str, tuple[bytes, int]] = {}
        self.past: list[tuple[Node, Delivery]] = []

    def take(self, number: int) -> tuple[Node, Delivery] | None:
        """A run that has recorded something says so in what it leaves."""
        taken = super().take(number)
        if taken is None:
            return None
        node, delivery = taken
        self.past.append(taken)
        return node, kept(delivery) if self.of(delivery).journal else delivery

    # ------------------------------------------------------------------ recording

    @precondition(has_jobs)
    @rule(number=NUMBERS, name=st.sampled_from("xy"), result=st.sampled_from([b"1", b"2"]))
    def record(self, number: int, name: str, result: bytes) -> None:
        """What was recorded first counts, in all runs."""
        if (taken := self.take(number)) is None:
            return
        node, delivery = taken
        self.held[self.nodes.index(node)].append(delivery)
        one, new = self.of(delivery), self.step(delivery, name, result)
        if name not in one.journal:
            one.journal[name], one.recorded = new.value, new.fence
        for each in (new, self.step(delivery, name, b"0")):
            assert self.run(node.work.record_steps([each])) == [one.journal[name]]

    def step(self, delivery: Delivery, name: str, result: bytes) -> NewStep:
        job = job_in(delivery)
        now_ms = self.clock.now_ms
        value = journal.encode(Entry(EntryKind.STEP, result, now_ms, now_ms, job.fence))
        return NewStep(*delivery[:2], job.id, job.fence, name, value)

    @precondition(lambda self: self.past)
    @rule(number=NUMBERS)
    def record_in_a_run_that_is_over(self, number: int) -> None:
        node, delivery = self.past[number % len(self.past)]
        if any(delivery[:2] == one[:2] for held in self.held for one in held):
            return
        record = node.work.record_steps([self.step(delivery, "z", b"0")])
        if node in self.nodes:
            assert self.run(record) == [None]
            return
        with pytest.raises(LeaseLost):
            self.run(record)

    @precondition(has_jobs)
    @rule(number=NUMBERS)
    def put_aside_and_bring_back(self, number: int) -> None:
        """No run has recorded anything of a job that cannot be read."""
        if not any(one.journal for one in self.known.values()):
            super().put_aside_and_bring_back(number)

    # ------------------------------------------------------------------ waiting

    @precondition(has_jobs)
    @rule(
        number=NUMBERS,
        what=st.sampled_from(["sleep", "event", "event"]),
        event=EVENTS,
        for_ms=st.sampled_from([0, 1_000, HOUR_MS]),
    )
    def wait_for(self, number: int, what: WaitFor, event: str, for_ms: int) -> None:
        if (taken := self.take(number)) is None:
            return
        node, delivery = taken
        one, old = self.of(delivery), job_in(delivery)
        until_ms = self.clock.now_ms + for_ms if for_ms or what == "sleep" else 0
        wait = Wait(what, f"{what} {old.fence}", event if what == "event" else "", until_ms)
        again = old.again(version=2, journal=True, wait=wait, crashes=0)
        new = NewWait.of(*delivery[:2], again, self.clock.now_ms)
        for _ in range(2):  # the second is what a lost reply leads to
            self.run(node.work.park_waiting([new]))
        if one.cancel_asked:
            self.becomes(one, JobState.CANCELLED)
            return
        one.wait, one.crashes, one.alone, one.recorded = wait, 0, False, old.fence
        one.journal[wait.name] = new.value
        self.becomes(one, JobState.WAITING)

    @rule(name=EVENTS, body=st.sampled_from([b"3", b"4"]), keep_ms=st.sampled_from([HOUR_MS, 9 * HOUR_MS]))
    def send_event(self, name: str, body: bytes, keep_ms: int) -> None:
        """The first one counts, until it expires."""
        was_there = self.event_of(name, home_of(name, self.shards)) is not None
        first = self.run(self.cluster.store_client.events.send(name, body, keep_ms))
        assert first is not was_there
        if first:
            self.events[name] = body, self.clock.now_ms + keep_ms

    def event_of(self, name: str, shard: int) -> bytes | None:
        """Its body, if it is there, as it must be before its time is over."""
        body, until_ms = self.events.get(name, (b"", 0))
        value: bytes | None = self.cluster.raw.get(self.keys_by_shard[shard].event(name))
        if value is None:
            assert until_ms < self.clock.now_ms + UNCERTAIN_MS
            return None
        assert value == b"%d:" % until_ms + body
        return body

    def came(self, one: Known) -> bytes | None:
        """What comes of its wait when it is looked at; None: it goes on."""
        assert one.wait is not None
        what, until_ms = one.wait.for_, one.wait.until_ms
        body = self.event_of(one.wait.event, self.keys_by_shard.index(self.keys_of(one))) if what == "event" else None
        if body is not None:
            return body
        if until_ms and until_ms <= self.clock.now_ms:
            return b"null" if what == "sleep" else b""
        return None

    def wakes(self, one: Known) -> bool:
        return one.state is JobState.WAITING and self.came(one) is not None

    def is_something_due_later(self) -> bool:
        waits = [one.wait for one in self.known.values() if one.state is JobState.WAITING]
        return any(wait is not None and wait.until_ms for wait in waits)

    @rule(node=st.integers(0, 9))
    def promote(self, node: int) -> None:
        """Those that wait no longer have in their journals what came of it."""
        came = {one.job.id: self.came(one) for one in self.known.values() if self.wakes(one)}
        super().promote(node)
        for job_id, result in came.items():
            one = self.known[job_id]
            assert one.wait is not None
            begun = journal.decode(one.journal[one.wait.name])
            found = self.cluster.raw.hget(self.keys_of(one).steps(job_id.hex()), one.wait.name)
            over = msgspec.structs.replace(
                begun, kind=EntryKind.WAITED, result=result, ended_ms=journal.decode(found).ended_ms
            )
            assert journal.decode(found) == over
            assert begun.started_ms <= over.ended_ms <= self.clock.now_ms
            one.journal[one.wait.name] = found

    @precondition(lambda self: any(one.state is JobState.WAITING for one in self.known.values()))
    @rule(node=st.integers(0, 9))
    def promote_what_waits(self, node: int) -> None:
        self.promote(node)

    @rule(node=st.integers(0, 9))
    def audit(self, node: int) -> None:
        """Nothing that waits is stranded."""
        super().audit(node)
        assert self.run(self.nodes[node % len(self.nodes)].work.audit_waits()) == 0

    # ------------------------------------------------------------------ what always holds

    def check_shards(self, shards: list[Snapshot]) -> None:
        """Journals are those of the model; of jobs that have ended they expire."""
        super().check_shards(shards)
        found: dict[str, dict[str, bytes]] = {}
        stays: set[str] = set()
        for keys, seen in zip(self.keys_by_shard, shards, strict=True):
            for name, fields in seen.family(keys.steps).items():
                found[name] = {field.decode(): value for field, value in dict(fields).items() if field}
                if seen.left_ms[keys.steps(name)] < 0:
                    stays.add(name)
        has = {one.job.id.hex(): one for one in self.known.values() if one.journal}
        assert found == {name: one.journal for name, one in has.items()}
        assert stays == {name for name, one in has.items() if self.state_of(one) not in ENDED}

    # ------------------------------------------------------------------ coming to rest

    def goes_on(self, last: int) -> bool:
        for name in "ef":
            self.send_event(name, b"3", HOUR_MS)
        waiting = any(one.state is JobState.WAITING for one in self.known.values())
        return super().goes_on(last) or waiting

    def nothing_is_left(self) -> None:
        super().nothing_is_left()
        for keys in self.keys_by_shard:
            waits = [keys.waiting(what) for what in ("sleep", "event", "children")]
            assert self.cluster.raw.exists(*waits, keys.wake, keys.copies) == 0
            assert self.cluster.raw.keys(keys.event_waiters("*")) == []
