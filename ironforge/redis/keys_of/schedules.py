"""The keys of schedules: what they say, when to look at them next, and what became of their ticks.

Nothing of them is there while there is no schedule. One lies whole in the shard that its jobs go to.
"""

from __future__ import annotations

from ironforge.redis.key_spec import STAYS, Key, KeyFamily, KeySpace


class ScheduleKeys(KeySpace):
    """Of one namespace and shard."""

    schedules = Key(
        "schedules",
        "hash",
        STAYS,
        "schedule → what it says, who said it, its pause (JSON)",
        "no schedule can be changed or seen, and none ticks",
    )
    schedule_versions = Key(
        "scheduleversions",
        "hash",
        STAYS,
        "in shard 0: schedule that code of nodes defines → its last definitions, the one first announced last in front "
        "(JSON); the empty field changes with them",
        "no node starts whose code defines some, and what code says of schedules changes nothing",
    )
    upcoming = Key(
        "upcoming",
        "hash",
        STAYS,
        "schedule → `<tag>:<time of its next tick>:<when that fires>:` (ms) and the id of the job that it started last",
        "no schedule can be changed or seen, and none ticks",
    )
    ticks = Key(
        "ticks",
        "zset",
        STAYS,
        "schedule by when to look at it next (ms): its next tick, or later when a process is about to see to that",
        "no schedule can be changed, and none ticks",
    )
    pauses = Key(
        "pauses",
        "zset",
        STAYS,
        "schedules that are paused by when that ends (ms; inf: when it is resumed)",
        "no schedule can be changed, and depths cannot be counted",
    )
    scheduled_runs = Key(
        "runsof",
        "hash",
        STAYS,
        "workflow that goes on → the schedule in whose list `runs` it is",
        "no workflow ends, and none that schedules run one after the other can be started or audited",
    )
    runs = KeyFamily(
        "runs:<schedule>",
        "list",
        STAYS,
        "workflows that this schedule has started to run one after the other: the first one runs",
        "this schedule starts nothing, and what it has started does not end",
    )
    problems = Key(
        "problems",
        "hash",
        STAYS,
        "schedule → why its job has not started since it last did: it cannot be read, or its job is refused",
        "no schedule can be changed, and depths cannot be counted",
    )
    history = KeyFamily(
        "history:<schedule>",
        "list",
        STAYS,
        "what became of its ticks, the latest first, capped: `+<time>:<ms late>:<jobs>:<reason>:<id>` started "
        "(of a backfill `<first>-<last>`), "
        "`-<first>:<last>:<ticks>:<reason>` skipped",
        "this schedule does not tick, and its history cannot be read",
    )
