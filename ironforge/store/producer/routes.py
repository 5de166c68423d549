"""Where the answer to an idempotency key is kept, in a namespace of several shards: with its job, which may lie in
another shard than the key.

The shard of the key then has a route to it. A route is made before the job is submitted and is all that a crash in
between leaves: the answer is written with the job, in one script. A later submission with other content may lead to
another shard, and the route with it, by a generation: first a route with the next one is left where the job would be,
which shuts out submissions that are still under way there, then the shard of the key gets it.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from ironforge.errors import IronForgeError
from ironforge.job.record import format_id
from ironforge.redis.keys import Keys
from ironforge.settings import Settings

# Of submissions that want an answer which is there, and are never to be stored.
REPLAY: Final = -1


class Route(NamedTuple):
    """Submissions of this generation, or a later one, are taken in `shard`; those without a route have generation 0."""

    generation: int
    shard: int


class Moved(IronForgeError):
    """Nothing was stored: the idempotency key of this job has a route of a later `generation`, or, for `REPLAY`, no
    answer any more."""

    def __init__(self, job_id: bytes, generation: int) -> None:
        super().__init__(f"the answer to the idempotency key of job {format_id(job_id)} is kept elsewhere")
        self.job_id = job_id
        self.generation = generation


def remembered_seconds(settings: Settings) -> int:
    """How long an idempotency key is known, with its answer or its route."""
    return max(1, round(settings.idempotency_seconds))


def digest_of(fingerprint: bytes) -> bytes:
    """What an idempotency key keeps of it."""
    return hashlib.sha256(fingerprint).digest()[:16]


def answer_key(keys: Keys, idempotency_key: str) -> str:
    """Where a shard keeps the answer to an idempotency key, or the route to it."""
    return keys.idempotency(hashlib.sha256(idempotency_key.encode()).hexdigest())
