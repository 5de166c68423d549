"""What must hold of workflows in a shard at any moment between two writes, whatever was done."""

from __future__ import annotations

from ironforge.job.record import Job, shard_of
from ironforge.redis.keys import Keys
from ironforge.store.workflows.nodes import decode_held, node_id
from ironforge.workflows.program import decode_progress
from ironforge.workflows.states import NodeState
from tests.store.snapshot import Snapshot


def check_workflows(seen: Snapshot, keys: Keys, jobs: dict[bytes, Job], shards: int) -> None:
    """One that lives goes on by itself, jobs that it waits for are there, and no others. `jobs`: all that live."""
    living = {workflow.hex() for workflow in seen.members(keys.waiting("workflow"))}
    progress, graphs = seen.family(keys.progress), seen.family(keys.graph)
    assert living - set(progress) == set(), "nobody knows how far these are"
    assert living - set(graphs) == set(), "nobody knows what these are made of"
    due = seen.members(keys.advance) | seen.members(keys.ready) | seen.members(keys.stopping)
    goes_on = {member[:16].hex() for member in due | seen.members(keys.finishing)}
    for name in living:
        head, states = decode_progress(progress[name])
        assert head.left == sum(not state.has_ended for state in states), f"{name} counts its nodes wrongly"
        running = [number for number, state in enumerate(states) if state is NodeState.RUNNING]
        undone = graphs[name].get(b"x")
        is_undone = undone is not None and decode_held(graphs[name][b"u" + undone]).id in jobs
        assert running or head.paused or is_undone or name in goes_on, f"{name} is stranded"
        workflow = bytes.fromhex(name)
        moved = {field[1:]: value for field, value in graphs[name].items() if field[:1] == b"i"}
        tails = graphs[name].get(b"t")
        for number in running:
            tail = None if tails is None else tails[number]
            job_id = moved.get(b"%d" % number) or node_id(workflow, number, head.generation, tail)
            told = any(item[:16] == workflow and item[17:].split(b".")[0] == b"%d" % number for item in due)
            apart = shard_of(job_id, shards) != shard_of(workflow, shards)
            assert apart or told or job_id in jobs, f"node {number} of {name} is nowhere"
