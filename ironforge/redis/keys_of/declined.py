"""The keys of jobs that nodes declined: of a kind that they did not know, or begun by another version of the
application."""

from __future__ import annotations

from ironforge.redis.key_spec import STAYS, Key, KeyFamily, KeySpace


class DeclinedKeys(KeySpace):
    """Part of the keys of a namespace and shard."""

    declined = KeyFamily(
        "declined:<queue>:<priority>",
        "zset",
        STAYS,
        "`<kind>\\n<id>` of jobs whose nodes did not know their kind, by kind, within one by creation; "
        "`<kind>@<version>` of those that stay with a version of the application, and behind either `:a` of those that "
        "run alone",
        "nodes that must not run a job keep it, those that may run it take none that was declined",
    )
    versionlines = Key(
        "versionlines",
        "set",
        STAYS,
        "lines in `unserved` of jobs that stay with a version of the application",
        "as of `declined`",
    )
    unserved = Key(
        "unserved",
        "zset",
        STAYS,
        "line in `declined`, `<queue>:<priority>:<kind>` → the watch's time (ms) at which a node last served it; the "
        "empty member is that time now, `at` when it was; gone when no job is declined",
        "as of `declined`, and none of these jobs is given up",
    )
