"""The part of the model that ends what was begun: nodes decline what they do not know, and start none that has expired;
and when all may run, nothing is left."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ironforge.job.expiry import is_expired
from ironforge.job.record import JobState
from ironforge.store import Delivery
from tests.store.declining import declined
from tests.store.expiring import look_again
from tests.store.kit import Node, completed, job_in, retry
from tests.store.model.claims import UNITS
from tests.store.model.doors import ENDED, NUMBERS, Known, has_jobs
from tests.store.model.steering import Steering
from tests.store.model.submitting import HOUR_MS
from tests.store.model.taking import KNOWN_KINDS
from tests.store.snapshot import Snapshot

UNSERVED_SECONDS = 120


class Flow(Steering):
    def __init__(self) -> None:
        super().__init__()
        self.cluster.with_settings(unserved_seconds=UNSERVED_SECONDS)

    def take(self, number: int) -> tuple[Node, Delivery] | None:
        """A node declines what it does not know, and ends what has expired before it was started."""
        taken = super().take(number)
        if taken is None:
            return None
        node, delivery = taken
        one = self.of(delivery)
        if one.job.kind not in self.kinds[self.nodes.index(node)]:
            self.run(node.work.decline([declined(delivery)]))
            self.waits_for_its_kind(one)
            return None
        if is_expired(job_in(delivery), self.clock.now_ms):
            self.run(node.work.settle([completed(delivery, state="expired")]))
            self.becomes(one, JobState.CANCELLED)
            return None
        return taken

    def waits_for_its_kind(self, one: Known) -> None:
        """It has not started. A fifo key waits for it: another one would overtake it."""
        if one.cancel_asked:
            self.becomes(one, JobState.CANCELLED)
            return
        one.state, one.declined, one.waits = JobState.QUEUED, True, bool(one.job.limits)
        one.fence -= 1
        self.claims.release(one.job, self.now_us, fresh=not one.ran, keeping=self.claims.is_fifo(one.job))

    @rule(node=st.integers(0, 9))
    def promote(self, node: int) -> None:
        """And what has expired is cancelled."""
        look_again(self.cluster, *(one.job for one in self.known.values()))
        super().promote(node)
        for one in self.known.values():
            if self.has_expired(one):
                assert self.location(one) == b""
                self.becomes(one, JobState.CANCELLED)

    @precondition(lambda self: any(one.state is JobState.SCHEDULED for one in self.known.values()))
    @rule(node=st.integers(0, 9))
    def promote_what_is_scheduled(self, node: int) -> None:
        self.promote(node)

    @precondition(has_jobs)
    @rule(number=NUMBERS)
    def snooze(self, number: int) -> None:
        if taken := self.take(number):
            node, delivery = taken
            self.run(node.work.park([retry(delivery, HOUR_MS)._replace(failed=False)]))
            one = self.of(delivery)
            self.becomes(one, JobState.CANCELLED if one.cancel_asked else JobState.SCHEDULED)

    @precondition(has_jobs)
    @rule(number=NUMBERS)
    def bury(self, number: int) -> None:
        """More often than all that a node may do is needed for those that died to meet."""
        self.put_aside(number, "bury")

    @precondition(has_jobs)
    @rule(number=NUMBERS)
    def put_aside_and_bring_back(self, number: int) -> None:
        """One that a node cannot read, and another one can."""
        if (taken := self.take(number)) is None:
            return
        node, delivery = taken
        self.run(node.work.bury_raw(delivery, "newer"))
        other = self.nodes[number % len(self.nodes)]
        assert self.run(other.work.restore()) == 1
        one = self.of(delivery)
        self.claims.release(one.job, self.now_us, fresh=not one.ran)
        one.state, one.cancel_asked = JobState.QUEUED, False
        one.fence -= 1
        one.alone = one.alone and not one.job.limits
        self.joins(one)

    @rule(node=st.integers(0, 9))
    def fetch_many(self, node: int) -> None:
        self.fetch(node, 10)

    def unserved(self) -> list[Known]:
        """Jobs whose kind no node knows."""
        known = {kind for kinds in self.kinds for kind in kinds}
        return [one for one in self.known.values() if one.declined and one.job.kind not in known]

    @precondition(lambda self: self.unserved())
    @rule(node=st.integers(0, 9))
    def give_up(self, node: int) -> None:
        """More often than others are watched for in vain."""
        self.watch_for_long(node)

    @rule(node=st.integers(0, 9))
    def watch_for_long(self, node: int) -> None:
        """Those that no node served for so long are dead."""
        for _ in range(1 + UNSERVED_SECONDS // 60):  # a longer gap between two looks counts for a minute
            self.pass_time(60_000)
            self.run(self.nodes[node % len(self.nodes)].work.bury_unserved())
        for one in self.unserved():
            self.becomes(one, JobState.DEAD)

    # ------------------------------------------------------------------ what always holds

    def check_shards(self, shards: list[Snapshot]) -> None:
        """Places and unique keys are held by those that may, and rates are used up as far as jobs used them."""
        super().check_shards(shards)
        holders: dict[str, set[bytes]] = {}
        unique: dict[str, bytes] = {}
        used: dict[str, int] = {}
        for keys, seen in zip(self.keys_by_shard, shards, strict=True):
            holders |= {claim: set(ids) for claim, ids in seen.family(keys.holders).items()}
            unique |= {name: ids[0] for name, ids in seen.family(keys.unique).items()}
            used |= {claim: int(until) for claim, until in seen.family(keys.tat).items() if int(until) > self.now_us}
        assert used == self.claims.used_until(self.now_us)
        assert holders == self.claims.holding()
        assert unique == self.unique_keys.all()

    # ------------------------------------------------------------------ coming to rest

    def come_to_rest(self) -> None:
        """With all queues, a node that knows all kinds, and time: every job ends, and nothing is left of any."""
        if not self.nodes:
            return
        self.join_with(KNOWN_KINDS[0])
        for queue in "ab":
            self.pause(queue, paused=False)
        rounds = range(10 + 3 * len(self.known))
        assert any(not self.goes_on(len(self.nodes) - 1) for _ in rounds)
        assert {self.known[one].state for one in self.known} <= {JobState.DEAD, *ENDED}
        self.nothing_is_left()

    def goes_on(self, last: int) -> bool:
        """Whether a job has ended, or come nearer to it."""
        before = [(one.state, one.declined) for one in self.known.values()]
        while any(self.held):
            self.settle(0, twice=False)
        for name in self.claims.limits:
            for key in UNITS:
                self.let_go_on(name, key)
        self.pass_time(2 * HOUR_MS)  # by then what was used up of a rate is worked off
        self.promote(last)
        self.fetch(last, 50)
        self.fetch_alone(last)
        return before != [(one.state, one.declined) for one in self.known.values()] or any(self.held)

    def nothing_is_left(self) -> None:
        self.audit(0)
        shards = self.cluster.check()
        left = [
            key.removeprefix(keys.prefix)
            for keys, seen in zip(self.keys_by_shard, shards, strict=True)
            for key in seen.left_ms
        ]
        names = {key.partition(":")[0] for key in left}
        lines = {"holders", "line", "inuse", "behind", "fair", "turns", "room"}
        gone = lines | {"declined", "unserved", "expiries"}
        assert names & gone == set()
        assert [seen.pending for seen in shards if seen.pending] == []
        for one in self.known.values():
            assert self.run(self.cluster.state(one.job)) == one.state
