"""Which of several definitions in the code of nodes counts, through roll-outs, crashes, restarts and roll-backs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from ironforge.store.schedules.in_code import GONE
from tests.store.kit import Cluster, Node
from tests.store.schedules.coded import dies, hours, joins, leaves, note, says
from tests.store.schedules.kit import schedules
from tests.store.test_kind_that_counts import DIES, LEAVES, VERSIONS, Step
from tests.store.test_kind_that_counts import joins as starts

# A version of the application that has no schedule in its code.
WITHOUT = "0"
PAUSES, RESUMES = "pauses", "resumes"
steps = st.lists(
    st.builds(Step, st.sampled_from([*VERSIONS, WITHOUT, LEAVES, DIES, PAUSES, RESUMES]), st.integers(0, 5)),
    max_size=12,
)


class Installation:
    """With what should hold, worked out from nothing but the steps: a version says so many hours."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._nodes: list[tuple[str, Node]] = []
        self._first_said: list[str] = []
        self._gone = False
        self.counts: float | None = None
        self.note: str | None = None

    async def do(self, step: Step) -> None:
        seen = True
        if step.what in (*VERSIONS, WITHOUT):
            await self._join(step.what)
        elif step.what in (PAUSES, RESUMES):
            await self._operate(step.what)
        elif self._nodes:
            seen = await self._end(step)
        if seen:
            self._reckon()

    async def _join(self, version: str) -> None:
        said = {} if version == WITHOUT else {"one": says(int(version))}
        self._nodes.append((version, await joins(self._cluster, said)))
        if version not in (*self._first_said, WITHOUT):
            self._first_said.append(version)

    async def _operate(self, what: str) -> None:
        if self.counts is None:
            return
        self.note = "by hand" if what == PAUSES else None
        if what == PAUSES:
            await schedules(self._cluster).pause("one", "by hand")
        else:
            await schedules(self._cluster).resume("one")

    async def _end(self, step: Step) -> bool:
        """Whether a node is left to see it."""
        _, node = self._nodes.pop(step.which % len(self._nodes))
        if step.what == LEAVES:
            await leaves(node)
        elif self._nodes:
            await dies(self._cluster, node, self._nodes[0][1])
        else:
            self._cluster.lapse(node)
        return bool(self._nodes)

    def _reckon(self) -> None:
        run = {version for version, _ in self._nodes}
        counting = next((version for version in reversed(self._first_said) if version in run), None)
        if counting is not None:
            self.counts, self._gone = float(counting), False
            self.note = None if self.note == GONE else self.note
        elif self.counts is not None and self._nodes and not self._gone:
            self._gone, self.note = True, self.note or GONE


async def live_through(url: str, life: Sequence[Step]) -> None:
    cluster = Cluster(url)
    installation = Installation(cluster)
    for step in life:
        await installation.do(step)
        if installation.counts is not None:
            found = await hours(cluster), await note(cluster)
            assert found == (installation.counts, installation.note)
    await cluster.close()


@given(steps)
@example([*starts("1", "1", "2"), Step(DIES), *starts("1")])  # an old node restarts in a roll-out
@example([*starts("1", "2"), Step(DIES), *starts("1")])  # the last one of them
@example([*starts("1", "1", "2"), Step(LEAVES, 2)])  # a roll-back to nodes that were there all the time
@example([*starts("1", "2", "1"), Step(LEAVES, 1), *starts("2")])  # rolled back, and out again
@example([*starts("1", "2"), Step(DIES), Step(DIES), *starts("1")])  # after a power loss the old one alone comes back
@example([*starts("1", WITHOUT), Step(DIES), *starts("1")])  # gone from the code, and rolled back
@example([*starts("1"), Step(LEAVES), *starts(WITHOUT, "2")])  # gone where all end before others start
@example([*starts("1"), Step(PAUSES), *starts(WITHOUT), Step(LEAVES), *starts("2")])  # an operator's word stays
@example([*starts("1", WITHOUT), Step(DIES), Step(RESUMES), *starts(WITHOUT)])
@example([*starts("1", WITHOUT), Step(DIES), Step(PAUSES), Step(RESUMES), *starts("1")])
def test_the_newest_that_a_node_has_counts_and_what_none_has_is_paused(server: str, life: Sequence[Step]) -> None:
    asyncio.run(live_through(server, life))
