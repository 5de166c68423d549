"""The keys of workflows: what each is made of, how far it is, and what is to be done about some of them.

Nothing of them is there while there are no workflows. What becomes of nodes lies with that of children
(`family_keys`), under the name `\\n<number>.<generation>`.
"""

from __future__ import annotations

from typing import Final

from ironforge.redis.key_spec import STAYS, Key, KeyFamily, KeySpace
from ironforge.redis.step_keys import StepKeys


class WorkflowKeys(StepKeys):
    """Of one namespace and shard."""

    graph = KeyFamily(
        "graph:<workflow>",
        "hash",
        STAYS,
        "a workflow, its id in hexadecimal digits: `d` its document, by number the program of each node, behind `r` "
        "its job, behind `R` one with options that a node has to submit, behind `u` the one that undoes it, behind "
        "`i` its id where that is another one; `b` what begins; behind `c` how far the dependants of a node are worked "
        "off; `x` the node that is undone; `os` and `of` the jobs that are told of its end; `t` last bytes of ids; `f` "
        "which retry wrote it; `w` what was lost of it, for which it fails. Stays with the workflow, then expires",
        "this workflow does not go on",
    )
    progress = KeyFamily(
        "progress:<workflow>",
        "string",
        STAYS,
        "how far a workflow is: nodes that have not ended (2 bytes), whether it is stopped, paused, its generation (2 "
        "bytes), whether a node has failed, then 4 bytes for each node: the letter of its state, open needs (2 bytes), "
        "what those mean that have ended",
        "this workflow does not go on",
    )
    order = KeyFamily(
        "order:<workflow>",
        "list",
        STAYS,
        "numbers of the nodes of a workflow that have something to undo them, in the order in which they succeeded",
        "this workflow does not go on",
    )
    advance = Key(
        "advance",
        "zset",
        STAYS,
        "what moves workflows on, since when (ms): the id of a workflow, a letter, `<number>.<generation>` of a node: "
        "`s` it has succeeded, `f` failed, `c` was cancelled, `k` is skipped, `g` may go; `b` the workflow begins",
        "no workflow can be submitted, and no node of one ends",
    )
    ready = Key(
        "ready",
        "zset",
        STAYS,
        "id of a workflow and `<number>.<generation>` of a node that may start and has options that no script goes by, "
        "by when to look at it (ms)",
        "no workflow goes on",
    )
    finishing = Key(
        "finishing",
        "zset",
        STAYS,
        "ids of workflows whose nodes have all ended, since when (ms), until they have ended too",
        "no workflow goes on",
    )
    stopping = Key(
        "stopping",
        "zset",
        STAYS,
        "id of a workflow with jobs to cancel, and `f` (those that have not started) or `c` (all), since when (ms)",
        "no workflow goes on",
    )
    workflows = KeyFamily(
        "workflows:<dead, done:<minute> or kept:<minute>>",
        "zset",
        STAYS,
        "ids of workflows that have ended, with the score 0: of those that lie dead, and of those whose records are in "
        "this bucket, which expires with it",
        "workflows do not end there, and cannot be listed",
    )


# What a workflow is made of, beside what became of its nodes.
PARTS: Final = ("graph", "progress", "order", "results")


def parts_of(keys: KeySpace, workflow: bytes) -> list[str]:
    """The keys that live as long as its record does."""
    return [getattr(keys, part)(workflow.hex()) for part in PARTS]


# What a workflow hears of the end of a node, by how that is.
_LETTERS: Final = {"completed": b"s", "dead": b"f", "cancelled": b"c"}


def end_item(workflow: bytes, member: str | bytes, ended: str) -> bytes:
    """What `advance` holds of a node that has ended so; `parent.lua` makes the same. `member`: its name among those
    that have ended."""
    name = member.encode() if isinstance(member, str) else member
    return workflow + _LETTERS[ended] + name[1:]


def is_node(member: str | bytes) -> bool:
    """Whether a child with this name is a node of a workflow."""
    return member[:1] in ("\n", b"\n")
