"""Planted bugs in the ticks of schedules."""

from __future__ import annotations

from typing import Any

from ironforge.job.record import new_id
from ironforge.redis.scripts import CLAIM_TICKS, FIRE
from ironforge.store.schedules import advance, claims, planning, ticking
from tests.system.verify.planting import edit

SECOND_MS = 1_000


def fire_from_anywhere() -> None:
    """Several are told of a tick at once, and each of them fires it, wherever its schedule is."""
    edit(CLAIM_TICKS, (" + again_ms", ""))
    edit(FIRE, ("where_now[at] ~= seen[at] or", ""))


def move_on_without_a_job() -> None:
    """The schedule moves on, its history says that a job started, and none is submitted."""
    edit(FIRE, ("kept > 0 and submit() or {}", "{}"))


def leave_a_tick_out() -> None:
    """After a tick comes the one after the next."""
    step = ticking.step

    def further(name: str, schedule: Any, *words: Any, **options: Any) -> Any:
        plan = step(name, schedule, *words, **options)
        following = plan.following and ticking.next_tick(name, schedule, plan.following.at_ms)
        return plan._replace(following=following)

    planning.step = further  # type: ignore[assignment]


def skip_without_a_word() -> None:
    """What was skipped is not in the history."""
    edit(FIRE, ("note_skipped(histories[at], words)", "local _ = words"))


def fire_a_second_early() -> None:
    """Also where the script is asked whether it is time."""
    edit(FIRE, ("fires[at] > now", f"fires[at] > now + {SECOND_MS}"))
    original = planning.plan

    def early(*words: Any) -> Any:
        planned = original(*words)
        return planned._replace(fires_ms=planned.fires_ms - SECOND_MS)

    claims.plan = early  # type: ignore[assignment]


def ignore_the_jitter() -> None:
    """Ticks fire at their times."""
    ticking.fire_ms = lambda _name, at_ms, _jitter: at_ms  # type: ignore[assignment]


def ignore_pauses() -> None:
    """They are stored, and change nothing."""
    step = ticking.step

    def on(*words: Any, **_: Any) -> Any:
        return step(*words)

    planning.step = on  # type: ignore[assignment]


def overlap_all_the_same() -> None:
    """A schedule whose ticks are to be skipped while a run goes on starts one beside it."""
    edit(FIRE, ("if where and where ~= 'd' then", "if false then"))


def queue_nothing() -> None:
    """A schedule whose runs are to wait for each other starts one beside the other."""
    advance.MOST_WAITING.clear()


def let_the_last_run_go_on() -> None:
    """A schedule whose new runs take the place of the last one starts one beside it."""
    original = planning.plan

    def beside(*words: Any) -> Any:
        return original(*words)._replace(ends=b"")

    claims.plan = beside  # type: ignore[assignment]


def name_jobs_anew() -> None:
    """The id of a tick's job does not follow from the tick."""
    planning.tick_id = lambda _name, _created_ms, _at_ms: new_id()  # type: ignore[assignment]


def fire_nothing() -> None:
    """No process sees to schedules."""
    edit(CLAIM_TICKS, ("now + ahead_ms, 'BYSCORE'", "-1, 'BYSCORE'"))
