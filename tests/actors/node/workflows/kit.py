"""Workflows that whole nodes run."""

from __future__ import annotations

from typing import Any

import msgspec

from ironforge.job.record import JobState, format_id
from ironforge.store import JobView
from ironforge.store.workflows.contract import NodeView, WorkflowView
from tests.actors.node.kit import World
from tests.store.workflows.flow import submission
from tests.support.waiting import until
from tests.workflows.documents import workflow

LONG_SECONDS = 120.0


async def submit(world: World, *nodes: dict[str, Any], **more: Any) -> bytes:
    one = submission(workflow(*nodes, **more))
    await world.cluster.store_client.workflows.submit([one])
    return one.id


async def view(world: World, workflow_id: bytes) -> WorkflowView:
    return await world.cluster.store_client.workflows.view(workflow_id, results=True)


async def ended(world: World, workflow_id: bytes) -> dict[str, NodeView]:
    """Its nodes by their ids, once it has."""

    async def has_ended() -> bool:
        return (await view(world, workflow_id)).status not in ("running", "paused")

    await until(has_ended, f"workflow {format_id(workflow_id)} to end")
    return {node.id: node for node in (await view(world, workflow_id)).nodes}


async def job_of(world: World, node: NodeView) -> JobView:
    assert node.job_id is not None
    return await world.cluster.store_client.inspector.get(node.job_id)


async def node_is(world: World, workflow_id: bytes, name: str, state: JobState) -> JobView:
    """The job of this node, once it is in this state."""

    async def is_there() -> bool:
        (found,) = [node for node in (await view(world, workflow_id)).nodes if node.id == name]
        return found.job_id is not None and (await job_of(world, found)).state is state

    await until(is_there, f"the job of node {name} to be {state}")
    (found,) = [node for node in (await view(world, workflow_id)).nodes if node.id == name]
    return await job_of(world, found)


def json(result: bytes | None) -> Any:
    return None if result is None else msgspec.json.decode(result)


def do(name: str, kind: str, *after: Any, **more: Any) -> dict[str, Any]:
    return {"id": name, "kind": kind, **({"after": after} if after else {}), **more}
