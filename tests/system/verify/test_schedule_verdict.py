"""What the judge says of schedules, on histories written by hand."""

from __future__ import annotations

from typing import get_args

import pytest

from ironforge.job.record import format_id
from ironforge.job.request import JobRequest
from ironforge.job.unique_option import Unique
from ironforge.schedules.definition import GRACE_MS, CatchUp, Overlap
from ironforge.schedules.ticks import fire_ms
from ironforge.store.schedules.contract import Pause
from ironforge.verify.schedules import verdict as promises
from ironforge.verify.schedules.life import MOST_ROWS
from ironforge.verify.schedules.load import SCHEDULES
from ironforge.verify.schedules.verdict import STALL_MS
from tests.system.verify.schedule_histories import BEGAN, Watched, job, run_of, skip, start, stored

LONG = STALL_MS + GRACE_MS

# --------------------------------------------------------------------------- each tick once


def test_ticks_that_start_or_are_skipped_for_a_reason_are_right() -> None:
    said = stored(overlap="skip")

    assert Watched(said).see(3100, 4000, start(1000), skip(2000, 3000, 2, "overlap")).broken() == []


def test_a_history_that_goes_on_in_its_last_entry_is_right() -> None:
    watched = Watched(stored(overlap="skip")).see(2100, 3000, start(1000), skip(2000, 2000, 1, "overlap"))
    watched.rows[0] = skip(2000, 3000, 2, "overlap")

    assert watched.see(3100, 4000).broken() == []


def test_a_tick_that_is_passed_without_a_word_is_caught() -> None:
    assert Watched().see(2100, 3000, start(2000)).broken() == [promises.ONCE]


def test_a_tick_that_starts_twice_is_caught() -> None:
    assert Watched().see(1100, 2000, start(1000), start(1000)).broken() == [promises.ONCE]
    assert Watched().see(1100, 2000, start(1000), start(1000, late=3)).broken() == [promises.ONCE]


def test_a_tick_that_starts_and_is_skipped_is_caught() -> None:
    said = stored(overlap="skip")

    assert Watched(said).see(1100, 2000, start(1000), skip(1000, 1000, 1, "overlap")).broken() == [promises.ONCE]


def test_an_entry_that_counts_wrongly_is_caught() -> None:
    said = stored(overlap="skip")

    assert Watched(said).see(2100, 3000, skip(1000, 2000, 3, "overlap")).broken() == [promises.ONCE]


def test_a_run_out_of_turn_that_was_refused_counts_in_the_entry() -> None:
    watched = Watched(stored(overlap="skip")).see(1900, 2000, skip(1000, 1800, 2, "overlap"))

    assert watched.broken(refused={"s": 1}) == []


def test_one_that_was_refused_before_a_late_tick_is_no_skip_of_that_tick() -> None:
    """In between another one was asked for out of turn, and started."""
    rows = [skip(1000, 2010, 2, "overlap"), start(2020, reason="trigger"), skip(2000, 2000, 1, "overlap")]
    watched = Watched(stored(overlap="skip")).see(2100, 3000, *rows)

    assert watched.broken(refused={"s": 1}) == []


def test_one_that_was_refused_before_late_ticks_takes_none_of_them_out_of_their_entry() -> None:
    """Another one was asked for out of turn in between, and started: so they have an entry of their own."""
    rows = [skip(2500, 2500, 1, "overlap"), start(2600, reason="trigger"), skip(2000, 4000, 3, "overlap")]
    watched = Watched(stored(overlap="skip")).see(4100, 5000, start(1000), *rows)

    assert watched.broken(refused={"s": 1}) == []


def test_an_entry_into_which_a_later_one_was_taken_is_no_entry_any_more() -> None:
    """One that was refused between two ticks, before the first of them had fired: the entry begins earlier then."""
    watched = Watched(stored(overlap="skip")).see(2150, 2000, start(1000), skip(2100, 2100, 1, "overlap"))
    watched.rows = watched.rows[1:]
    watched.see(4100, 5000, skip(2000, 4000, 4, "overlap"))
    assert watched.broken(refused={"s": 3}) == []


@pytest.mark.parametrize("reason", ["overlap", "paused", "redefined", "missed", "duplicate", "store_refused"])
def test_a_reason_that_its_policies_do_not_allow_is_caught(reason: str) -> None:
    assert Watched().see(1100, 2000, skip(1000, 1000, 1, reason)).broken() == [promises.ONCE]


def test_a_duplicate_is_a_reason_where_its_jobs_have_a_unique_key() -> None:
    said = stored(job=JobRequest(kind="k", unique=Unique("u", on_conflict="reject")))

    assert Watched(said).see(1100, 2000, skip(1000, 1000, 1, "duplicate")).broken() == []


def test_more_than_a_history_holds_between_two_looks_is_not_judged_as_right() -> None:
    rows = [start(1000 * number) for number in range(1, MOST_ROWS + 1)]

    assert Watched().see(100_100, 101_000, *rows).broken() == [promises.ONCE]


def test_what_nothing_fires_is_caught() -> None:
    assert Watched().see(100, 1000).broken(overdue=["s"]) == [promises.ONCE]


def test_a_schedule_that_has_lost_its_place_is_caught() -> None:
    watched = Watched().see(100, 1000)
    watched.life.next = None

    assert watched.broken() == [promises.ONCE]


# --------------------------------------------------------------------------- a new definition


def redefined(*rows: bytes) -> Watched:
    """Every two seconds since 2.5 s."""
    return Watched().see(2100, 3000, start(1000), start(2000)).says(stored(2.0, at=2500)).see(4100, 6000, *rows)


def test_a_new_definition_says_what_its_ticks_are_from_then_on() -> None:
    assert redefined(start(4000)).broken() == []


def test_a_tick_of_the_old_one_is_none_any_more() -> None:
    assert redefined(start(3000), start(4000)).broken() == [promises.NO_TICK]


def test_what_was_due_of_the_old_one_is_skipped() -> None:
    watched = Watched().see(1100, 2000, start(1000)).says(stored(2.0, at=2500))

    assert watched.see(4100, 6000, skip(2000, 2000, 1, "redefined"), start(4000)).broken() == []


def test_where_the_clock_went_back_another_definition_may_start_what_the_first_one_skipped() -> None:
    watched = Watched().see(60_000, 61_000, skip(1000, 60_000, 60, "missed")).says(stored(2.0, at=2500))

    assert watched.see(4100, 6000, start(4000)).broken() == []


# --------------------------------------------------------------------------- jobs


def test_a_start_at_another_time_is_caught() -> None:
    assert Watched().see(1600, 2000, start(1000), start(1500)).broken() == [promises.NO_TICK]


def test_waiting_for_another_time_is_caught() -> None:
    assert Watched().see(1100, 1500, start(1000)).broken() == [promises.NO_TICK]


def test_another_job_than_that_of_the_tick_is_caught() -> None:
    assert Watched().see(1100, 2000, start(1000, job_id=job(7))).broken() == [promises.NO_TICK]


def test_another_job_stands_for_that_of_a_tick_with_its_unique_key() -> None:
    said = stored(job=JobRequest(kind="k", unique=Unique("u")))

    assert Watched(said).see(2100, 3000, start(1000), start(2000, job_id=job(1000))).broken() == []


def test_a_job_that_runs_and_that_nothing_started_is_caught() -> None:
    watched = Watched().see(1100, 2000, start(1000)).ran(run_of(1000, 1, 2), run_of(1500, 2, 3))

    assert watched.broken() == [promises.NO_TICK]
    assert watched.broken(out_of_turn=[format_id(job(1500))]) == []
    assert watched.broken(unsure=["s"]) == []


def test_a_tick_may_have_started_its_job_between_the_last_look_and_the_end_of_its_schedule() -> None:
    watched = Watched().see(1900, 2000, start(1000)).ran(run_of(2000, 2, 3))
    watched.life.gone_ms = BEGAN + 2100

    assert watched.broken() == []


# --------------------------------------------------------------------------- when


def test_a_start_that_is_seen_before_its_time_is_caught() -> None:
    assert Watched().see(900, 2000, start(1000)).broken() == [promises.EARLY]


def test_one_that_is_seen_early_after_the_clock_leapt_is_not() -> None:
    assert Watched().see(900, 2000, start(1000), even=False).broken() == []


def test_a_start_before_its_jitter_is_over_is_caught() -> None:
    said = stored(jitter_seconds=3.0)
    fires = fire_ms("s", BEGAN + 1000, 3.0) - BEGAN

    assert Watched(said).see(fires - 1, 2000, start(1000)).broken() == [promises.EARLY]
    assert Watched(said).see(fires, 2000, start(1000)).broken() == []


@pytest.mark.parametrize(
    ("catch_up", "ticks", "broken"),
    [
        (CatchUp(), 1, []),
        (CatchUp(), 2, [promises.CATCH_UP]),
        (CatchUp("none"), 1, [promises.CATCH_UP]),
        (CatchUp("all"), 4, []),
        (CatchUp("all", most=2), 2, []),
        (CatchUp("all", most=2), 3, [promises.CATCH_UP]),
        (CatchUp("all", window_seconds=1.0), 1, [promises.CATCH_UP]),
    ],
)
def test_what_is_caught_up_with(catch_up: CatchUp, ticks: int, broken: list[str]) -> None:
    """So many of those that were missed start when all was over, the first of them last to be missed or before."""
    now = LONG + 1001 + 1000 * ticks
    started = [start(1000 * tick, late=now - 1000 * tick) for tick in range(2, ticks + 2)]
    watched = Watched(stored(catch_up=catch_up)).see(now, 1000 * (ticks + 2), skip(1000, 1000, 1, "missed"), *started)

    assert list(dict.fromkeys(watched.broken())) == broken


def test_what_was_not_late_was_not_missed() -> None:
    rows = [skip(1000, 1000, 1, "missed")]

    assert Watched().see(1000 + GRACE_MS - 1, 2000, *rows).broken() == [promises.ONCE]
    assert Watched().see(1000 + GRACE_MS, 2000, *rows).broken() == []


def paused(*rows: bytes) -> Watched:
    """From 1.5 s on."""
    watched = Watched().see(1100, 2000, start(1000))
    return watched.says(stored(pause=Pause(since_ms=BEGAN + 1500))).see(1600, 2000).see(2600, 3000, *rows)


def test_ticks_of_a_pause_are_skipped() -> None:
    assert paused(skip(2000, 2000, 1, "paused")).broken() == []


def test_a_start_in_a_pause_is_caught() -> None:
    assert paused(start(2000)).broken() == [promises.PAUSED]


def test_a_start_after_a_pause_of_a_tick_in_it_is_caught() -> None:
    assert paused().says(stored()).see(2900, 3000, start(2000)).broken() == [promises.PAUSED]


def test_a_time_that_comes_again_comes_without_its_pauses() -> None:
    assert paused().says(stored()).see(1700, 2000).see(2100, 3000, start(2000)).broken() == []


# --------------------------------------------------------------------------- overlap


def test_schedules_of_every_policy_are_part_of_a_run() -> None:
    assert {schedule.overlap for schedule in SCHEDULES.values()} == {*get_args(Overlap)}


def two_runs(overlap: Overlap, *second: float, first_until: float = 4.0) -> list[str]:
    watched = Watched(stored(overlap=overlap)).see(1100, 2000, start(1000)).see(2100, 3000, start(2000))
    return watched.ran(run_of(1000, 1.1, first_until), run_of(2000, *second)).broken()


@pytest.mark.parametrize("overlap", ["skip", "queue_one", "queue_all"])
def test_two_runs_at_once_are_caught(overlap: Overlap) -> None:
    assert two_runs(overlap, 2.1, 5) == [promises.OVERLAP]
    assert two_runs(overlap, 4.0, 5) == []


def test_two_runs_at_once_are_right_where_it_says_so() -> None:
    assert two_runs("allow", 2.1, 5) == []


def test_a_run_that_goes_on_although_it_was_to_be_replaced_is_caught() -> None:
    told = 2.6 + promises.TOLD_SECONDS

    assert two_runs("cancel_running", 2.7, 5, first_until=told) == []
    assert two_runs("cancel_running", 2.7, 5, first_until=told + 0.1) == [promises.OVERLAP]
