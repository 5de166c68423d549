"""The children of one step as they are submitted: where that goes on, and what is noted of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ironforge.formats.timestamps import now_ms
from ironforge.steps import journal
from ironforge.steps.children import MOST_CHILDREN, ChildrenState, decode_state, encode_state
from ironforge.steps.errors import InvalidStep
from ironforge.steps.journal import Entry, EntryKind
from ironforge.store.contract import Submission
from ironforge.store.steps.contract import NewChildren, ParentRun


class Child(NamedTuple):
    member: str
    item: Submission
    is_apart: bool


class ChildrenSubmission:
    """Of the children of one step, as it goes on. `seen`: their entry as the journal has it, empty without."""

    def __init__(self, run: ParentRun, field: str, children: NewChildren, seen: bytes) -> None:
        self.run = run
        self.field = field
        self.make = children.make
        self.window = children.window
        self.seen = seen
        self.result, self.started_ms = b"", now_ms()
        if seen:
            entry = journal.decode(seen)
            self.result, self.started_ms = entry.result, entry.started_ms

    def start(self, count: int) -> ChildrenState:
        """Where it goes on. Raises InvalidStep."""
        life = self.run.job.revivals
        if not self.seen:
            if count > MOST_CHILDREN:
                raise InvalidStep(
                    f"step {self.field!r} has {count} children, one may have {MOST_CHILDREN}: divide them among "
                    "several steps, or among children that have children"
                )
            return ChildrenState(count, 0, (life,))
        state = decode_state(self.result)
        if state.count != count and not (state.is_complete and state.generation == life):
            raise InvalidStep(
                f"step {self.field!r} has {count} children in this run, in an earlier one it had {state.count}: "
                "give a step with other children another name"
            )
        return state

    def new_life(self, state: ChildrenState) -> ChildrenState:
        """As it goes on where the parent has come back from the dead letter: from the first child on."""
        self.started_ms = now_ms()
        return msgspec.structs.replace(state, submitted=0, generations=(*state.generations, self.run.job.revivals))

    def entry_of(self, state: ChildrenState) -> Entry:
        """That of a wait which is over, where there is nothing to wait for."""
        kind = EntryKind.WAIT if state.count else EntryKind.WAITED
        ended_ms = 0 if state.count else self.started_ms
        return Entry(kind, encode_state(state), self.started_ms, ended_ms, self.run.job.fence)


def with_different_keys(children: Sequence[Child]) -> list[list[Child]]:
    """In parts that have each unique key once, for of several with one key only the last one would be told."""
    parts: list[list[Child]] = []
    times: defaultdict[tuple[str, str], int] = defaultdict(int)
    for child in children:
        unique, number = child.item.job.unique, 0
        if unique is not None:
            number = times[child.item.job.kind, unique.key]
            times[child.item.job.kind, unique.key] += 1
        while len(parts) <= number:
            parts.append([])
        parts[number].append(child)
    return parts
