"""What a job waits for that is in no stream meanwhile, and whose child it is: parts of its record."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec

from ironforge.formats.bounds import Count, TimeMs

WaitFor = Literal["sleep", "event", "children", "workflow"]
WAITS: Final[tuple[WaitFor, ...]] = get_args(WaitFor)
# Those of steps: none of these jobs stands for a workflow.
OF_STEPS: Final = tuple(what for what in WAITS if what != "workflow")

_Id = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
# Names stand in keys and lines of the server, where a line feed ends them.
_Line = Annotated[str, msgspec.Meta(pattern=r"\A[^\n]*\Z")]


def member_of(field: str, index: int, generation: int) -> str:
    """How the keys of a parent name a child, by its entry in the journal, its place and its generation."""
    return f"{field}\n{index}.{generation}"


class Wait(msgspec.Struct, array_like=True, frozen=True):
    """`name` of its entry in the journal, a key behind it as in `journal.field_of`; `event` that it waits for, or "".
    What stands for a workflow waits for its nodes, under no name.

    `until_ms`: when that ends by itself, Unix ms; 0: never. `low`: of children of which more are to be submitted, it is
    over when no more than these are open.
    """

    for_: WaitFor
    name: str
    event: _Line = ""
    until_ms: TimeMs = 0
    low: Count = 0


class ParentRef(msgspec.Struct, array_like=True, frozen=True):
    """Of a child: the id of its parent, the entry in that one's journal, and its place there, from 0.

    `generation`: how often the parent had come back from the dead letter when it submitted this child. `apart`: the
    parent lies in another shard. `low`: when no more than these of its children are open, the parent goes on.

    Of a node of a workflow, which is its parent, the name is empty, and the place its number; `node`: its id in the
    document. `sources`: the nodes whose results its payload refers to, each with its name among the results.
    """

    id: _Id
    name: str
    index: Count
    generation: Count = 0
    apart: bool = False
    sources: tuple[tuple[str, str], ...] = ()
    node: str = ""
    low: Count = 0

    @property
    def member(self) -> str:
        """How the keys of the parent name this child."""
        return member_of(self.name, self.index, self.generation)

    @property
    def is_workflow(self) -> bool:
        """Whether the child is a node of it."""
        return not self.name


# What the end of a job touches beside it, a plain tuple for frames: whether it has a journal, and of a child the id of
# its parent (else empty), the entry there and its place in it. Empty for most jobs.
Ties: TypeAlias = tuple[()] | tuple[bool, bytes, str, int]


def ties_of(parent: ParentRef | None, *, journal: object) -> Ties:
    """`journal`: true for a job that has one."""
    if parent is None:
        return (True, b"", "", 0) if journal else ()
    return bool(journal), parent.id, parent.name, parent.index
