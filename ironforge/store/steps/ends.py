"""What the end of a job does to what it is tied to: its journal lives as long as its record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from ironforge.formats.timestamps import now_ms
from ironforge.job.record import RECORD_VERSION, Job, Priority, created_ms_of, decode, encode
from ironforge.redis.connection import Command, Connection
from ironforge.redis.family_keys import children_of, results_of
from ironforge.redis.keys import Keys
from ironforge.redis.scripts import DROP_WORKFLOWS
from ironforge.redis.step_keys import journal_of, journals_of
from ironforge.redis.workflow_keys import end_item
from ironforge.steps.waits import ParentRef, Ties
from ironforge.store.retention import RetentionBuckets

JOURNALS_AT_ONCE: Final = 500
WORKFLOWS_AT_ONCE: Final = 100


class Tied(NamedTuple):
    """A job that ends, as `Settled` has it: `record` is empty when nothing is retained, but for
    that of a child, which its parent gets."""

    job_id: bytes
    record: bytes
    retention_ms: int
    ties: Ties


class ParentAsked(NamedTuple):
    """Asks how many children of a parent are open. It goes on when those are no more than `low`."""

    command: Command
    low: int


def end_ties(
    keys: Keys, buckets: RetentionBuckets, tied: Sequence[Tied], commands: list[Command], touched: list[str]
) -> list[ParentAsked]:
    """Adds to the commands of the transaction that settles these jobs, and to the keys that it touches. Gives what
    tells whether parents here go on by these ends; a workflow does in any case."""
    told: defaultdict[bytes, list[str | bytes]] = defaultdict(list)
    low: dict[bytes, int] = {}
    nodes: list[Job] = []
    for job_id, record, retention_ms, ties in tied:
        if not ties:
            continue
        if ties[0]:
            place = buckets.place(job_id, retention_ms if record else 0)
            kept = journal_of(keys, job_id), results_of(keys, job_id)
            touched += (*kept, keys.families)
            # Of a job without children there are no results, and it is no family.
            commands += [["EXPIRE", key, place.seconds] if place.seconds else ["UNLINK", key] for key in kept]
            if place.seconds:
                journals = journals_of(keys, place.bucket)
                touched.append(journals)
                commands.append(["SADD", journals, job_id])
                commands += (["EXPIRE", journals, place.seconds, "NX"], ["EXPIRE", journals, place.seconds, "GT"])
            commands.append(["ZADD", keys.families, "XX", -place.expiry_ms, job_id])
        job = decode(record) if ties[1] else None
        parent = job.parent if job is not None else None
        if job is None or parent is None:
            continue
        if parent.apart:
            touched.append(keys.outbox)
            words = "parent", parent.id, "member", parent.member, "record", end_record(job)
            commands.append(["XADD", keys.outbox, "*", *words])
        elif parent.is_workflow:
            nodes.append(job)
        else:
            told[parent.id] += (parent.member, end_record(job))
            low[parent.id] = parent.low
    if nodes:
        _tell_workflows(keys, nodes, commands, touched)
    _tell(keys, told, commands, touched)
    return [ParentAsked(["HLEN", children_of(keys, parent)], most) for parent, most in low.items()]


def _tell_workflows(keys: Keys, nodes: Sequence[Job], commands: list[Command], touched: list[str]) -> None:
    """Those in this shard, each what became of some of its nodes."""
    told: defaultdict[bytes, list[str | bytes]] = defaultdict(list)
    items: list[str | bytes | int] = []
    for job in nodes:
        parent = job.parent
        assert parent is not None
        told[parent.id] += (parent.member, end_record(job))
        items += (now_ms(), end_item(parent.id, parent.member, job.ended))
    results = {results_of(keys, workflow): ends for workflow, ends in told.items()}
    commands += [["HSET", key, *ends] for key, ends in results.items()]
    commands += (["ZADD", keys.advance, *items], ["PUBLISH", keys.signals, "due:0"])
    touched += (*results, keys.advance)


def _tell(keys: Keys, told: Mapping[bytes, Sequence[str | bytes]], commands: list[Command], touched: list[str]) -> None:
    """Parents in this shard, each what became of some of its children: names and records by turns."""
    for parent, ends in told.items():
        children, results = children_of(keys, parent), results_of(keys, parent)
        touched += (children, results)
        commands += [["HDEL", children, *ends[::2]], ["HSET", results, *ends]]
    if told:
        touched.append(keys.wake)
        # The time only orders them.
        woken: list[str | bytes | int] = []
        for parent in told:
            woken += (now_ms(), parent)
        commands.append(["ZADD", keys.wake, *woken])


async def drop_ties(connection: Connection, keys: Keys, bucket: str) -> None:
    """What is kept beside the records in this bucket: journals, what children told, what workflows are made of."""
    while ids := await connection.call("SPOP", journals_of(keys, bucket), JOURNALS_AT_ONCE):
        kept = (name for job_id in ids for name in (journal_of(keys, job_id), results_of(keys, job_id)))
        await connection.call("UNLINK", *kept)
    names = DROP_WORKFLOWS.keys(keys, workflows=keys.workflows(bucket.removeprefix(keys.prefix)))
    while await connection.run(DROP_WORKFLOWS, names, [WORKFLOWS_AT_ONCE]):
        pass


def lost_job(job_id: bytes, parent: ParentRef | None = None) -> Job:
    """One of which nothing else is known, for its parent to hear that it is over."""
    return Job(RECORD_VERSION, job_id, "lost", "lost", Priority.MEDIUM.value, b"", created_ms_of(job_id), parent=parent)


def end_record(job: Job) -> bytes:
    """What its parent keeps of a child that has ended, or is dead; `parent.lua` makes the same of a record."""
    errors = tuple(msgspec.structs.replace(error, trace="") for error in job.errors[-1:])
    return encode(msgspec.structs.replace(job, payload=b"", errors=errors))
