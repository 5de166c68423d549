"""What the judge allows for where the machine's clock on the wall was set, on histories written by hand."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from ironforge.verify import verdict as promises
from ironforge.verify.account import Ended
from ironforge.verify.ledger import Ledger, read
from ironforge.verify.verdict import judge
from ironforge.verify.wall_clock import Reading, WallClock, watching_the_wall_clock
from tests.support.waiting import until
from tests.system.verify.histories import AGAIN, DONE, RUN, events

GOOD = {
    "it started when it was due by a clock that had been put forward": (f"wall 0|due 5|wall 2|wait 2|{RUN}", DONE),
    "it started when it was due by a clock that was set while it was submitted": (
        f"wall 0|due 5|wall 1|wait 2|wall 0|{RUN}",
        DONE,
    ),
    "its node lost its lease as the clock was put forward": (
        "submit_ok|wall 0|start 0|wall 30|start 1 @2|end 1 @2",
        Ended("completed", 1, 1, crashes=1),
    ),
}
BAD = {
    "it started before it was due by a clock that had been put forward": (
        f"wall 0|due 9|wall 2|wait 2|{RUN}",
        DONE,
        promises.EARLY,
    ),
    "it started before it was due by a clock that had been put back": (
        f"wall 0|due 5|wall -2|{RUN}",
        DONE,
        promises.EARLY,
    ),
    "it started before it was due by a clock that had been put forward before": (
        f"wall 0|wall 2|wall 2|due 5|{RUN}",
        DONE,
        promises.EARLY,
    ),
    "it ran again as the clock was put forward by little": (
        "submit_ok|wall 0|start 0|wall 2|start 1 @2|end 1 @2",
        AGAIN,
        promises.REPEATS,
    ),
}


def broken(text: str, final: Ended) -> list[tuple[str, str]]:
    verdict = judge(events(text), {"a": final}, completed_total=1, lease_seconds=1.0)
    return [(violation.promise, violation.job) for violation in verdict.violations]


@pytest.mark.parametrize(("text", "final"), GOOD.values(), ids=GOOD)
def test_what_is_right_by_the_clock_on_the_wall_passes(text: str, final: Ended) -> None:
    assert broken(text, final) == []


@pytest.mark.parametrize(("text", "final", "promise"), BAD.values(), ids=BAD)
def test_what_a_set_clock_does_not_explain_is_caught(text: str, final: Ended, promise: str) -> None:
    assert (promise, "a") in broken(text, final)


def test_only_what_was_set_in_a_stretch_of_time_counts() -> None:
    clock = WallClock([Reading(1.0, 0.0), Reading(1.1, 0.5), Reading(2.0, 0.5), Reading(2.1, -0.5)])

    assert (clock.gained(0.0, 3.0), clock.lost(0.0, 3.0)) == (0.5, 1.0)
    assert (clock.gained(1.05, 1.5), clock.lost(1.05, 1.5)) == (0.5, 0.0)
    assert (clock.gained(1.5, 3.0), clock.lost(1.5, 3.0)) == (0.0, 1.0)
    assert (clock.gained(2.2, 3.0), clock.lost(2.2, 3.0)) == (0.0, 0.0)
    assert list(clock.leaps()) == [(1.0, 1.1), (2.0, 2.1)]


def test_a_clock_that_is_set_by_a_lot_is_told_in_the_figures_and_is_no_fault_of_ours() -> None:
    verdict = judge(events(f"wall 0|wall 30|submit_ok|{RUN}"), {"a": DONE}, completed_total=1)

    assert verdict.clock_set == 1
    assert verdict.faults == {}


async def test_the_ledger_is_told_when_the_clock_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_time = time.time
    ledger = Ledger(tmp_path / "run.ledger")

    async with watching_the_wall_clock(ledger):
        await asyncio.sleep(0)
        monkeypatch.setattr("ironforge.verify.wall_clock.time.time", lambda: true_time() + 7.0)
        await until(lambda: len(read(tmp_path)) > 2, "the watch to see it")
    ledger.close()

    first, before, after, *_ = read(tmp_path)
    assert {event.what for event in (first, before, after)} == {"wall"}
    assert first.seconds == 0.0
    assert after.seconds - before.seconds == pytest.approx(7.0, abs=0.5)
