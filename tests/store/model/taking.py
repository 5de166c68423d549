"""The part of the model in which nodes that know some kinds take jobs as limits let them, and full ones make way."""

from __future__ import annotations

from ironforge.job.limits import LIMIT_FULL
from ironforge.job.record import JobState, is_alone, shard_of
from ironforge.redis.keys import Keys
from ironforge.store import Delivery
from tests.store.model.claims import LOOK_US
from tests.store.model.doors import Known
from tests.store.model.submitting import WAITING, Doors
from tests.store.test_kinds import announced

# What nodes know that join one after the other, of which two are there: at times none knows all.
KNOWN_KINDS = (("k", "new"), ("k",), ("k",), ("k", "new"), ())


class Taking(Doors):
    def __init__(self) -> None:
        super().__init__()
        self.kinds: list[tuple[str, ...]] = []

    def join(self) -> None:
        self.join_with(KNOWN_KINDS[len(self.epochs) % len(KNOWN_KINDS)])

    def join_with(self, kinds: tuple[str, ...]) -> None:
        node = self.run(self.cluster.node(announced(*kinds)))
        self.epochs.append(node.lease.epoch)
        self.nodes.append(node)
        self.held.append([])
        self.kinds.append(kinds)

    def depart(self, number: int, *, crashed: bool) -> None:
        del self.kinds[number]
        super().depart(number, crashed=crashed)

    # ------------------------------------------------------------------ taking

    def given(self, number: int, deliveries: list[Delivery]) -> None:
        """Those that were let in hold all that they claim now, and a key no more than it may, when others made way."""
        let_in = [one for one in self.known.values() if one.waits and self.was_let_in(one)]
        # One that had its fifo key already overtakes none, not even those that were revived since.
        took = [one for one in let_in if not self.claims.has_fifo_key(one.job)]
        for one in let_in:
            assert one.state is JobState.QUEUED
            one.waits = one.declined = False
            self.claims.admit(one.job, self.now_us)
            if self.location(one):  # else it has made way again, and never starts
                self.claims.start(one.job, self.now_us)
        self.notice_those_that_made_way(let_in)
        for one in self.known.values():
            if one.waits and self.has_stepped_aside(one):
                self.claims.step_aside(one.job, self.now_us)
        for one in let_in:
            assert self.claims.above(one.job.limits, self.now_us) == []
        for one in took:
            assert [other.job.text_id for other in self.known.values() if self.is_overtaken(other, one)] == []
        for delivery in deliveries:
            one = self.of(delivery)
            assert one.job.queue not in self.paused
            assert one.alone is is_alone(delivery[0])
            assert not one.waits
        super().given(number, deliveries)

    def check_given(self, number: int, waiting: list[Known], deliveries: list[Delivery], want: int) -> None:
        """None only if there is none: whoever can run is offered to a node that asks."""
        assert len(deliveries) <= want
        if not deliveries:
            assert [one for one in waiting if self.could_start(one, number)] == []

    def could_start(self, one: Known, number: int) -> bool:
        if one.state is not JobState.QUEUED or (one.declined and one.job.kind not in self.kinds[number]):
            return False
        return not one.waits or not any(self.claims.closed(one.job, self.now_us - ago) for ago in (0, LOOK_US))

    def location(self, one: Known) -> bytes:
        found: bytes | None = self.cluster.raw.hget(self.keys_of(one).index, one.job.id)
        return found or b""

    def keys_of(self, one: Known) -> Keys:
        return self.keys_by_shard[shard_of(one.job.id, self.shards)]

    def was_let_in(self, one: Known) -> bool:
        """Also one that made way again at once."""
        return self.location(one)[:1] in (b"q", b"c", b"p") or (
            not self.location(one) and self.reason(one) != LIMIT_FULL
        )

    def has_stepped_aside(self, one: Known) -> bool:
        """It holds a fifo key and stands in the line of another limit."""
        holders = [use.claim for use in one.job.limits if self.claims.limits[use.name].order == "fifo"]
        mine = [claim for claim in holders if one.job.id not in self.claims.holders[claim]]
        return any(self.cluster.raw.zscore(self.keys_of(one).holders(claim), one.job.id) is not None for claim in mine)

    def reason(self, one: Known) -> str:
        """Why it was cancelled, if it was."""
        return self.run(self.cluster.store_client.inspector.get(one.job.id)).job.reason

    def is_overtaken(self, other: Known, by: Known) -> bool:
        """Among those of a queue and priority."""
        fifo = {use.claim for use in by.job.limits if self.claims.limits[use.name].order == "fifo"}
        same = fifo & {use.claim for use in other.job.limits} and other.job.stream == by.job.stream
        return bool(same) and other.waits and other.since_us < by.since_us

    # ------------------------------------------------------------------ making way

    def notice_those_that_made_way(self, let_in: list[Known]) -> None:
        """For a full key: the new one, or one that has held it for longest."""
        policies = {"newest": "cancel_new", "oldest": "cancel_oldest"}
        for one in sorted(self.known.values(), key=lambda one: self.claims.since_us(one.job)):
            names = {use.name for use in one.job.limits} & set(policies)
            if not names or one.state not in (*WAITING, JobState.RUNNING) or one.cancel_asked:
                continue
            location = self.location(one)
            if location and location[:1] != b"p":
                continue
            assert self.has_to_make_way(one, let_in)
            one.cancel_asked = True
            if not location:
                self.becomes(one, JobState.CANCELLED)

    def has_to_make_way(self, one: Known, let_in: list[Known]) -> bool:
        if self.reason(one) == LIMIT_FULL:
            return one.waits and any(use.name == "newest" for use in self.claims.closed(one.job, self.now_us))
        others = [*let_in, *(other for other in self.known.values() if other.waits)]
        wanted = {use.claim for other in others for use in other.job.limits if other is not one}
        return any(
            self.is_oldest(one, use.claim) for use in one.job.limits if use.name == "oldest" and use.claim in wanted
        )

    def is_oldest(self, one: Known, claim: str) -> bool:
        """Of the holders that are to go on."""
        holders = self.claims.holders[claim]
        staying = [since for job_id, since in holders.items() if not self.known[job_id].cancel_asked]
        return one.job.id in holders and holders[one.job.id] == min(staying)
