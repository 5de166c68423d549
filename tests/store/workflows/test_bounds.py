"""One call moves so many nodes on, and what was half done then is gone on with."""

from __future__ import annotations

import pytest

from tests.store.kit import Cluster
from tests.store.workflows.flow import submitted
from tests.workflows.documents import node

IN_ONE_CALL = 500


@pytest.mark.parametrize("followers", [1, 3])
@pytest.mark.parametrize("spare", range(3))
async def test_a_node_ends_once_wherever_a_call_stops(cluster: Cluster, spare: int, followers: int) -> None:
    """With its end, the nodes of a call are through: those that wait for it are told by the next one."""
    filler = await submitted(cluster, *(node(f"n{number}") for number in range(IN_ONE_CALL - spare)))
    flow = await submitted(
        cluster,
        node("a", compensate="undo"),
        *(node(f"b{number}", "a") for number in range(followers)),
        node("c", "a", when="any_failed"),
        node("d", "c"),
        node=filler.node,
    )
    await flow.advance()
    names = set()
    while batch := await flow.node.work.fetch(100):
        for delivery in batch:
            names.add(filler._take(delivery) or flow._take(delivery))
    await filler.end(*filler.running, move=False)
    await flow.end("a")
    left, order = flow.head.left, cluster.raw.lrange(flow.keys.order(flow.id.hex()), 0, -1)
    assert (left, order) == (followers, [b"0"])
