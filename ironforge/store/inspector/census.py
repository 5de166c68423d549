"""Counting the jobs of a shard: one script reads every place at the same moment, so none that lives is ever missed.

It costs by the queues that are in use: what is empty is not told, and ages are looked for within a budget of bytes,
because to see when a job came the server has to read its payload as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

from ironforge.job.record import Priority, created_ms_of, is_alone, split_stream
from ironforge.redis.connection import Command
from ironforge.redis.keys import LINE_ENDINGS, STREAM_ENDINGS, Keys
from ironforge.redis.replies import pairs, rows
from ironforge.redis.scripts import CENSUS, Script
from ironforge.redis.server_info import DIGITS
from ironforge.schedules.definition import GRACE_MS
from ironforge.store.counts import ScheduleCounts, Stats, StreamDepth, VersionLine, Waits
from ironforge.store.queue_names import queue_names
from ironforge.store.retention import readable
from ironforge.store.versions import SUSPECT, split_line

TOTALS: Final = (
    "submitted",
    "completed",
    "failed",
    "retried",
    "dead",
    "cancelled",
    "expired",
    "poison",
    "lost_unique_keys",
    "ticks_started",
    "ticks_skipped",
)
# What may be read for ages: a payload has up to 1 MiB.
AGE_BYTES: Final = 4 * 1024 * 1024
# So many of those that wait for their turn are looked at for the oldest: the first of each key is in front.
HEADS: Final = 20

Run = Callable[[Script, Sequence[str], Command], Awaitable[Any]]
Ask = Callable[..., Awaitable[list[Any]]]


async def census(keys: Keys, run: Run, ask: Ask) -> Stats:
    """Of all queues in use: a depth for each priority, also an empty one."""
    endings: Command = (len(STREAM_ENDINGS), *STREAM_ENDINGS, *LINE_ENDINGS)
    now_ms, scheduled, dead, totals, paused, queues, streams, lines, declined, firsts, *more = await run(
        CENSUS, CENSUS.keys(keys), (AGE_BYTES, HEADS, GRACE_MS, *endings)
    )
    ticking, waiting, versions = more
    known = queue_names(queues)
    depths = {
        (queue, int(priority)): StreamDepth(queue, priority, 0, 0, None) for queue in known for priority in Priority
    }
    for name, length, running, since in rows(streams, 4):
        _add(depths, name, max(0, length - running), running, since if since >= 0 else None)
    heads = [head for ids in lines[3::4] for head in ids]
    (records,) = await ask(["HMGET", keys.parked, *heads]) if heads else ([],)
    ready = dict(zip(heads, map(_ready_ms, records), strict=True))
    for name, length, limited, ids in rows(lines, 4):
        _add(depths, name, length, 0, _least(ready[head] for head in ids), limited=limited)
    oldest: defaultdict[bytes, list[int]] = defaultdict(list)
    for name, job_id in pairs(firsts):
        oldest[name].append(created_ms_of(job_id))
    for name, length in pairs(declined):
        _add(depths, name, length, 0, min(oldest[name], default=None), declined=length)
    total, paused_ones, broken, overdue, next_ms = ticking
    schedules = ScheduleCounts(total, paused_ones, broken, overdue, next_ms if next_ms >= 0 else None)
    counts = totals_of(totals), now_ms, queue_names(paused), schedules, Waits(*waiting), _version_lines(versions)
    return Stats(list(depths.values()), scheduled, dead, *counts)


def _version_lines(flat: Sequence[Any]) -> list[VersionLine]:
    """Over all priorities, and with those that run alone."""
    jobs: Counter[tuple[str, str, str]] = Counter()
    for name, count in pairs(flat):
        queue, _, line = name.decode(errors="replace").split(":", 2)
        jobs[queue, *split_line(line.removesuffix(SUSPECT))] += count
    return sorted(VersionLine(*where, count) for where, count in jobs.items())


def totals_of(flat: Sequence[bytes]) -> dict[str, int]:
    """The counters in a reply of HGETALL. What is none of ours, or no count, is passed over."""
    counted = dict.fromkeys(TOTALS, 0)
    for name, count in pairs(flat):
        known = name.decode("latin-1")
        if known in counted and count.isdigit() and len(count) <= DIGITS:
            counted[known] = int(count)
    return counted


def _add(
    depths: dict[tuple[str, int], StreamDepth],
    name: bytes,
    queued: int,
    running: int,
    oldest_ms: int | None,
    *,
    declined: int = 0,
    limited: int = 0,
) -> None:
    stream = name.decode(errors="replace")
    queue, priority = split_stream(stream)
    suspects = queued if is_alone(stream) else 0
    place = queue, int(priority)
    if place in depths:  # what is no queue's name was put there by somebody else
        depths[place] = depths[place].together(
            StreamDepth(queue, priority, queued, running, oldest_ms, suspects, declined, limited)
        )


def _ready_ms(record: bytes | None) -> int | None:
    job = readable(record)
    return max(job.created_ms, job.ready_ms) if job else None


def _least(times: Iterable[int | None]) -> int | None:
    return min((ms for ms in times if ms is not None), default=None)
