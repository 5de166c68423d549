"""Submitting the jobs of nodes that may start, with options that take more than what moves workflows on knows:
unique keys, limits, delays, an expiry.

Each stays in `ready` until one script has seen that it may start and stored its job: so any node of the cluster may do
it, and again. One whose keys lead to another shard counts as running first, and then is submitted there, under an id
and with a record that stays long enough for that to be repeated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from redis.exceptions import RedisError, ResponseError

from ironforge.errors import IncompatibleRecord, InvalidJob, StoreError
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import JobState, decode, format_id
from ironforge.logs.setup import get_logger
from ironforge.redis.causes import said
from ironforge.redis.connection import Command
from ironforge.redis.outages import is_wrong_type
from ironforge.redis.replies import pairs, rows
from ironforge.redis.scripts import END_NODES, OPEN_NODES, RELEASE
from ironforge.settings import Settings
from ironforge.store.contract import Most, Submission
from ironforge.store.producer.refusals import refusal
from ironforge.store.producer.submit_call import Batch, SubmitCall
from ironforge.store.retention import milliseconds, score_ms
from ironforge.store.steps.ends import end_record
from ironforge.store.steps.links import Call, ChildEnd, ShardLink, ShardLinks, deliver_ends, store_once
from ironforge.store.workflows.nodes import HeldJob, decode_held

# Looked at in one sweep, and of so many bytes, but one at least.
NODES_AT_ONCE: Final = 100
BYTES_AT_ONCE: Final = 4 * 1024 * 1024
# When a node is looked at again that found no room for its limits, or is torn.
AGAIN_MS: Final = 1_000
# How long the record of a job stays at least that is submitted to another shard: longer than a try of that takes.
LOOKED_UP_MS: Final = 600_000
# As a script says that a job is stored under the id of the one whose place it takes, or stands for it and is not.
_INSTEAD: Final = 4
_STANDS_FOR: Final = 2
# What a workflow may have was accepted with it: neither a full queue nor many names keep its nodes from starting.
_NO_LIMIT: Final = 2**31

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
        self._settings = msgspec.structs.replace(settings, max_queue_length=0)
        self._most = Most(_NO_LIMIT, settings.max_limit_keys)
        self._links = links
        self._keys, self._connection, _ = links.own
        self._default_ms = round(settings.retention_seconds * 1000)

    async def sweep(self) -> bool:
        """Whether there is more to do at once. Raises what the connection raises; the rest is done later then."""
        asked: list[Command] = [["TIME"], ["ZRANGE", self._keys.ready, 0, NODES_AT_ONCE - 1, "WITHSCORES"]]
        time, flat = await self._connection.pipeline(asked)
        at_ms = milliseconds(time)
        due = [key for key, score in pairs(flat) if score_ms(score) <= at_ms]
        if not due:
            return False
        nodes, is_all = await self._read(due, at_ms)
        await self._release([node for node in nodes if not node.is_apart])
        by_shard: defaultdict[int, list[_Ready]] = defaultdict(list)
        for node in nodes:
            if node.is_apart:
                by_shard[self._links.number_of(node.item.job.id)].append(node)
        for shard, group in by_shard.items():
            await self._release_to(self._links.shards[shard], group)
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
        retain_ms = job.retain_ms
        if is_apart:
            retain_ms = max(self._default_ms if retain_ms is None else retain_ms, LOOKED_UP_MS)
        job = msgspec.structs.replace(job, ready_ms=ready_ms, retain_ms=retain_ms)
        item = Submission(job, held.delay_ms, held.run_at_ms, again=is_apart, expires_in_ms=held.expires_in_ms)
        return _Ready(key, item, is_apart)

    async def _put_off_torn(self, keys: Sequence[bytes]) -> None:
        """Those of workflows that are no more are forgotten."""
        asked: list[Command] = [["EXISTS", self._keys.graph(key[:16].hex())] for key in keys]
        for key, is_there in zip(keys, await self._connection.pipeline(asked), strict=True):
            if is_there:
                await self._put_off(key)
            else:
                await self._connection.call("ZREM", self._keys.ready, key)

    async def _put_off(self, key: bytes) -> None:
        time = milliseconds(await self._connection.call("TIME"))
        await self._connection.call("ZADD", self._keys.ready, "XX", time + AGAIN_MS, key)

    def _call(self, link: ShardLink, nodes: Sequence[_Ready], *, repeated: bool) -> SubmitCall:
        return SubmitCall(
            link.keys, self._settings, [Batch([each.item for each in nodes], self._most, {})], repeated=repeated
        )

    async def _release(self, nodes: Sequence[_Ready]) -> None:
        """Those of this shard: all at once, or what is refused by itself."""
        while nodes:
            call = self._call(self._links.own, nodes, repeated=False)
            words = _pack([_raw(word) for each in nodes for word in each.words])
            try:
                verdict, *rest = await self._connection.run(RELEASE, call.keys, [*call.arguments, words])
            except ResponseError as error:
                if not is_wrong_type(error):
                    raise
                verdict, rest = b"refused", [error]
            if verdict == b"done":
                return
            if verdict == b"over":
                nodes = [each for number, each in enumerate(nodes) if number not in rest]
                continue
            if len(nodes) == 1:
                await self._refused(nodes[0], refusal(rest[0]))
                return
            for each in nodes:
                await self._release([each])
            return

    async def _refused(self, node: _Ready, error: Exception | None) -> None:
        """What can never start ends; all else is tried again."""
        assert error is not None
        if not isinstance(error, InvalidJob):
            log.debug("node_of_workflow_not_submitted", workflow_id=format_id(node.workflow), error=said(error))
            await self._put_off(node.key)
            return
        record = self._failed(node, str(error))
        await self._connection.run(END_NODES, END_NODES.keys(self._keys), [*node.words, record])

    def _failed(self, node: _Ready, reason: str) -> bytes:
        return end_record(node.item.job.finish(JobState.DEAD, now_ms(), reason=f"it could not be submitted: {reason}"))

    # ----------------------------------------------------------------------- to other shards

    async def _release_to(self, link: ShardLink, nodes: Sequence[_Ready]) -> None:
        over = await self._open([(each, b"") for each in nodes])
        for number, each in enumerate(nodes):
            if number in over:
                continue
            try:
                await self._submit_to(link, each)
            except (RedisError, OSError, StoreError) as error:
                log.warning("node_of_workflow_not_submitted", workflow_id=format_id(each.workflow), error=said(error))
                await self._put_off(each.key)

    async def _open(self, nodes: Sequence[tuple[_Ready, bytes]]) -> list[int]:
        words = [word for node, job_id in nodes for word in (*node.words, job_id)]
        over: list[int] = await self._connection.run(OPEN_NODES, OPEN_NODES.keys(self._keys), words)
        return over

    async def _submit_to(self, link: ShardLink, node: _Ready) -> None:
        """One that runs, as far as its workflow knows. Raises what keeps it from being submitted for now."""
        call = self._call(link, [node], repeated=True)
        reply = await store_once(link, Call(call.script, call.keys, call.arguments, 1, call.size))
        refused = refusal(reply)
        if isinstance(refused, InvalidJob):
            await self._told(node, self._failed(node, str(refused)))
        elif refused:
            raise refused
        for _, job_id, _, before in rows(reply, 4) if not refused else ():
            if before & _INSTEAD:
                await self._open([(node, job_id)])
            elif before & _STANDS_FOR:
                reason = f"job {format_id(job_id)} has its unique key"
                await self._told(node, end_record(node.item.job.finish(JobState.CANCELLED, now_ms(), reason=reason)))
        await self._connection.call("ZREM", self._keys.ready, node.key)

    async def _told(self, node: _Ready, record: bytes) -> None:
        await deliver_ends(self._links.own, [ChildEnd(node.workflow, node.member, record)])


def _raw(word: bytes | str) -> msgspec.Raw:
    """Packed as text: what unpacks it in Lua is older than binary data in msgpack."""
    text = word.encode() if isinstance(word, str) else word
    return msgspec.Raw(b"\xda" + len(text).to_bytes(2) + text)


_pack: Final = msgspec.msgpack.Encoder().encode
