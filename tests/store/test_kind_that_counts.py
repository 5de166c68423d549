"""Which of several definitions of a kind counts, through roll-outs, crashes, restarts and roll-backs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from tests.store.kit import Cluster, Node, now_ms
from tests.store.test_kinds import announced, look, versions
from tests.support.waiting import until

VERSIONS = ("1", "2", "3")


class Step(NamedTuple):
    """A node of the version `what` joins, or the one numbered `which` of those that run leaves, or dies."""

    what: str
    which: int = 0


def joins(*names: str) -> list[Step]:
    return [Step(name) for name in names]


LEAVES, DIES = "leaves", "dies"
steps = st.lists(st.builds(Step, st.sampled_from([*VERSIONS, LEAVES, DIES]), st.integers(0, 5)), max_size=12)


class Installation:
    """With what should count, worked out from nothing but the steps."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._nodes: list[tuple[str, Node]] = []
        self._first_announced: list[str] = []
        self._joined: list[str] = []

    async def do(self, step: Step) -> None:
        if step.what in VERSIONS:
            await self._join(step.what)
        elif self._nodes:
            _, node = self._nodes.pop(step.which % len(self._nodes))
            if step.what == LEAVES:
                await node.leases.leave(node.lease)
            else:
                self._cluster.lapse(node)

    async def _join(self, version: str) -> None:
        # Where no node is left, the one that joined last is known by its millisecond.
        joined_ms = now_ms()
        self._nodes.append((version, await self._cluster.node(announced("mail", version=version))))
        await until(lambda: now_ms() > joined_ms, "a later millisecond", look_seconds=0)
        self._joined.append(version)
        if version not in self._first_announced:
            self._first_announced.append(version)

    @property
    def counts(self) -> str | None:
        run = {version for version, _ in self._nodes}
        return next((version for version in reversed(self._first_announced) if version in run), self._seen_last)

    @property
    def _seen_last(self) -> str | None:
        return self._joined[-1] if self._joined else None


async def live_through(url: str, life: Sequence[Step]) -> None:
    cluster = Cluster(url)
    installation = Installation(cluster)
    for step in life:
        await installation.do(step)
        found = (await look(cluster)).known.get("mail")
        assert (found and versions(found)[0]) == installation.counts
    await cluster.close()


@given(steps)
@example([*joins("1", "1", "2"), Step(DIES), *joins("1")])  # an old node restarts in a roll-out
@example([*joins("1", "2"), Step(DIES), *joins("1")])  # the last one of them
@example([*joins("1", "1", "2"), Step(LEAVES, 2)])  # a roll-back to nodes that were there all the time
@example([*joins("1", "2", "1"), Step(LEAVES, 1), *joins("2")])  # rolled back, and out again
@example([*joins("1", "2", "1"), Step(LEAVES, 1), Step(LEAVES, 1), Step(LEAVES)])  # back, and scaled to zero
def test_the_newest_definition_that_a_node_runs_counts_and_without_nodes_the_one_seen_last(
    server: str, life: Sequence[Step]
) -> None:
    asyncio.run(live_through(server, life))


async def test_a_door_goes_by_the_old_definition_again_once_the_new_nodes_are_gone(cluster: Cluster) -> None:
    await cluster.node(announced("mail", queue="old"))
    new = await cluster.node(announced("mail", queue="new"))
    assert (await look(cluster)).known["mail"].defaults.record.queue == "new"
    cluster.lapse(new)
    assert (await look(cluster)).known["mail"].defaults.record.queue == "old"
