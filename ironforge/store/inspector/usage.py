"""What a namespace costs the server now, and the buckets that limit how fast it may submit.

Jobs are counted exactly, all at one moment, and bytes as the server estimates them; asking walks no job. Nodes of
workflows that have not started have no jobs yet: of more than a thousand workflows some stand for the others. So do
journals of some jobs for those of many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ironforge.redis.connection import DoorConnection
from ironforge.redis.keys import LINE_ENDINGS, STREAM_ENDINGS, Keys
from ironforge.redis.scripts import SPEND, USAGE
from ironforge.redis.shards import shards_of
from ironforge.settings import Settings


class Usage(NamedTuple):
    """`stored_jobs`: not ended, or dead, and nodes of workflows that have not started; `in_flight`: queued or
    running."""

    stored_jobs: int
    in_flight: int
    stored_bytes: int


class Bucket(NamedTuple):
    """`name` tells the buckets of a namespace apart."""

    name: str
    per_second: float
    capacity: int


class Short(NamedTuple):
    """The bucket at `place` has `tokens` only, and enough in `wait_seconds`."""

    place: int
    tokens: int
    wait_seconds: float


class RedisUsage:
    """A connection to each shard of one namespace; the buckets are in the first.

    Raises StoreUnavailable when a server cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._shards = [(keys, DoorConnection(settings.redis_url, keys.prefix)) for keys in shards_of(settings)]

    async def measure(self) -> Usage:
        parts = [await _measure(keys, connection) for keys, connection in self._shards]
        return Usage(*(sum(numbers) for numbers in zip(*parts, strict=True)))

    async def spend(self, jobs: int, buckets: Sequence[Bucket], *, paid: int = 0) -> Short | None:
        """Take a token for each job from every bucket, or from none; None when all had enough. `paid`: tokens that were
        taken before for the same submission."""
        limits = [str(number) for bucket in buckets for number in (bucket.per_second, bucket.capacity)]
        keys, connection = self._shards[0]
        names = [keys.rate(bucket.name) for bucket in buckets]
        number, *rest = await connection.run(SPEND, names, [jobs, paid, *limits])
        return Short(number - 1, rest[0], rest[1] / 1000) if number else None

    async def close(self) -> None:
        for _, connection in self._shards:
            await connection.close()


async def _measure(keys: Keys, connection: DoorConnection) -> Usage:
    known, aside, dead, size, unstarted = await connection.run(
        USAGE, USAGE.keys(keys), [len(STREAM_ENDINGS), *STREAM_ENDINGS, *LINE_ENDINGS]
    )
    return Usage(known + unstarted, known - aside - dead, size)
