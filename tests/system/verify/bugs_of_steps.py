"""Planted bugs in steps, sleeps and events."""

from __future__ import annotations

from typing import Any

from ironforge.redis.scripts import RECORD, WAIT, WAKE
from ironforge.store.steps.recorder import Recorder
from tests.system.verify.planting import edit


def forget_what_was_recorded() -> None:
    """A run does not look at what others have recorded."""

    async def nothing(*_: Any) -> dict[str, Any]:
        return {}

    Recorder.journal = nothing


def record_anew() -> None:
    """Nor does what it records stay behind what stands there."""
    forget_what_was_recorded()
    edit(
        RECORD,
        ("'HSETNX', journal, entry, ARGV[at + 5])", "'HSET', journal, entry, ARGV[at + 5]) and 1"),
    )


def wait_without_a_look() -> None:
    """Who begins to wait for an event does not see that it is there."""
    edit(WAIT, ("if redis.call('EXISTS', stem .. 'event:' .. event) == 1 then", "if false then"))


def wake_nobody_by_an_event() -> None:
    """An event has nobody go on."""
    edit(WAKE, ("or event and find_waiters(event)", "or false"))


def sleep_for_ever() -> None:
    """Nobody looks for those whose time is over."""
    edit(WAKE, ("find_due('sleep') or", ""))


def wake_early() -> None:
    """Who sleeps goes on a fifth of a second early."""
    edit(WAIT, ("if due == 0 then", "if what == 'sleep' then due = due - 200 end if due == 0 then"))


def hear_another_event() -> None:
    """Who waits for an event is given the body of another one."""
    edit(WAKE, ("local wrong = find(id, wait, body)", "local wrong = find(id, wait, '1')"))
