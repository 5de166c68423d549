"""Finds schedules that do not tick: that cannot be read, have lost their next tick, or that nothing fires."""

from __future__ import annotations

from typing import Final

from ironforge.doctor.finding import Finding
from ironforge.formats.numbers import counted
from ironforge.redis.connection import Connection
from ironforge.redis.keys import Keys
from ironforge.redis.replies import pairs
from ironforge.settings import environment_name
from ironforge.store.retention import milliseconds, score_ms
from ironforge.store.schedules.stored import Held

SAMPLE: Final = 1_000
LATE_SECONDS: Final = 10.0
CHECK: Final = "schedules"


async def schedules_that_do_not_tick(connection: Connection, keys: Keys) -> list[Finding]:
    """Of the first of them; nothing where there are none. Raises what redis-py raises."""
    _, found = await connection.call("HSCAN", keys.schedules, 0, "COUNT", SAMPLE)
    if not found:
        return []
    names = found[::2]
    first, now, at, looks = await connection.pipeline(
        [
            ["ZRANGE", keys.ticks, 0, 0, "WITHSCORES"],
            ["TIME"],
            ["HMGET", keys.upcoming, *names],
            ["ZMSCORE", keys.ticks, *names],
        ]
    )
    findings = []
    for (name, said), where, look in zip(pairs(found), at, looks, strict=True):
        held = Held(name.decode(errors="replace"), said, where or b"")
        position = held.position()
        if problem := held.view().problem:
            findings.append(Finding("fail", CHECK, f"schedule {held.name}: {problem}", "upgrade, or define it anew"))
        elif position is None or (look is None and position.at_ms is not None):
            message = f"schedule {held.name} has lost its next tick, and does not tick"
            findings.append(Finding("fail", CHECK, message, "pause it, then resume it: it ticks from then on"))
    late_seconds = (milliseconds(now) - score_ms(first[1])) / 1000 if first else 0.0
    if late_seconds > LATE_SECONDS:
        message = f"a tick has been due for {late_seconds:.0f} s: nothing fires it"
        fix = f"ironforge node APP, or ironforge api, with {environment_name('scheduler')}=on"
        findings.append(Finding("warn", CHECK, message, fix))
    return findings or [Finding("ok", CHECK, f"{counted(len(names), 'schedule')} looked at, and all of them tick")]
