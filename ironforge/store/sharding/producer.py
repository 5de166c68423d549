"""Submitting to several shards: an id's last byte says which one has the job.

All or nothing holds within a shard. The jobs of a batch lie in one: the doors give their ids the same byte, and here
that of their unique or limit key, if they have one. Ids that a caller chose may lie anywhere, and then a batch can be
accepted in part before it fails. An idempotency key yields to where the jobs lie, and its own shard has a route there.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from ironforge.errors import Duplicate, InvalidJob
from ironforge.job.record import Job, JobState, shard_of, tail_of
from ironforge.store.contract import Accepted, Most, Producer, Submission
from ironforge.store.producer.common_key import only_key
from ironforge.store.producer.routes import REPLAY, Moved, Route
from ironforge.store.sharding.fan_out import gather_all


class ShardProducer(Producer, Protocol):
    """What a shard offers beside what it would if it were the only one."""

    async def submit(
        self,
        batch: Sequence[Submission],
        *,
        most: Most | None = None,
        generations: Mapping[str, int] = ...,
    ) -> list[Accepted]:
        """`generations` of the routes that idempotency keys have. Raises Moved for a key that has a later one."""

    async def route(self, idempotency_key: str, route: Route) -> Route | None:
        """Makes a route unless this shard has a later one; which it has then. None: it has the answer itself."""


class ShardedProducer:
    """Implements `contract.Producer`."""

    def __init__(self, parts: Sequence[ShardProducer]) -> None:
        self._parts = parts

    async def submit(self, batch: Sequence[Submission], *, most: Most | None = None) -> list[Accepted]:
        """Raises InvalidJob for keys, or an id, that lead to different shards."""
        placed = self._placed(batch)
        groups: dict[int, list[int]] = {}
        for at, item in enumerate(placed):
            groups.setdefault(shard_of(item.job.id, len(self._parts)), []).append(at)
        if len(groups) == 1:
            return await self._submit(next(iter(groups)), placed, most)
        self._check_undivided(placed)
        answers: dict[int, Accepted] = {}
        calls = [
            _in_order(answers, group, self._submit(shard, [placed[at] for at in group], most))
            for shard, group in groups.items()
        ]
        await gather_all(calls)
        return [answers[at] for at in range(len(batch))]

    async def cancel(self, job_id: bytes) -> JobState:
        return await self._of(job_id).cancel(job_id)

    async def retry(self, job_id: bytes, *, reset_retry_count: bool, most: Most | None = None) -> Job:
        return await self._of(job_id).retry(job_id, reset_retry_count=reset_retry_count, most=most)

    async def set_paused(self, queue: str, *, paused: bool, most: Most | None = None) -> None:
        """When a shard is away, those that are not have done it."""
        await gather_all(part.set_paused(queue, paused=paused, most=most) for part in self._parts)

    async def release(self, kind: str, version: str, *, most: int, queues: Collection[str] | None = None) -> int:
        """One shard after the other. When one is away, those before it have done it."""
        released = 0
        for part in self._parts:
            released += await part.release(kind, version, most=most - released, queues=queues)
        return released

    def _of(self, job_id: bytes) -> ShardProducer:
        return self._parts[shard_of(job_id, len(self._parts))]

    def _home(self, idempotency_key: str) -> int:
        return tail_of(idempotency_key) % len(self._parts)

    def _placed(self, batch: Sequence[Submission]) -> Sequence[Submission]:
        """All in the shard of the key that their limits or unique keys have, but for ids of the caller's own."""
        text = only_key([item.job for item in batch])
        if text is None:
            return batch
        tail = tail_of(text)
        return [item if self._stays(item, tail) else _moved(item, tail) for item in batch]

    def _stays(self, item: Submission, tail: int) -> bool:
        job = item.job
        if shard_of(job.id, len(self._parts)) == tail % len(self._parts):
            return True
        if item.again and (job.limits or job.unique is not None):
            raise InvalidJob(
                "an id of one's own does not go together with a unique key or limits where there are several shards: "
                "these say where the job lies, so leave the id out",
                code="invalid_job_id",
                field="id",
                hint="leave the id out",
            )
        return item.again

    def _check_undivided(self, batch: Sequence[Submission]) -> None:
        """The answer to an idempotency key lies in one shard."""
        places = {(item.idempotency_key, shard_of(item.job.id, len(self._parts))) for item in batch}
        keys = [key for key, _ in places if key is not None]
        if len(keys) > len(set(keys)):
            raise InvalidJob(
                "the jobs of one idempotency key have ids of one's own that lie in different shards: leave the ids or "
                "the key out, either makes the submission safe to repeat",
                code="invalid_job_id",
                field="id",
                hint="leave the ids or the key out",
            )

    async def _submit(self, shard: int, batch: Sequence[Submission], most: Most | None) -> list[Accepted]:
        """Jobs that lie in one shard."""
        keys = {item.job.id: item.idempotency_key for item in batch if item.idempotency_key is not None}
        routes = {
            key: await self._route(key, shard) for key in dict.fromkeys(keys.values()) if self._home(key) != shard
        }
        while True:
            try:
                return await self._submit_by(routes, shard, batch, most)
            except Moved as moved:
                key = keys[moved.job_id]
                routes[key] = await self._route(key, shard, moved.generation)

    async def _submit_by(
        self, routes: Mapping[str, Route], shard: int, batch: Sequence[Submission], most: Most | None
    ) -> list[Accepted]:
        """Answers that other shards have come first: when one is a conflict nothing is stored."""
        elsewhere = {key: route.shard for key, route in routes.items() if route.shard != shard}
        generations = {key: route.generation for key, route in routes.items()}
        if not elsewhere:
            return await self._parts[shard].submit(batch, most=most, generations=generations)
        answers: dict[int, Accepted] = {}
        for place in (*dict.fromkeys(elsewhere.values()), shard):
            group = [at for at, item in enumerate(batch) if elsewhere.get(item.idempotency_key or "", shard) == place]
            part = [batch[at] for at in group]
            await _in_order(answers, group, self._parts[place].submit(part, most=most, generations=generations))
        return [answers[at] for at in range(len(batch))]

    async def _route(self, key: str, shard: int, generation: int = 0) -> Route:
        """The route of an idempotency key whose jobs lie in `shard`, of this generation at least: there, or, for an
        answer that another one has, to that.

        Whoever changes it meanwhile has other content under the same key, so that ends when one of them is stored.
        """
        generation = max(generation, 1)
        while True:
            found = await self._parts[self._home(key)].route(key, Route(generation, shard))
            if found is None:
                return Route(REPLAY, self._home(key))
            if found.shard == shard:
                return found
            shut = await self._parts[found.shard].route(key, Route(found.generation + 1, shard))
            if shut is None:
                return Route(REPLAY, found.shard)
            generation = max(found.generation + 1, shut.generation)


async def _in_order(
    answers: dict[int, Accepted], group: Sequence[int], call: Coroutine[Any, Any, list[Accepted]]
) -> None:
    """What `call` answers to some jobs of a batch, which have these numbers in it."""
    try:
        answers |= zip(group, await call, strict=True)
    except (InvalidJob, Duplicate) as error:
        error.index = group[error.index or 0]  # one that is alone has none
        raise


def _moved(item: Submission, tail: int) -> Submission:
    return msgspec.structs.replace(item, job=msgspec.structs.replace(item.job, id=item.job.id[:-1] + bytes((tail,))))
