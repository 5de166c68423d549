"""What must hold of limits and unique keys at any moment between two writes, whatever was done."""

from __future__ import annotations

from typing import Any

from ironforge.job.limits import claims_of
from ironforge.job.record import Job, decode
from ironforge.job.uniqueness import held_key
from ironforge.redis.keys import Keys


def check_holding(raw: Any, keys: Keys) -> None:
    """Who is in a stream holds all that it claims, and no key of a limit or of uniqueness is held by another job."""
    index = raw.hgetall(keys.index)
    jobs = _jobs(raw, keys)
    for job_id, job in jobs.items():
        if index[job_id][:1] in (b"q", b"c"):
            unheld = [claim for claim in claims_of(job.limits) if raw.zscore(keys.holders(claim), job_id) is None]
            assert unheld == [], f"{job.text_id} may run and holds no place"
    for key in raw.keys(keys.holders("*")):
        claim = key.decode().removeprefix(keys.holders(""))
        strangers = [one for one in raw.zrange(key, 0, -1) if claim not in claims_of(jobs[one].limits)]
        assert strangers == [], f"{claim} is held by jobs that do not claim it"
        assert raw.sismember(keys.in_use, claim), f"{claim} is held and not known to be in use"
    for key in raw.keys(keys.places("*")):
        claim = key.decode().removeprefix(keys.places(""))
        assert raw.sismember(keys.in_use, claim), f"{claim} is waited for and not known to be in use"
    for key in raw.keys(keys.unique("*")):
        if raw.ttl(key) > 0:
            continue
        (owner,) = raw.smembers(key)
        assert held_key(jobs[owner].kind, jobs[owner].unique) == key.decode().removeprefix(keys.unique(""))
        assert index[owner] != b"d", f"{key.decode()} is held by a dead job"


def _jobs(raw: Any, keys: Keys) -> dict[bytes, Job]:
    """All that have not ended, by id."""
    records = raw.hvals(keys.parked)
    for key in raw.keys(keys.stream("*")):
        records += [fields[b"j"] for _, fields in raw.xrange(key)]
    return {job.id: job for job in map(decode, records)}
