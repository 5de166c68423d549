"""Which nodes run again with those that had failed, and what they get of others."""

from __future__ import annotations

from tests.store.kit import Cluster
from tests.store.workflows.flow import submitted
from tests.store.workflows.test_again import parent_of, retry
from tests.store.workflows.test_finishing import run
from tests.workflows.documents import edge, node, result


async def test_what_was_skipped_or_ran_because_of_a_failure_is_looked_at_anew(cluster: Cluster) -> None:
    flow = await submitted(
        cluster,
        {**node("a"), "on_failure": "skip_dependents"},
        node("skipped", "a"),
        node("mends", edge("a", "failed")),
        node("other"),
    )
    await run(flow, a="dead")
    assert await flow.states() == {"a": "failed", "skipped": "skipped", "mends": "succeeded", "other": "succeeded"}
    await retry(flow)
    assert await flow.started() == ["a"]
    await run(flow)
    assert await flow.states() == {"a": "succeeded", "skipped": "succeeded", "mends": "skipped", "other": "succeeded"}


async def test_what_runs_again_gets_the_results_of_the_last_run_of_each(cluster: Cluster) -> None:
    flow = await submitted(
        cluster,
        node("kept"),
        node("a", compensate="undo"),
        node("b", "a", payload=result("a.result")),
        node("c", "kept", "b", payload=[result(f"{name}.result") for name in ("kept", "a", "b")]),
    )
    await run(flow, c="dead")
    await flow.undo("a")
    await retry(flow)
    for name in ("a", "b"):
        assert await flow.started() == [name]
        await flow.end(name, result=b'"newer"')
    assert await flow.started() == ["c"]
    given = await flow.node.work.results_for(flow.deliveries["c"][0], parent_of(flow, "c"))
    assert given == {"kept": b'{"of":"kept"}', "a": b'"newer"', "b": b'"newer"'}
