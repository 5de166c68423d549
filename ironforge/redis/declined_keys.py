"""The keys of jobs that nodes declined, because they did not know their kind."""

from __future__ import annotations

from ironforge.redis.key_spec import STAYS, Key, KeyFamily, KeySpace


class DeclinedKeys(KeySpace):
    """Part of the keys of a namespace and shard."""

    declined = KeyFamily(
        "declined:<queue>:<priority>",
        "zset",
        STAYS,
        "`<kind>\\n<id>` of jobs whose nodes did not know their kind, by kind, within one by creation; `<kind>:a` of "
        "those that run alone",
        "nodes that do not know a job's kind keep it, those that know it take none that was declined",
    )
    unserved = Key(
        "unserved",
        "zset",
        STAYS,
        "line in `declined`, `<queue>:<priority>:<kind>` → the watch's time (ms) at which a node last served it; the "
        "empty member is that time now, `at` when it was; gone when no job is declined",
        "as of `declined`, and none of these jobs is given up",
    )
