"""The shards of a namespace as a node reaches them, for what goes from one to another: children, and their ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import OutOfMemoryError, ResponseError

from ironforge.job.record import decode, shard_of
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import raise_store_error, retry_through_outage
from ironforge.redis.scripts import DELIVER_ENDS, Script
from ironforge.redis.workflow_keys import end_item, is_node
from ironforge.store.producer.admission import Admission


class ShardLink(NamedTuple):
    keys: Keys
    connection: Connection
    admission: Admission


class ShardLinks(NamedTuple):
    """To all shards of a namespace, in their order, for what is done in the one with this number."""

    shards: Sequence[ShardLink]
    shard: int

    @property
    def own(self) -> ShardLink:
        return self.shards[self.shard]

    def number_of(self, job_id: bytes) -> int:
        """Of the shard where this job lies."""
        return shard_of(job_id, len(self.shards))


class ChildEnd(NamedTuple):
    """What a parent in another shard is to hear of a child: its own id, how it calls that, and its record."""

    parent: bytes
    member: str | bytes
    record: bytes


class Call(NamedTuple):
    """A script that stores `jobs` with records of `size` bytes."""

    script: Script
    keys: Sequence[str]
    arguments: Command
    jobs: int
    size: int


async def store(link: ShardLink, call: Call) -> Any:
    """What it says, once that has met the durability mode; through an outage, so it may be repeated. Raises
    StoreUnavailable while memory is full: a job that wants more may try that again later."""

    return await retry_through_outage(lambda: store_once(link, call))


async def store_once(link: ShardLink, call: Call) -> Any:
    """As `store`, but for outages: it raises what the connection raises then."""
    await link.admission.check(link.connection)
    try:
        reply = await link.connection.run(call.script, call.keys, call.arguments)
    except OutOfMemoryError as error:
        raise_store_error(error)
    asked = link.admission.questions(call.jobs, call.size)
    if asked and (shortfall := link.admission.shortfall(await link.connection.exchange(asked))):
        raise ResponseError(f"NOREPLICAS {shortfall}")
    return reply


def _item_of(end: ChildEnd) -> bytes:
    """What moves its workflow on; empty for a child that is no node."""
    return end_item(end.parent, end.member, decode(end.record).ended) if is_node(end.member) else b""


async def deliver_ends(link: ShardLink, ends: Sequence[ChildEnd]) -> None:
    """To parents in this shard. Raises what the connection raises."""
    arguments = [word for end in ends for word in (*end, _item_of(end))]
    await link.connection.run(DELIVER_ENDS, DELIVER_ENDS.keys(link.keys), arguments)
