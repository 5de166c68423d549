"""Submitting the jobs of nodes that may start, with options that take more than what moves workflows on knows:
unique keys, limits, delays, an expiry.

Each stays in `ready` until one script has seen that it may start and stored its job: so any node of the cluster may do
it, and again. One whose keys lead to another shard counts as running first, and then is submitted there, under an id
and with a record that stays long enough for that to be repeated.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from redis.exceptions import RedisError, ResponseError

from ironforge.errors import IncompatibleRecord, InvalidJob, QueueFull, QuotaExceeded, StoreError
from ironforge.job.limits import LimitUse
from ironforge.job.record import decode, format_id
from ironforge.logs.setup import get_logger
from ironforge.redis.causes import said
from ironforge.redis.connection import Command
from ironforge.redis.outages import is_wrong_type
from ironforge.redis.replies import pairs
from ironforge.redis.scripts import END_NODES, OPEN_NODES, RELEASE
from ironforge.settings import Settings
from ironforge.store.contract import Submission
from ironforge.store.producer.refusals import refusal
from ironforge.store.producer.submit_call import Batch, SubmitCall
from ironforge.store.retention import milliseconds, score_ms
from ironforge.store.steps.ends import end_record
from ironforge.store.steps.links import ChildEnd, ShardLinks, deliver_ends
from ironforge.store.workflows.apart import cannot_be_submitted, store_apart, without_bounds
from ironforge.store.workflows.nodes import HeldJob, decode_held

# Looked at in one sweep, and of so many bytes, but one at least.
NODES_AT_ONCE: Final = 100
BYTES_AT_ONCE: Final = 4 * 1024 * 1024
# When a node is looked at again that found no room for its limits, or is torn.
AGAIN_MS: Final = 1_000
log = get_logger("ironforge.store")


class _Ready(NamedTuple):
    """`key`: of it in `ready`."""

    key: bytes
    item: Submission
    is_apart: bool

    @property
    def workflow(self) -> bytes:
        return self.key[:16]

    @property
    def words(self) -> list[bytes | str]:
        """As scripts name it: its workflow, its number, its generation, and what `results` calls it."""
        number, _, generation = self.key[16:].partition(b".")
        return [self.workflow, number, generation, self.member]

    @property
    def member(self) -> str:
        parent = self.item.job.parent
        assert parent is not None
        return parent.member


class ReadyNodes:
    """Of one shard."""

    def __init__(self, settings: Settings, links: ShardLinks) -> None:
        self._settings = settings
        self._unbounded, self._most = without_bounds(settings)
        self._links = links
        self._keys, self._connection, _ = links.own

    async def sweep(self) -> bool:
        """Whether there is more to do at once. Raises what the connection raises; the rest is done later then."""
        asked: list[Command] = [["TIME"], ["ZRANGE", self._keys.ready, 0, NODES_AT_ONCE - 1, "WITHSCORES"]]
        time, flat = await self._connection.pipeline(asked)
        at_ms = milliseconds(time)
        due = [key for key, score in pairs(flat) if score_ms(score) <= at_ms]
        if not due:
            return False
        nodes, is_all = await self._read(due, at_ms)
        here = [node for node in nodes if not node.is_apart]
        try:
            await self._release(here)
        except (QuotaExceeded, QueueFull):  # of the only one
            await self._put_off([node.key for node in here])
        await self._release_apart([node for node in nodes if node.is_apart])
        return not is_all or len(due) == NODES_AT_ONCE

    async def _read(self, due: Sequence[bytes], at_ms: int) -> tuple[list[_Ready], bool]:
        """What is to be submitted of these, and whether that is all. What cannot be read is put off: others go on."""
        places = [(self._keys.graph(key[:16].hex()), b"R" + key[16:].partition(b".")[0]) for key in due]
        asked: list[Command] = [["HSTRLEN", *place] for place in places]
        sizes = await self._connection.pipeline(asked, tolerate=("WRONGTYPE",))
        count, size = 0, 0
        for length in sizes:
            size += length if isinstance(length, int) else 0
            if count and size > BYTES_AT_ONCE:
                break
            count += 1
        asked = [["HGET", *place] for place in places[:count]]
        values = await self._connection.pipeline(asked, tolerate=("WRONGTYPE",))
        nodes, torn = [], []
        for key, value in zip(due, values, strict=False):
            node = self._made(key, value, at_ms)
            if node is None:
                torn.append(key)
            else:
                nodes.append(node)
        if torn:
            await self._put_off_torn(torn)
        return nodes, count == len(due)

    def _made(self, key: bytes, value: object, at_ms: int) -> _Ready | None:
        try:
            held = decode_held(value) if isinstance(value, bytes) else None
            return None if held is None else self._ready(key, held, at_ms)
        except IncompatibleRecord as error:
            log.warning("node_of_workflow_not_read", workflow_id=format_id(key[:16]), error=str(error))
            return None

    def _ready(self, key: bytes, held: HeldJob, at_ms: int) -> _Ready:
        """As it starts now."""
        job = decode(held.record)
        ready_ms = at_ms + held.delay_ms if held.delay_ms else max(at_ms, held.run_at_ms or 0)
        is_apart = self._links.number_of(job.id) != self._links.shard
        job = msgspec.structs.replace(job, ready_ms=ready_ms)
        item = Submission(job, held.delay_ms, held.run_at_ms, expires_in_ms=held.expires_in_ms)
        return _Ready(key, item, is_apart)

    async def _put_off_torn(self, keys: Sequence[bytes]) -> None:
        """Those of workflows that are no more are forgotten."""
        asked: list[Command] = [["EXISTS", self._keys.graph(key[:16].hex())] for key in keys]
        found = dict(zip(keys, await self._connection.pipeline(asked), strict=True))
        await self._put_off([key for key, is_there in found.items() if is_there])
        if gone := [key for key, is_there in found.items() if not is_there]:
            await self._connection.call("ZREM", self._keys.ready, *gone)

    async def _put_off(self, keys: Sequence[bytes]) -> None:
        """In any order next time, so that one does not always keep the others from being tried."""
        time = milliseconds(await self._connection.call("TIME"))
        words: list[str | bytes | int] = []
        for key in keys:
            words += (time + AGAIN_MS + random.randrange(AGAIN_MS), key)
        if words:
            await self._connection.call("ZADD", self._keys.ready, "XX", *words)

    async def _release(self, nodes: Sequence[_Ready]) -> None:
        """Those of this shard: all at once, or what is refused by itself."""
        while nodes:
            verdict, rest = await self._ask(nodes)
            if verdict == b"done":
                return
            if verdict == b"over":
                nodes = [each for number, each in enumerate(nodes) if number not in rest]
            elif len(nodes) > 1:
                await self._release_singly(nodes)
                return
            else:
                await self._refused(nodes[0], refusal(rest[0]))
                return

    async def _release_singly(self, nodes: Sequence[_Ready]) -> None:
        """Where there is no room for the keys of one, others with these are not tried."""
        put_off: list[bytes] = []
        full: set[tuple[LimitUse, ...]] = set()
        for each in nodes:
            uses = each.item.job.limits
            if uses in full:
                put_off.append(each.key)
                continue
            try:
                await self._release([each])
            except (QuotaExceeded, QueueFull):
                put_off.append(each.key)
                full.add(uses)
        await self._put_off(put_off)

    async def _ask(self, nodes: Sequence[_Ready]) -> tuple[bytes, list[Any]]:
        batch = Batch([each.item for each in nodes], self._most, {})
        call = SubmitCall(self._keys, self._unbounded, [batch], repeated=False)
        words = _pack([_raw(word) for each in nodes for word in each.words])
        try:
            verdict, *rest = await self._connection.run(RELEASE, call.keys, [*call.arguments, words])
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
            return b"refused", [error]
        return verdict, rest

    async def _refused(self, node: _Ready, error: Exception | None) -> None:
        """What can never start ends; all else is tried again. Raises QuotaExceeded, QueueFull."""
        assert error is not None
        if isinstance(error, InvalidJob):
            record = end_record(cannot_be_submitted(node.item.job, error))
            await self._connection.run(END_NODES, END_NODES.keys(self._keys), [*node.words, record])
        elif isinstance(error, (QuotaExceeded, QueueFull)):
            raise error
        else:
            log.warning("node_of_workflow_not_submitted", workflow_id=format_id(node.workflow), error=said(error))
            await self._put_off([node.key])

    # ----------------------------------------------------------------------- to other shards

    async def _release_apart(self, nodes: Sequence[_Ready]) -> None:
        for each in nodes:
            try:
                if await self._opens(each):
                    await self._store(each)
            except (RedisError, OSError, StoreError, QuotaExceeded) as error:
                log.debug("node_of_workflow_not_submitted", workflow_id=format_id(each.workflow), error=said(error))
                await self._put_off([each.key])

    async def _opens(self, node: _Ready, job_id: bytes = b"") -> bool:
        """Whether it runs from now on, or did before and has not ended. `job_id`: under which its job was stored."""
        over = await self._connection.run(OPEN_NODES, OPEN_NODES.keys(self._keys), [*node.words, job_id])
        return not over

    async def _store(self, node: _Ready) -> None:
        """One that runs, as far as its workflow knows. Raises what keeps it from being submitted for now."""
        stored = await store_apart(self._settings, self._links, node.item)
        if stored.ended is not None:
            end = ChildEnd(node.workflow, node.member, end_record(stored.ended))
            await deliver_ends(self._links.own, [end])
        elif stored.id != node.item.job.id:
            await self._opens(node, stored.id)
        await self._connection.call("ZREM", self._keys.ready, node.key)


def _raw(word: bytes | str) -> msgspec.Raw:
    """Packed as text: what unpacks it in Lua is older than binary data in msgpack."""
    text = word.encode() if isinstance(word, str) else word
    return msgspec.Raw(b"\xda" + len(text).to_bytes(2) + text)


_pack: Final = msgspec.msgpack.Encoder().encode
