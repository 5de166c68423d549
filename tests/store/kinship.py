"""What must hold of jobs and their children in a shard at any moment between two writes, whatever was done."""

from __future__ import annotations

from collections.abc import Mapping

from ironforge.job.record import Job, decode, shard_of
from ironforge.redis.keys import Keys
from tests.store.flowship import check_workflows
from tests.store.snapshot import Snapshot


def check_kinship(seen: Snapshot, keys: Keys, families: Mapping[bytes, float], shard: int, shards: int) -> None:
    """No open child is nowhere, none is forgotten by a parent that lives, and nothing is kept for nobody. `families`:
    parents, each with what the server says of it."""
    index = seen.hash(keys.index)
    known = {parent.hex() for parent in families}
    told = {member.hex() for member in seen.members(keys.wake)}
    children, results = seen.family(keys.children), seen.family(keys.results)
    assert set(children) - known == set(), "these have open children and are no families"
    known |= set(seen.family(keys.progress))
    lasting = {parent for parent in results if seen.left_ms[keys.results(parent)] < 0}
    assert lasting - known - told == set(), "results of these are kept for nobody"
    assert {parent for parent, score in families.items() if score == 0} - set(index) == set(), "these are no more"
    for parent, opened in children.items():
        here = {job_id for job_id in opened.values() if shard_of(job_id, shards) == shard}
        if families[bytes.fromhex(parent)] == 0:  # of others they are still to be seen to
            assert here - set(index) == set(), f"these open children of {parent} are nowhere"
    jobs = {job.id: job for job in map(decode, _records(seen, keys))}
    check_workflows(seen, keys, jobs, shards)
    for job in jobs.values():
        if _is_open(job, jobs):
            assert job.parent is not None
            opened = children.get(job.parent.id.hex(), {})
            assert opened.get(job.parent.member.encode()) == job.id, f"its parent knows nothing of child {job.text_id}"


def _is_open(job: Job, jobs: Mapping[bytes, Job]) -> bool:
    """Whether it is a child, and its parent lies here and lives the life in which it was submitted."""
    if job.parent is None or job.parent.is_workflow or job.ended or job.parent.id not in jobs:
        return False
    parent = jobs[job.parent.id]
    return not parent.ended and parent.revivals == job.parent.generation


def _records(seen: Snapshot, keys: Keys) -> list[bytes]:
    streams = seen.family(keys.stream).values()
    return [*seen.hash(keys.parked).values(), *(fields[1] for entries in streams for _, fields in entries)]
