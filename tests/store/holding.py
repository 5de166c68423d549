"""What must hold of limits and unique keys at any moment between two writes, whatever was done."""

from __future__ import annotations

from ironforge.job.limits import claims_of
from ironforge.job.record import Job, decode
from ironforge.job.uniqueness import held_key
from ironforge.redis.keys import Keys
from tests.store.snapshot import Snapshot


def check_holding(seen: Snapshot, keys: Keys) -> None:
    """Who is in a stream holds all that it claims, and no key of a limit or of uniqueness is held by another job."""
    index = seen.hash(keys.index)
    jobs = _jobs(seen, keys)
    in_use = {claim.decode(): said.decode() for claim, said in seen.hash(keys.in_use).items()}
    holders = seen.family(keys.holders)
    for job_id, job in jobs.items():
        if index[job_id][:1] in (b"q", b"c", b"p"):
            unheld = [claim for claim in claims_of(job.limits) if job_id not in holders.get(claim, ())]
            assert unheld == [], f"{job.text_id} may run and holds no place"
    for claim, ids in holders.items():
        strangers = [one for one in ids if claim not in claims_of(jobs[one].limits)]
        assert strangers == [], f"{claim} is held by jobs that do not claim it"
    assert set(holders) - set(in_use) == set(), "these are held and not known to be in use"
    waited_for = {f"{place}:{claim}" for claim, said in in_use.items() for place in said.split()}
    assert set(seen.family(keys.line)) - waited_for == set(), "these are waited in and not known to be in use"
    for key, (owner,) in seen.family(keys.unique).items():
        if seen.left_ms[keys.unique(key)] <= 0:
            assert held_key(jobs[owner].kind, jobs[owner].unique) == key
            assert index[owner] != b"d", f"{key} is held by a dead job"


def _jobs(seen: Snapshot, keys: Keys) -> dict[bytes, Job]:
    """All that have not ended, by id."""
    records = [*seen.hash(keys.parked).values()]
    for entries in seen.family(keys.stream).values():
        records += [fields[1] for _, fields in entries]
    return {job.id: job for job in map(decode, records)}
