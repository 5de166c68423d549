"""Finds schedules that do not tick as they should: that cannot be read, whose job is refused, that have lost their next
tick, that nothing fires, that lie in two shards, or whose kind no node runs."""

from __future__ import annotations

from collections import Counter
from typing import Final

from ironforge.doctor.finding import Finding
from ironforge.formats.numbers import counted
from ironforge.redis.connection import Connection
from ironforge.redis.keys import Keys
from ironforge.redis.replies import pairs
from ironforge.schedules.definition import GRACE_MS
from ironforge.settings import environment_name
from ironforge.store.contract import Inspector
from ironforge.store.retention import milliseconds, score_ms
from ironforge.store.schedules.contract import Schedules
from ironforge.store.schedules.stored import Held

SAMPLE: Final = 1_000
CHECK: Final = "schedules"
TICKS_START: Final = f"ironforge node APP, or ironforge api, with {environment_name('scheduler')}=on"


async def schedules_that_do_not_tick(connection: Connection, keys: Keys) -> list[Finding]:
    """Of the first of them in one shard; nothing where there are none. Raises what redis-py raises."""
    _, found = await connection.call("HSCAN", keys.schedules, 0, "COUNT", SAMPLE)
    _, problems = await connection.call("HSCAN", keys.problems, 0, "COUNT", SAMPLE)
    _, planned = await connection.call("HSCAN", keys.upcoming, 0, "COUNT", SAMPLE)
    known = await _known(connection, keys, planned[::2])
    findings = [_left_over(name) for name, is_known in zip(planned[::2], known, strict=True) if not is_known]
    if not found and not findings:
        return []
    illegible = {name for name, said in pairs(found) if Held("", said, b"").legible() is None}
    findings += await _without_tick(connection, keys, found, illegible) if found else []
    findings += [_refused(name, why) for name, why in pairs(problems) if name not in illegible]
    findings += await _overdue(connection, keys)
    return findings or [Finding("ok", CHECK, f"{counted(len(found) // 2, 'schedule')} looked at, and all of them tick")]


async def schedules_of_the_namespace(schedules: Schedules, inspector: Inspector) -> list[Finding]:
    """What only all shards and the nodes together tell."""
    names = await schedules.names()
    findings = [_twice(name) for name, shards in Counter(names).items() if shards > 1]
    kinds = await inspector.kinds()
    now_ms = (await inspector.totals()).now_ms
    if not kinds.nodes:  # which the doctor says anyway
        return findings
    for view in await schedules.views(names[:SAMPLE]):
        stored = view.stored
        if stored is None or stored.paused(now_ms):
            continue
        for kind in stored.schedule.kinds:
            known = kinds.known.get(kind)
            if known is not None and known.nodes:
                continue
            message = f"schedule {view.name} submits jobs of kind {kind}, which no running node runs"
            findings.append(Finding("warn", CHECK, message, "ironforge node APP, of an application that has the kind"))
    return findings


async def _known(connection: Connection, keys: Keys, names: list[bytes]) -> list[bool]:
    if not names:
        return []
    return [said is not None for said in await connection.call("HMGET", keys.schedules, *names)]


async def _without_tick(connection: Connection, keys: Keys, found: list[bytes], illegible: set[bytes]) -> list[Finding]:
    names = found[::2]
    at, looks, time = await connection.pipeline(
        [["HMGET", keys.upcoming, *names], ["ZMSCORE", keys.ticks, *names], ["TIME"]]
    )
    now_ms = milliseconds(time)
    findings = []
    for (name, said), where, look in zip(pairs(found), at, looks, strict=True):
        held = Held(name.decode(errors="replace"), said, where or b"")
        position = held.position()
        if name in illegible:
            message = f"schedule {held.name}: {held.view().problem}"
            findings.append(Finding("fail", CHECK, message, "upgrade, or define it anew"))
        elif position is None or (position.at_ms is not None and _is_late(look, max(now_ms, position.fires_ms))):
            message = f"schedule {held.name} has lost its next tick, and does not tick"
            fix = f"a process that ticks mends it within a minute ({TICKS_START}); at once: pause it, then resume it"
            findings.append(Finding("fail", CHECK, message, fix))
    return findings


def _is_late(look: bytes | None, fires_ms: int) -> bool:
    """Whether nothing looks at a schedule when its next tick fires, or soon after."""
    return look is None or score_ms(look) > fires_ms + GRACE_MS


async def _overdue(connection: Connection, keys: Keys) -> list[Finding]:
    first, time = await connection.pipeline([["ZRANGE", keys.ticks, 0, 0, "WITHSCORES"], ["TIME"]])
    now_ms = milliseconds(time)
    late_ms = now_ms - score_ms(first[1]) if first else 0
    if late_ms <= GRACE_MS:
        return []
    late = await connection.call("ZCOUNT", keys.ticks, "-inf", now_ms - GRACE_MS)
    message = (
        f"a tick has been due for {late_ms / 1000:.0f} s, and nothing fires it: {counted(late, 'schedule')} overdue"
    )
    return [Finding("warn", CHECK, message, TICKS_START)]


def _refused(name: bytes, why: bytes) -> Finding:
    shown = name.decode(errors="replace")
    fix = f"make room for its job, or change it; what it missed: ironforge schedules history {shown}"
    return Finding("fail", CHECK, f"schedule {shown}: {why.decode(errors='replace')}", fix)


def _left_over(name: bytes) -> Finding:
    message = f"a next tick is left of schedule {name.decode(errors='replace')}, which is gone"
    return Finding("warn", CHECK, message, f"a process that ticks forgets it within a minute: {TICKS_START}")


def _twice(name: str) -> Finding:
    message = f"schedule {name} lies in several shards, and each of them fires its ticks"
    return Finding("fail", CHECK, message, f"ironforge schedules delete {name}, then define it anew")
