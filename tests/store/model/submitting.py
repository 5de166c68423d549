"""The part of the model in which jobs have limits, unique keys, kinds that not every node knows, and moments after
which they must not start: what doors do with them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from ironforge.errors import Duplicate
from ironforge.job.record import JobState, created_ms_of, format_id, new_id, tail_of
from ironforge.job.uniqueness import UniqueUse
from ironforge.store import Accepted, Submission
from tests.store.kit import job
from tests.store.model import claims, uniqueness
from tests.store.model.clock import Clock
from tests.store.model.doors import ENDED, NUMBERS, Known
from tests.store.model.nodes import Life

HOUR_MS = 3_600_000
CENTURY_US = 100 * 365 * 24 * HOUR_MS * 1000
# Known to all nodes that know any, and to some of them.
KINDS = ("k", "new")
WAITING = (JobState.QUEUED, JobState.SCHEDULED)


class Theme(NamedTuple):
    """What jobs of one life have, so that those that have it meet: by turns these `limits`; kinds that not every node
    knows, unique keys, an expiry."""

    limits: list[str]
    new_kinds: bool
    unique: bool
    expiry: bool


THEMES = st.builds(Theme, claims.SOME_TOGETHER, st.booleans(), st.booleans(), st.booleans())


class Wanted(NamedTuple):
    """A job to submit, as far as the theme lets it. `later`: in an hour. `limits`: which of them, and with which keys.
    `expires_in_ms`: 0: never."""

    queue: str
    priority: int
    fairness_key: str
    later: bool
    kind: str
    limits: tuple[int, str]
    expires_in_ms: int
    unique: UniqueUse | None = None


WANTED = st.builds(
    Wanted,
    st.sampled_from("aab"),
    st.sampled_from([2, 2, 0]),
    st.sampled_from(["", "", "x", "y"]),
    st.sampled_from([False] * 7 + [True]),
    st.sampled_from(KINDS),
    st.tuples(NUMBERS, claims.KEYS),
    st.sampled_from([0, 0, 1_000, 2 * HOUR_MS]),
    st.none() | uniqueness.USES,
)


def _is_clear(batch: list[Wanted]) -> bool:
    """Of jobs of a batch with the same unique key the last one says for how long it is held."""
    keys = {(one.kind, one.unique.key, one.unique.for_ms) for one in batch if one.unique is not None}
    return len(keys) == len({(kind, key) for kind, key, _ in keys})


BATCHES = st.lists(WANTED, min_size=1, max_size=5).filter(_is_clear)


class Doors(Life):
    """`given_theme`: what of the theme is not left to chance."""

    given_theme: Mapping[str, Any] = MappingProxyType({})

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(self.cluster.raw, self.keys_by_shard)
        self.claims = claims.Claims()
        self.unique_keys = uniqueness.UniqueKeys()
        self._came = 0

    @initialize(
        starvation_seconds=st.sampled_from([0, 0.001]), theme=THEMES, wanted=st.lists(WANTED, min_size=6, max_size=9)
    )
    def start(self, starvation_seconds: float, theme: Theme, wanted: list[Wanted]) -> None:
        """With jobs: rules are left out by chance, and in half of all lives that would be the one that submits."""
        self.theme = theme._replace(**self.given_theme)
        self.cluster.with_settings(starvation_seconds=starvation_seconds)
        self.claims.limits = {name: claims.LIMITS[name] for name in " ".join(self.theme.limits).split()}
        for name, limit in self.claims.limits.items():
            self.run(self.cluster.store_client.limits.put(name, limit))
        super().start()
        for each in wanted:
            self.submit([each])
            self.time_goes_on()

    @property
    def now_us(self) -> int:
        return self.clock.now_ms * 1000

    @invariant()
    def time_goes_on(self) -> None:
        self.advance(100)

    def advance(self, ms: int) -> None:
        self.clock.advance(ms)
        self.unique_keys.expire(self.clock.now_ms)
        self._came = 0

    @rule(ms=st.sampled_from([1_000, 2_000, HOUR_MS, 2 * HOUR_MS]))
    def pass_time(self, ms: int) -> None:
        self.advance(ms)
        for node in self.nodes:
            node.leases.beat(node.lease)

    # ------------------------------------------------------------------ what becomes of jobs

    def has_expired(self, one: Known) -> bool:
        return one.state in WAITING and 0 < one.expires_ms <= self.clock.now_ms

    def state_of(self, one: Known) -> JobState:
        return JobState.CANCELLED if self.has_expired(one) else one.state

    def becomes(self, one: Known, state: JobState) -> None:
        before, is_dead = one.state, state is JobState.DEAD
        unstarted_us = self.now_us if before is JobState.QUEUED and not one.waits and not one.declined else None
        super().becomes(one, state)
        one.waits = one.declined = False
        if (before is JobState.RUNNING and state is not before) or is_dead:  # its revival has as long as it needs
            one.expires_ms = 0
        if is_dead or state in ENDED:
            self.unique_keys.release(one.job.kind, one.job.unique, one.job.id)
        if state in (*ENDED, JobState.SCHEDULED, JobState.WAITING, JobState.DEAD):
            keeping = state not in ENDED and self._keeps(one)
            self.claims.release(one.job, unstarted_us, fresh=not one.ran, keeping=keeping)
        if state is JobState.QUEUED and before in (JobState.SCHEDULED, JobState.WAITING, JobState.DEAD):
            self.joins(one)

    def _keeps(self, one: Known) -> bool:
        return self.claims.keeps(one.job, dead=one.state is JobState.DEAD)

    def joins(self, one: Known) -> None:
        """It has to be let in by its limits: if it ran before, before all that did not."""
        one.waits, one.declined = bool(one.job.limits), False
        one.since_us = one.job.created_ms * 1000 - CENTURY_US if one.ran else self.now_us + self._came
        if self.claims.has_fifo_key(one.job):  # those that are revived wait for it, whenever they came
            one.since_us -= CENTURY_US
        self._came += one.waits

    # ------------------------------------------------------------------ submitting

    def in_one_shard(self, wanted: list[Wanted]) -> list[Wanted]:
        """Where there are several, all keys of a batch are the same."""
        if self.shards == 1:
            return wanted
        text = wanted[0].limits[1][0]
        return [
            each._replace(
                limits=(each.limits[0], text * 3),
                unique=each.unique and msgspec.structs.replace(each.unique, key=text),
            )
            for each in wanted
        ]

    def make(self, wanted: Wanted, number: int) -> Submission:
        chosen, keys = wanted.limits
        job_id = (self.clock.now_ms - 50 + number).to_bytes(6) + new_id()[6:-1] + bytes((tail_of(keys[0]),))
        limits = claims.uses(self.theme.limits[chosen % len(self.theme.limits)], keys)
        expires_in_ms, unique = wanted.expires_in_ms if self.theme.expiry else 0, self.unique_of(wanted)
        kind = wanted.kind if self.theme.new_kinds else KINDS[0]
        made = job(
            wanted.queue,
            wanted.priority,
            kind,
            id=job_id,
            fairness_key=wanted.fairness_key,
            limits=limits,
            unique=unique,
        )
        made = msgspec.structs.replace(made, version=2 if limits or unique or expires_in_ms else 1)
        return Submission(made, delay_ms=HOUR_MS if wanted.later else None, expires_in_ms=expires_in_ms)

    def unique_of(self, wanted: Wanted) -> UniqueUse | None:
        return wanted.unique if self.theme.unique else None

    def stored(self, item: Submission, one: Known) -> None:
        """As it was submitted, anew or instead of one that waited."""
        one.job = msgspec.structs.replace(item.job, id=one.job.id)
        one.state = JobState.SCHEDULED if item.delay_ms else JobState.QUEUED
        one.expires_ms = self.clock.now_ms + item.expires_in_ms if item.expires_in_ms else 0
        self.known[one.job.id] = one
        one.waits = one.declined = False
        if one.state is JobState.QUEUED:
            self.joins(one)

    @rule(wanted=BATCHES)
    def submit(self, wanted: list[Wanted]) -> None:
        """All of them or none."""
        batch = [self.make(each, number) for number, each in enumerate(self.in_one_shard(wanted))]
        before = copy.deepcopy((self.known, self.claims, self.unique_keys))
        answers: list[Accepted] = []
        for number, item in enumerate(batch):
            rival = self.rival(item)
            if rival is not None:
                self.known, self.claims, self.unique_keys = before
                with pytest.raises(Duplicate) as caught:
                    self.run(self.cluster.store_client.producer.submit(batch))
                assert (caught.value.job_id, caught.value.index or 0) == (format_id(rival.job.id), number)
                return
            answers.append(self.accept(item))
        assert self.run(self.cluster.store_client.producer.submit(batch)) == answers

    @rule(wanted=BATCHES)
    def submit_more(self, wanted: list[Wanted]) -> None:
        """Else there are soon no jobs left that may start."""
        self.submit(wanted)

    def rival(self, item: Submission) -> Known | None:
        """The job that has its unique key, so that it is refused."""
        use = item.job.unique
        owner = self.owner(item.job.kind, use) if use is not None else None
        if use is None or owner is None or use.on_conflict in ("return", "debounce"):
            return None
        return owner if use.on_conflict == "reject" or self.has_started(owner) else None

    def accept(self, item: Submission) -> Accepted:
        """As it is, or for the job that has its unique key, whose place it takes or not."""
        use, kind = item.job.unique, item.job.kind
        owner = self.owner(kind, use) if use is not None else None
        if use is None or owner is None or (use.on_conflict == "debounce" and self.has_started(owner)):
            if use is not None:
                self.unique_keys.take(kind, use, item.job.id, self.clock.now_ms)
            self.stored(item, Known(item.job, JobState.QUEUED))
            return Accepted(item.job.id, self.known[item.job.id].state)
        if use.on_conflict != "return":
            self.replace(owner, item, use)
        return Accepted(owner.job.id, self.state_of(owner), deduplicated=True)

    def owner(self, kind: str, use: UniqueUse) -> Known | None:
        """The job that has the key, and holds it still."""
        holder = self.unique_keys.holder(uniqueness.name_of(kind, use))
        one = self.known[holder] if holder else None
        held = one.job.unique.holding if one is not None and one.job.unique is not None else ""
        if one is None or (held == "queued" and self.has_started(one)) or (held and self.has_expired(one)):
            return None
        return one

    def has_started(self, one: Known) -> bool:
        """Or never will."""
        return one.ran or self.state_of(one) not in WAITING

    def replace(self, owner: Known, item: Submission, use: UniqueUse) -> None:
        """Of one that was put off for too long already, the start is not put off again."""
        latest_ms = created_ms_of(owner.job.id) + use.max_wait_ms if use.max_wait_ms else None
        if item.delay_ms and latest_ms is not None and latest_ms <= self.clock.now_ms:
            item = msgspec.structs.replace(item, delay_ms=None)
        self.claims.release(owner.job, self.now_us, fresh=True)
        self.unique_keys.hold_as(owner.job.kind, use, self.clock.now_ms)
        self.stored(item, owner)

    # ------------------------------------------------------------------ what doors do to them

    def revive(self, one: Known, reset: bool) -> None:
        """A dead job takes its unique key again, or stays dead."""
        unique = one.job.unique
        if unique is None or not unique.holding or one.state is not JobState.DEAD:
            super().revive(one, reset)
            return
        rival = self.owner(one.job.kind, unique)
        if rival is None or rival is one:
            super().revive(one, reset)
            self.unique_keys.take(one.job.kind, unique, one.job.id, self.clock.now_ms)
            return
        with pytest.raises(Duplicate) as caught:
            self.run(self.cluster.store_client.producer.retry(one.job.id, reset_retry_count=reset))
        assert caught.value.job_id == format_id(rival.job.id)
