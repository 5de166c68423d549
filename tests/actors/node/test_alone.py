"""The turn of a node to run a job alone, where that job may not run."""

from __future__ import annotations

import time

import pytest

from ironforge.actors import alone
from ironforge.actors.alone import Alone
from ironforge.actors.in_flight import InFlight
from ironforge.actors.kernel import ActorSystem
from ironforge.actors.session import Session
from ironforge.job.limits import Limit
from ironforge.metrics.jobs import Metrics
from ironforge.store import Delivery
from tests.actors.node.kit import World, until
from tests.store.declining import declined, ids, knowing
from tests.store.kit import ids_in, limited, settle
from tests.store.suspects import held_by_dead, suspects


@pytest.mark.one_shard
async def test_a_node_does_not_rest_all_the_time_for_a_suspect_whose_limit_is_full(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "SHIFT_SECONDS", 0.01)
    cluster = world.cluster
    await cluster.store_client.limits.put("one", Limit(concurrency=1))
    (suspect,) = [held_by_dead(limits=each.limits) for each in limited(1)]
    await suspects(cluster, suspect)
    old = await cluster.node([])
    await old.work.decline([declined(each) for each in await old.work.alone.fetch()])
    other, node = await knowing(cluster, "other"), await knowing(cluster)
    await cluster.submit(*limited(1, kind="other"))
    held = await other.work.fetch(1)
    assert await ids(node) == []
    assigned: list[Delivery] = []
    metrics = Metrics()
    session = Session(ActorSystem(), node.store, metrics)
    looks = iter([1] * 5)  # the jobs that it has take five looks to end
    turns = Alone(
        session,
        node.work.alone,
        InFlight(1),
        held=lambda: next(looks, 0),
        metrics=metrics,
        assign=assigned.extend,
    )
    began = time.monotonic()
    assert await turns.turn()
    await until(turns.turn, "its turn again")
    assert time.monotonic() - began >= alone.WORKS * 4 * alone.LOOK_SECONDS
    await settle(other, held)
    await until(turns.turn, "its turn with the suspect")
    assert set(ids_in(assigned)) == {suspect.id}
    await settle(node, assigned[:1])
