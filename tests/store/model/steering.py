"""The part of the model in which handlers and operators have a say in limits: targets throttle, runs use more or less
than their jobs said, and for some time other bounds hold than those of the code."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ironforge.job.limits import LimitUse, Override, throttled_mark
from ironforge.job.record import JobState
from ironforge.store import Adjustment, Delivery, Rewrite
from tests.store.kit import HOUR_MS, Node, completed, job_in, stream_of
from tests.store.model.doors import NUMBERS, Known, has_jobs
from tests.store.model.taking import Taking

# Of a fifo limit one job of a key runs, whatever an operator says.
OVERRIDDEN = ("one", "two", "newest", "oldest")


class Steering(Taking):
    # ------------------------------------------------------------------ handlers

    @precondition(has_jobs)
    @rule(number=NUMBERS, which=st.integers(0, 2), ms=st.sampled_from([1, HOUR_MS]))
    def throttle(self, number: int, which: int, ms: int) -> None:
        """A handler raises that a target throttles: its job goes back into line, in front, and the key stops."""
        if (found := self.of_one_that_runs(number, which)) is None:
            return
        node, delivery, use = found
        self.held[self.nodes.index(node)].remove(delivery)
        mark = throttled_mark({use: ms})
        again = job_in(delivery).again()
        self.run(node.work.park([Rewrite.of(*delivery[:2], again, delay_ms=ms, failed=False, throttled=mark)]))
        one = self.of(delivery)
        if one.cancel_asked:
            self.becomes(one, JobState.CANCELLED)
            return
        self.claims.stops.throttle(use.claim, self.now_us + ms * 1000)
        self.stands_back(one)

    def stands_back(self, one: Known) -> None:
        self.becomes(one, JobState.QUEUED)
        one.alone = False
        self.claims.release(one.job, keeping=self.claims.keeps(one.job, dead=False))
        self.joins(one)

    @precondition(has_jobs)
    @rule(number=NUMBERS, which=st.integers(0, 2), ms=st.sampled_from([1, HOUR_MS]), ends=st.booleans())
    def say_that_a_target_throttles(self, number: int, which: int, ms: int, ends: bool) -> None:
        """And go on, or end: then no job may be left that uses the key."""
        if found := self.of_one_that_runs(number, which):
            node, delivery, use = found
            self.run(node.work.adjust([Adjustment(stream_of(delivery), use.claim, throttled_ms=ms)]))
            self.claims.stops.throttle(use.claim, self.now_us + ms * 1000)
            if ends:
                self.held[self.nodes.index(node)].remove(delivery)
                self.run(node.work.settle([completed(delivery)]))
                self.becomes(self.of(delivery), JobState.COMPLETED)

    @precondition(has_jobs)
    @rule(number=NUMBERS, which=st.integers(0, 2), units=st.sampled_from([-2, -1, 1, 9]))
    def use_more_or_less(self, number: int, which: int, units: int) -> None:
        if found := self.of_one_that_runs(number, which):
            node, delivery, use = found
            self.run(node.work.adjust([Adjustment(stream_of(delivery), use.claim, units=units)]))
            if self.claims.limits[use.name].rate is not None:
                self.claims.correct(use, units, self.now_us)

    def of_one_that_runs(self, number: int, which: int) -> tuple[Node, Delivery, LimitUse] | None:
        """One of its limits."""
        if (taken := self.take(number)) is None:
            return None
        node, delivery = taken
        self.held[self.nodes.index(node)].append(delivery)
        limits = job_in(delivery).limits
        return (node, delivery, limits[which % len(limits)]) if limits else None

    # ------------------------------------------------------------------ operators

    @rule(number=NUMBERS, most=st.integers(0, 3), for_ms=st.sampled_from([0, 1_000, HOUR_MS]))
    def override(self, number: int, most: int, for_ms: int) -> None:
        """Or, with none, take back what was said."""
        names = [name for name in self.claims.limits if name in OVERRIDDEN]
        if not names:
            return
        name = names[number % len(names)]
        override = Override(most, until_ms=self.clock.now_ms + for_ms if for_ms else 0) if most else None
        self.run(self.cluster.store_client.limits.override(name, override))
        self.claims.overrides[name] = override

    @precondition(has_jobs)
    @rule(number=NUMBERS)
    def resume(self, number: int) -> None:
        """A key that is stopped, if there is any."""
        uses = {use for one in self.known.values() for use in one.job.limits}
        stopped = {use for use in uses if self.claims.stops.until_us[use.claim] > self.now_us}
        if names := sorted({(use.name, use.key) for use in stopped or uses}):
            self.let_go_on(*names[number % len(names)])

    def let_go_on(self, name: str, key: str) -> None:
        """Dead jobs are waited for no longer, and a key that is stopped goes on."""
        self.run(self.cluster.store_client.limits.resume(name, key))
        claim = LimitUse(name, key).claim
        holders = self.claims.holders[claim]
        for job_id in [one for one in holders if self.known[one].state is JobState.DEAD]:
            del holders[job_id]
        self.claims.go_on(name, claim, self.now_us)

    @rule(node=st.integers(0, 9))
    def audit(self, node: int) -> None:
        """Nothing is to be mended. Of a key that no job uses it is forgotten that its target throttled."""
        assert self.run(self.nodes[node % len(self.nodes)].work.audit_limits()) == 0
        probes = [claim for keys in self.keys_by_shard for claim in self.cluster.raw.zrange(keys.probes, 0, -1)]
        known = {claim.decode() for claim in probes}
        assert self.claims.stops.forget(known, self.now_us) == []
