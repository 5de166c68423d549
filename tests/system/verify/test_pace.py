"""What the judge allows for where the machine is slow, on histories written by hand."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ironforge.verify import verdict as promises
from ironforge.verify.account import Ended
from ironforge.verify.ledger import Event, Ledger, read
from ironforge.verify.pace import Delay, Pace, watching_the_pace
from ironforge.verify.verdict import judge
from tests.support.waiting import until
from tests.system.verify.histories import events

TAKEN_OVER_LATE = "submit_ok|other @2|over @2|start 0|kill|wait 26|start 1 @2|end 1 @2"


def late_by(*seconds: float) -> list[str]:
    """Of a job whose node was killed, where timers were late so often while it waited to start again."""
    delays = [Event(1.0 + 0.3 * number, "late", seconds=each) for number, each in enumerate(seconds)]
    history = sorted([*events(TAKEN_OVER_LATE), *delays], key=lambda event: event.at)
    verdict = judge(history, {"a": Ended("completed", 1, 1, crashes=1)}, completed_total=1, lease_seconds=1.0)
    return [violation.promise for violation in verdict.violations if violation.job == "a"]


def test_only_what_was_lost_in_a_stretch_of_time_counts() -> None:
    pace = Pace([Delay(1.0, 0.5), Delay(2.0, 0.25), Delay(3.0, 0.125)])

    assert pace.lost(1.5, 1.9) == 0.25  # which began in it
    assert pace.lost(0.0, 9.0) == 0.875
    assert pace.lost(3.5, 9.0) == 0.0
    assert pace.lost(0.9, 1.0) == pytest.approx(0.1)  # no more than there was


def test_a_take_over_may_take_longer_by_what_the_machine_had_for_others() -> None:
    assert late_by() == [promises.IN_TIME]
    assert late_by(0.01) == [promises.IN_TIME]
    assert late_by(0.1, 0.2, 0.1) == []


async def test_the_ledger_is_told_when_timers_are_late(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "run.ledger")

    async with watching_the_pace(ledger):
        await until(lambda: time.sleep(0.1) or read(tmp_path), "a timer to be late")
    ledger.close()

    assert {event.what for event in read(tmp_path)} == {"late"}
