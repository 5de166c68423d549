"""The keys of jobs that have children: which are open, and what became of the others.

Nothing of them is there while no job has children. A child is named by its entry in the journal of its parent, its
place and the generation in which it was submitted: `<entry>\\n<index>.<generation>`.
"""

from __future__ import annotations

from ironforge.redis.key_spec import STAYS, Key, KeyFamily, KeySpace


class FamilyKeys(KeySpace):
    """Of one namespace and shard."""

    children = KeyFamily(
        "children:<parent>",
        "hash",
        STAYS,
        "open children of a job, its id in hexadecimal digits: name of the child → the id under which it is stored",
        "children of this job do not end, and no more can be submitted",
    )
    results = KeyFamily(
        "results:<parent>",
        "hash",
        STAYS,
        "children of a job that have ended: name of the child → its terminal record, without payload. Stays with its "
        "job, expires with its record",
        "children of this job do not end, and no more can be submitted",
    )
    families = Key(
        "families",
        "zset",
        STAYS,
        "id of a job with children → 0 while it lives; when what they told it expires (ms) once it has ended, and "
        "minus that while its children are still to be seen to",
        "no children can be submitted, jobs that have recorded something do not end, and no children are cancelled",
    )
    outbox = Key(
        "outbox",
        "stream",
        STAYS,
        "ends of children whose parents lie in other shards, until those were told; never trimmed",
        "children whose parents lie in other shards do not end",
    )


def children_of(keys: FamilyKeys, parent: bytes) -> str:
    """The key of its open children."""
    return keys.children(parent.hex())


def results_of(keys: FamilyKeys, parent: bytes) -> str:
    """The key of what became of the others."""
    return keys.results(parent.hex())
