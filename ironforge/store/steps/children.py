"""Submitting the children of a job that runs, and reading what became of them.

How far it is stands in the journal of the parent, and is written by the script that stores the children: whoever goes
on after a crash submits none twice. Those with keys that lead to another shard are noted as open before they are
submitted there, with ids that say which child they are, so there it may be repeated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from ironforge.errors import IncompatibleRecord
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import RECORD_VERSION, Job, JobState, decode, format_id, tail_of
from ironforge.redis.connection import Command
from ironforge.redis.family_keys import children_of, results_of
from ironforge.redis.outages import retry_through_outage
from ironforge.redis.replies import rows
from ironforge.redis.scripts import CHILDREN, OPEN_CHILDREN
from ironforge.redis.step_keys import journal_of
from ironforge.settings import Settings
from ironforge.steps import journal
from ironforge.steps.children import ChildrenState, child_id, decode_state, encode_state
from ironforge.steps.errors import StepError
from ironforge.steps.journal import Entry
from ironforge.steps.waits import ParentRef, member_of
from ironforge.store.contract import Most
from ironforge.store.node_contract import Lease
from ironforge.store.producer.common_key import only_key
from ironforge.store.producer.refusals import refusal
from ironforge.store.producer.submit_call import Batch, SubmitCall
from ironforge.store.steps.contract import NewChildren, ParentRun
from ironforge.store.steps.ends import end_record
from ironforge.store.steps.links import Call, ChildEnd, ShardLink, ShardLinks, deliver_ends, store
from ironforge.store.steps.submission import Child, ChildrenSubmission, with_different_keys

# Submitted in one script; their records have about so many bytes at most, unless one alone has more.
AT_ONCE: Final = 500
BYTES_AT_ONCE: Final = 4 * 1024 * 1024
# Given back in one call, and of how many bytes.
RESULTS_AT_ONCE: Final = 500
RESULT_BYTES_AT_ONCE: Final = 1024 * 1024
# As a script says that a child is stored under the id of the job whose place it takes, or stands for it and is not.
_INSTEAD: Final = 4
_STANDS_FOR: Final = 2


class RedisChildren:
    """Implements `contract.Children` for one lease."""

    def __init__(self, settings: Settings, lease: Lease, links: ShardLinks) -> None:
        self._settings = settings
        self._most = Most(settings.max_queues, settings.max_limit_keys)
        self._lease = lease
        self._links = links
        self._keys, self._connection, _ = links.own

    async def submit(self, run: ParentRun, field: str, children: NewChildren, entry: Entry | None) -> Entry:
        """As `Children.submit`."""
        count = children.size
        stored = await self._stored(run, field) if entry is not None else b""
        submission = ChildrenSubmission(run, field, children, stored)
        state = submission.start(count)
        if state.generation < run.job.revivals:
            if state.is_complete and not await self._unfinished(run, field, state, range(count)):
                return journal.decode(stored)
            state = submission.new_life(state)
        if encode_state(state) != submission.result:
            await self._advance(submission, [], state)
        while not state.is_complete and (room := await self._room(submission)):
            part = range(state.submitted, min(count, state.submitted + AT_ONCE))
            wanted = part if len(state.generations) == 1 else await self._unfinished(run, field, state, part)
            made, end = self._made(submission, state, wanted, part.stop, room)
            state = msgspec.structs.replace(state, submitted=end)
            await self._submit_apart(submission, [child for child in made if child.is_apart])
            await self._advance(submission, [child for child in made if not child.is_apart], state)
        return journal.decode(submission.seen)

    async def _room(self, submission: ChildrenSubmission) -> int:
        """For how many children there is some now. They only become fewer meanwhile: a job waits for one step at a
        time, and one run of it submits."""
        if submission.window is None:
            return AT_ONCE
        key = children_of(self._keys, submission.run.job.id)
        is_open: int = await retry_through_outage(lambda: self._connection.call("HLEN", key))
        return max(0, submission.window.most - is_open)

    async def _stored(self, run: ParentRun, field: str) -> bytes:
        key = journal_of(self._keys, run.job.id)
        return await retry_through_outage(lambda: self._connection.call("HGET", key, field)) or b""

    async def results(self, run: ParentRun, field: str, entry: Entry, first: int, most: int) -> list[Job]:
        """As `Children.results`."""
        state = decode_state(entry.result)
        key = results_of(self._keys, run.job.id)
        indexes = range(first, min(state.count, first + min(most, RESULTS_AT_ONCE)))
        kept = await self._kept(run, field, state, indexes)
        chosen: list[str] = []
        size = 0
        for index in indexes:
            if index not in kept:
                raise IncompatibleRecord(f"nothing is known of child {index} of step {field!r}: its end was lost")
            member, length = kept[index]
            size += length
            if chosen and size > RESULT_BYTES_AT_ONCE:
                break
            chosen.append(member)
        if not chosen:
            return []
        records = await retry_through_outage(lambda: self._connection.call("HMGET", key, *chosen))
        return [decode(record) for record in records]

    async def _kept(
        self, run: ParentRun, field: str, state: ChildrenState, indexes: Sequence[int]
    ) -> dict[int, tuple[str, int]]:
        """By index, what the newest generation says of it: its name, and how many bytes."""
        key = results_of(self._keys, run.job.id)
        found: dict[int, tuple[str, int]] = {}
        for generation in reversed(state.generations):
            left = [index for index in indexes if index not in found]
            if not left:
                break
            members = [member_of(field, index, generation) for index in left]
            ask: list[Command] = [["HSTRLEN", key, member] for member in members]
            lengths = await retry_through_outage(lambda: self._connection.pipeline(ask))  # noqa: B023 - at once
            found |= {
                index: (member, length)
                for index, member, length in zip(left, members, lengths, strict=True)
                if length > 0
            }
        return found

    async def _unfinished(self, run: ParentRun, field: str, state: ChildrenState, indexes: range) -> list[int]:
        """Those that no life of the parent but this one has completed."""
        key = results_of(self._keys, run.job.id)
        unfinished: list[int] = []
        for start in range(0, len(indexes), AT_ONCE):
            left = list(indexes[start : start + AT_ONCE])
            for generation in state.generations:
                if not left or generation == run.job.revivals:
                    break
                members = [member_of(field, index, generation) for index in left]
                records = await retry_through_outage(lambda: self._connection.call("HMGET", key, *members))  # noqa: B023 - at once
                left = [index for index, record in zip(left, records, strict=True) if not _has_completed(record)]
            unfinished += left
        return unfinished

    def _made(
        self, submission: ChildrenSubmission, state: ChildrenState, wanted: Iterable[int], end: int, room: int
    ) -> tuple[list[Child], int]:
        """Children, and the index up to which they are all; not more than there is room for, or than go into one
        script."""
        children: list[Child] = []
        size = 0
        for index in wanted:
            if len(children) == room:
                return children, index
            child = self._child(submission, state.generation, index)
            size += len(child.item.job.payload)
            if children and size > BYTES_AT_ONCE:
                return children, index
            children.append(child)
        return children, end

    def _child(self, submission: ChildrenSubmission, generation: int, index: int) -> Child:
        item, parent = submission.make(index), submission.run.job
        low = 0 if submission.window is None else submission.window.low
        ref = ParentRef(parent.id, submission.field, index, generation, low=low)
        tail = parent.id[-1]
        if len(self._links.shards) > 1 and (text := only_key([item.job])) is not None:
            tail = tail_of(text)
        at_ms = submission.started_ms
        job_id = child_id(parent.id, ref.member, at_ms, tail)
        is_apart = self._links.number_of(job_id) != self._links.shard
        ref = msgspec.structs.replace(ref, apart=is_apart)
        ready_ms = at_ms + item.delay_ms if item.delay_ms else item.run_at_ms or 0
        changes = {"id": job_id, "created_ms": at_ms, "ready_ms": ready_ms, "parent": ref, "version": RECORD_VERSION}
        job = msgspec.structs.replace(item.job, **changes)
        return Child(ref.member, msgspec.structs.replace(item, job=job, idempotency_key=None, again=is_apart), is_apart)

    async def _advance(self, submission: ChildrenSubmission, children: Sequence[Child], state: ChildrenState) -> None:
        """Store these, with how far that is. Raises what refuses one of them, then nothing was done."""
        run = submission.run
        call = SubmitCall(
            self._keys, self._settings, [Batch([child.item for child in children], self._most, {})], repeated=False
        )
        becomes = journal.encode(submission.entry_of(state))
        told = _pack(
            [
                self._lease.node,
                str(self._lease.epoch),
                _raw(run.job.id),
                run.place,
                submission.field,
                _raw(submission.seen),
                _raw(becomes),
                str(run.job.fence),
                [child.member for child in children],
            ]
        )
        stored = Call(CHILDREN, call.keys, [*call.arguments, told], len(children), call.size)
        verdict, *rest = await store(self._links.own, stored)
        if verdict == b"refused":
            refused = refusal(rest[0])
            assert refused is not None
            raise refused
        if verdict != b"done":
            raise StepError(f"no more children of step {submission.field!r} can be submitted: {_REASONS[verdict]}")
        submission.seen = becomes

    async def _submit_apart(self, submission: ChildrenSubmission, children: Sequence[Child]) -> None:
        """To other shards."""
        if not children:
            return
        over = await self._open(submission, [(child.member, child.item.job.id) for child in children])
        by_shard: defaultdict[int, list[Child]] = defaultdict(list)
        for number, child in enumerate(children):
            if number not in over:
                by_shard[self._links.number_of(child.item.job.id)].append(child)
        for shard, group in by_shard.items():
            for part in with_different_keys(group):
                await self._submit_to(submission, self._links.shards[shard], part)

    async def _submit_to(self, submission: ChildrenSubmission, link: ShardLink, children: Sequence[Child]) -> None:
        call = SubmitCall(
            link.keys, self._settings, [Batch([child.item for child in children], self._most, {})], repeated=True
        )
        reply = await store(link, Call(call.script, call.keys, call.arguments, len(children), call.size))
        if refused := refusal(reply):
            raise refused
        instead: list[tuple[str, bytes]] = []
        ended: list[ChildEnd] = []
        for number, job_id, _, before in rows(reply, 4):
            child = children[number]
            if before & _INSTEAD:
                instead.append((child.member, job_id))
            elif before & _STANDS_FOR:
                reason = f"job {format_id(job_id)} has its unique key"
                job = child.item.job.finish(JobState.CANCELLED, now_ms(), reason=reason)
                ended.append(ChildEnd(submission.run.job.id, child.member, end_record(job)))
        if instead:
            await self._open(submission, instead, instead=True)
        if ended:
            await retry_through_outage(lambda: deliver_ends(self._links.own, ended))

    async def _open(
        self, submission: ChildrenSubmission, children: Sequence[tuple[str, bytes]], *, instead: bool = False
    ) -> list[int]:
        """Note where they are; which of them have ended."""
        run = submission.run
        keys = OPEN_CHILDREN.keys(
            self._keys,
            fence=self._keys.fence(self._lease.node),
            children=children_of(self._keys, run.job.id),
            results=results_of(self._keys, run.job.id),
        )
        arguments: list[str | bytes | int] = [self._lease.epoch, run.job.id, run.place, int(instead)]
        for child in children:
            arguments += child
        opening = Call(OPEN_CHILDREN, keys, arguments, len(children), 0)
        over = await store(self._links.own, opening)
        if not isinstance(over, list):
            raise StepError(f"no more children of step {submission.field!r} can be submitted: {_REASONS[b'stopped']}")
        return over


_REASONS: Final = {
    b"stopped": "the job was told to stop",
    b"moved": "another run, or another call, has changed it",
}


def _has_completed(record: bytes | None) -> bool:
    return record is not None and decode(record).ended == JobState.COMPLETED


def _raw(text: bytes) -> msgspec.Raw:
    """Packed as text: what unpacks it in Lua is older than binary data in msgpack."""
    return msgspec.Raw(b"\xda" + len(text).to_bytes(2) + text)


_pack: Final = msgspec.msgpack.Encoder().encode
