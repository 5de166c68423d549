"""Schedules through lives of any kind, by a clock that a test moves: each tick starts one job, or is skipped for a
reason that the history says, and none starts before its time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ironforge.errors import JobNotFound
from ironforge.job.record import created_ms_of
from ironforge.redis import scripts
from ironforge.schedules.definition import CatchUp
from ironforge.store.schedules.claims import AGAIN_MS
from ironforge.store.schedules.contract import PastTick
from ironforge.store.schedules.shard import ScheduleShard
from tests.store.kit import Cluster
from tests.store.model import clock
from tests.store.model.planting import edit
from tests.store.schedules.kit import every, jobs, tick, ticker

pytestmark = pytest.mark.unmeasured
EXAMPLES = int(os.environ.get("IRONFORGE_MODEL_EXAMPLES", settings.default.max_examples // 5))
# Among so many a planted bug is found.
ENOUGH = 300
NAMES = st.sampled_from(["one", "two"])
SECONDS = st.sampled_from([60, 90])
POLICIES = st.sampled_from([CatchUp(), CatchUp("all", 600.0, 3), CatchUp("none"), CatchUp("latest", 120.0)])
OVERLAPS = st.sampled_from(["skip", "queue_one", "queue_all", "cancel_running", "allow"])


class Known:
    """What is expected of a schedule: so many of its ticks are over, the last of them at `until_ms`."""

    def __init__(self, seconds: int, now_ms: int) -> None:
        self.each_ms = seconds * 1000
        self.until_ms = now_ms
        self.over: list[int] = []
        self.not_ticks = 0

    def pass_to(self, now_ms: int) -> None:
        if now_ms > self.until_ms:
            self.over += range((self.until_ms // self.each_ms + 1) * self.each_ms, now_ms + 1, self.each_ms)
            self.until_ms = now_ms


class Schedules(RuleBasedStateMachine):
    """Doors and two tickers of one namespace."""

    url: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.cluster = Cluster(self.url)
        self.clock = clock.Clock(self.cluster.raw, [self.cluster.keys])
        self.doors = self.cluster.store_client.schedules
        self.tickers = [ticker(self.cluster) for _ in range(2)]
        self.known: dict[str, Known] = {}
        self.rows: dict[str, int] = {}

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @rule(name=NAMES, seconds=SECONDS, overlap=OVERLAPS, catch_up=POLICIES)
    def put(self, name: str, seconds: int, overlap: Any, catch_up: CatchUp) -> None:
        before = self.known.get(name)
        self.do(self.doors.put(name, every(float(seconds), start=None, overlap=overlap, catch_up=catch_up)))
        if before is None:
            self.known[name] = Known(seconds, self.clock.now_ms)
        elif before.each_ms != seconds * 1000:
            view = self.do(self.doors.get(name))
            before.each_ms = seconds * 1000
            started_ms = created_ms_of(view.last_job) if view.last_job else 0
            # By a clock that was put back what has been accounted for may come again, but for what was started.
            before.until_ms = max(self.clock.now_ms, started_ms if started_ms < (view.next_ms or 0) else 0)
            # What it has left before anything became of it is no tick any more.
            seen = [row for row in self.history(name) if row.outcome == "skipped" or not row.reason]
            before.over = [
                at_ms
                for at_ms in before.over
                if at_ms <= self.clock.now_ms or any(row.at_ms <= at_ms <= row.last_ms for row in seen)
            ]

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.known)))
        self.do(self.doors.delete(name))
        del self.known[name]

    @precondition(lambda self: self.known)
    @rule(data=st.data(), minutes=st.sampled_from([0, 2, 5]))
    def pause(self, data: st.DataObject, minutes: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.known)))
        until_ms = self.clock.now_ms + minutes * 60_000 if minutes else 0
        self.do(self.doors.pause(name, until_ms=until_ms))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        self.do(self.doors.resume(data.draw(st.sampled_from(sorted(self.known)))))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def trigger(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.known)))
        fired = self.do(self.doors.trigger(name))
        self.known[name].not_ticks += fired.outcome == "skipped"

    @precondition(lambda self: self.known)
    @rule(data=st.data(), minutes=st.integers(1, 5))
    def backfill(self, data: st.DataObject, minutes: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.known)))
        start = datetime(2026, 1, 1, tzinfo=UTC)
        filled = self.do(self.doors.backfill(name, start, start + timedelta(minutes=minutes), per_second=1e6))
        assert [at_ms % self.known[name].each_ms for at_ms, _ in filled] == [0] * len(filled)

    @rule(ms=st.sampled_from([500, 3_000, 20_000, 70_000, 400_000]))
    def later(self, ms: int) -> None:
        self.clock.advance(ms)
        for one in self.known.values():
            one.pass_to(self.clock.now_ms)

    @rule(ms=st.sampled_from([3_000, 100_000]))
    def the_clock_is_put_back(self, ms: int) -> None:
        self.clock.advance(-ms)

    @rule(number=st.integers(0, 1))
    def the_clock_is_put_back_under_one_that_was_told(self, number: int) -> None:
        self.do(self.tickers[number]._claims.claim())
        self.clock.advance(-100_000)
        self.do(self.tickers[number].tick())

    @rule(number=st.integers(0, 1))
    def one_fires_what_is_due(self, number: int) -> None:
        self.do(tick(self.tickers[number]))

    @rule(number=st.integers(0, 1))
    def one_is_told_and_waits(self, number: int) -> None:
        self.do(self.tickers[number]._claims.claim())

    @rule()
    def one_is_told_of_what_the_other_has_not_fired(self) -> None:
        self.do(self.tickers[0]._claims.claim())
        self.later(AGAIN_MS + 1)
        self.do(self.tickers[1]._claims.claim())

    @rule(number=st.integers(0, 1))
    def one_dies(self, number: int) -> None:
        self.tickers[number] = ticker(self.cluster)

    @rule()
    def jobs_end(self) -> None:
        for one in jobs(self.cluster):
            try:
                self.do(self.cluster.store_client.producer.cancel(one.id))
            except JobNotFound:  # it stood twice in what was read, as a job that moved
                continue

    @rule()
    def all_is_seen_to(self) -> None:
        """What others have been told of and have not fired comes again after a time."""
        horizon_ms = max([one.until_ms for one in self.known.values()], default=0)
        self.later(max(0, horizon_ms - self.clock.now_ms))
        for _ in range(2):  # what both have been told of long ago holds no longer, and comes again after that
            self.later(AGAIN_MS + 1)
            for one_ticker in self.tickers:
                self.do(tick(one_ticker))
        for name, one in self.known.items():
            rows = self.history(name)
            started = sorted(row.at_ms for row in rows if row.outcome == "started" and not row.reason)
            skipped = sum(row.ticks for row in rows if row.outcome == "skipped") - one.not_ticks
            assert len(set(started)) == len(started), f"{name} has started a tick twice: {started}"
            assert set(started) <= set(one.over), f"{name} has started what is no tick: {started}"
            assert len(started) + skipped == len(one.over), f"{name}: of {one.over} {rows}"

    @invariant()
    def none_is_early(self) -> None:
        for name in self.known:
            rows = self.history(name)
            for row in rows[: max(0, len(rows) - self.rows.get(name, 0))]:
                assert row.at_ms <= self.clock.now_ms or row.outcome == "skipped", f"{name} was early: {row}"
            self.rows[name] = len(rows)

    @invariant()
    def jobs_know_their_ticks(self) -> None:
        for one in jobs(self.cluster):
            assert one.tick is not None
            assert one.tick.schedule in ("one", "two")

    def history(self, name: str) -> list[PastTick]:
        return self.do(self.doors.history(name))

    def teardown(self) -> None:
        try:
            self.all_is_seen_to()
        finally:
            self.cluster.checked = False
            self.do(self.cluster.close())
            self.loop.close()


def live(server: str, begin: int | None = None, **options: Any) -> None:
    """`begin`: the seed of chance; another one each time when left out."""
    found = settings(**{"max_examples": EXAMPLES, "stateful_step_count": 30, **options})
    lives = type("OnServer", (Schedules,), {"url": server})
    run_state_machine_as_test(
        lives if begin is None else seed(begin)(lives),
        settings=settings(found, suppress_health_check=list(HealthCheck), deadline=None),
    )


@pytest.fixture(autouse=True)
def held_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    async def now_ms(self: ScheduleShard) -> int:
        seconds, micros = await self._connection.call("MGET", *clock.NAMES)
        return int(seconds) * 1000 + int(micros) // 1000

    clock.hold(monkeypatch)
    monkeypatch.setattr(ScheduleShard, "now_ms", now_ms)


def test_each_tick_starts_one_job_or_is_skipped_for_a_reason(server: str) -> None:
    live(server)


# What is left out, and a seed that meets it soon.
BUGS = {
    "fires from wherever a schedule is": ("where_now[at] ~= seen[at] or ", 7),
    "fires before the time": ("if fires[at] > now then return 'early' end", 8),
    "forgets what is skipped": ("if skips[at] ~= '' then skip(at, skips[at]) end", 7),
}


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(server: str, monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    left_out, begin = BUGS[bug]
    assert left_out in scripts.FIRE.text
    edit(monkeypatch, scripts.FIRE, left_out, "")
    with pytest.raises((AssertionError, ExceptionGroup)):
        live(server, begin, max_examples=ENOUGH, phases=[Phase.generate], database=None)
