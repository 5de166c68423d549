"""The keys of limits: their definitions, what waits behind them, and what holds them.

Nothing of them is there while no limit is used. Who waits stands in two of them: in its line, and among all that wait.
"""

from __future__ import annotations

from ironforge.redis.key_spec import EXPIRES, STAYS, Key, KeyFamily, KeySpace


class LimitKeys(KeySpace):
    """Of one namespace and shard."""

    behind = KeyFamily(
        "behind:<queue>:<priority>",
        "zset",
        STAYS,
        "ids of jobs that wait behind a limit, by first arrival (µs); one that may have its turn is in `fair` instead",
        "none with a limit can be submitted there, nodes take none there while one waits, and those are gone",
    )
    limits = Key(
        "limits",
        "hash",
        STAYS,
        "limit → its definition (JSON), and what an operator says instead; the same in every shard",
        "none with a limit can be submitted, and those that wait run without",
    )
    limit_versions = Key(
        "limitversions",
        "hash",
        STAYS,
        "limit → its last definitions, the one first announced last in front (JSON); one of an operator has no digest",
        "no limit can be defined, and which definition holds does not change as nodes come and go",
    )
    line = KeyFamily(
        "line:<queue>:<priority>:<limit>\\n<key>",
        "zset",
        STAYS,
        "ids of all that wait behind this key of a limit, by first arrival (µs)",
        "none with this key can be submitted or retried, nothing becomes due while one is, and those that wait stay",
    )
    holders = KeyFamily(
        "holders:<limit>\\n<key>",
        "zset",
        STAYS,
        "ids of jobs that have a place of this key, since when (ms; below 0: died, and the key waits for them)",
        "none with this key starts, and those that run do not end",
    )
    in_use = Key(
        "inuse",
        "hash",
        STAYS,
        "`<limit>\\n<key>` that jobs wait for or hold → each `<queue>:<priority>` that has a line of it, a space "
        "behind each; those that no job waits for or holds any more go with the next look at them",
        "none with a limit can be submitted, and nodes take nothing where some wait",
    )
    tat = KeyFamily(
        "tat:<limit>\\n<key>",
        "string",
        EXPIRES,
        "until when the rate of this key is used up (µs)",
        "none with this key starts",
    )
    stops = Key(
        "stops",
        "zset",
        STAYS,
        "keys that a handler has throttled, or that used more than their burst, until when (ms)",
        "no key is throttled",
    )
    probes = Key(
        "probes",
        "zset",
        STAYS,
        "keys that were throttled, since when the one job runs that goes first (ms); 0: it is the next to start",
        "after it was throttled, a key goes on at its full rate",
    )
    room = Key(
        "room",
        "set",
        STAYS,
        "keys of limits where a place may be free: the next look offers it",
        "no job with a limit ends, and nodes take nothing where some wait",
    )
    dueroom = Key(
        "dueroom",
        "zset",
        STAYS,
        "keys of limits by when their rate, or the end of what an operator says, lets the next one start (ms)",
        "nodes take nothing where jobs with limits wait",
    )
    looked = Key(
        "looked",
        "string",
        EXPIRES,
        "when keys of limits were last looked after (ms): a clock that was put back is known by it",
        "keys of limits are not looked after",
    )
