"""Records that cannot be read: found in the index before they are put aside, brought back by a node that can read them.

During a rolling upgrade an older node meets records of a newer version. It puts them aside, and nothing trims what
lies there, so a downgrade loses no job.
"""

from __future__ import annotations

import functools
from typing import Final

import msgspec

from ironforge.errors import IncompatibleRecord, InvalidJob
from ironforge.job.checks import check_queue
from ironforge.job.crashes import is_suspect
from ironforge.job.record import RECORD_VERSION, Job, alone_stream, decode, encode
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import retry_through_outage
from ironforge.redis.replies import pairs
from ironforge.redis.scripts import RESTORE, RESTORE_WORKFLOW
from ironforge.redis.step_keys import journal_of
from ironforge.settings import Settings
from ironforge.steps.first_run import recorded
from ironforge.steps.journal import HEAD
from ironforge.store.node_contract import Delivery, Lease

PAGE: Final = 200
SCAN: Final = 2_000
_of_any_version: Final = msgspec.msgpack.Decoder(Job).decode


class Quarantine:
    """The node side of the quarantine under one lease. Each entry is looked at once: it does not change."""

    def __init__(self, settings: Settings, keys: Keys, lease: Lease, connection: Connection) -> None:
        self._crash_budget = settings.crash_budget
        self._keys = keys
        self._lease = lease
        self._connection = connection
        self._seen = "-"

    async def restore(self) -> int:
        """Bring back a page of what this node can read; how many jobs that were."""
        restored = 0
        look = functools.partial(self._connection.call, "XRANGE", self._keys.quarantine, self._seen, "+", "COUNT", PAGE)
        for entry, flat in await retry_through_outage(look):
            fields = dict(pairs(flat))
            job = _legible(fields.get(b"record", b""))
            if job is not None:
                restored += await self._bring_back(entry, job, fields[b"record"])
            self._seen = "(" + entry.decode()
        return restored

    async def _bring_back(self, entry: bytes, job: Job, record: bytes) -> int:
        names = self._keys
        if job.is_workflow:
            return await self._bring_back_workflow(entry, job, record)
        head = await retry_through_outage(lambda: self._connection.call("HGET", journal_of(names, job.id), HEAD))
        if head is not None:  # whoever could not read it could not say so either
            job = job.again(version=RECORD_VERSION, journal=recorded(job.journal))
            record = encode(job)
        # One with limits waits for its places first, and so among others; after another crash it runs alone again.
        alone = is_suspect(job, self._crash_budget) and not job.limits
        keys = RESTORE.keys(
            names,
            fence=names.fence(self._lease.node),
            stream=names.stream(alone_stream(job.stream) if alone else job.stream),
            fair=names.fair(job.stream),
            turns=names.turns(job.stream),
        )
        arguments: Command = [self._lease.epoch, entry, job.id, record, job.queue, "" if alone else job.mark]
        moved: int = await retry_through_outage(lambda: self._connection.run(RESTORE, keys, arguments))
        return moved

    async def _bring_back_workflow(self, entry: bytes, workflow: Job, record: bytes) -> int:
        keys = RESTORE_WORKFLOW.keys(
            self._keys, fence=self._keys.fence(self._lease.node), waiting=self._keys.waiting("workflow")
        )
        arguments: Command = [self._lease.epoch, entry, workflow.id, record, f"w:{workflow.stream}"]
        moved: int = await retry_through_outage(lambda: self._connection.run(RESTORE_WORKFLOW, keys, arguments))
        return moved


async def id_of(delivery: Delivery, keys: Keys, connection: Connection) -> bytes:
    """The job that the index keeps at this entry; empty when there is none."""
    stream, entry, record = delivery
    job_id = id_in(record)
    if job_id:
        return job_id
    place = f"{stream}:".encode() + entry
    cursor = b"0"
    while True:
        scan = functools.partial(connection.call, "HSCAN", keys.index, cursor, "COUNT", SCAN)
        cursor, flat = await retry_through_outage(scan)
        for found, location in pairs(flat):
            if location in (b"q:" + place, b"c:" + place):
                return bytes(found)
        if cursor == b"0":
            return b""


def _legible(record: bytes) -> Job | None:
    try:
        job = decode(record)
        check_queue(job.queue)
    except (IncompatibleRecord, InvalidJob):
        return None
    return job


def mark_in(record: bytes) -> str:
    """Fairness key and limits in a record, also of a newer version, whose new fields are at the end."""
    try:
        return _of_any_version(record).mark
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return ""


def id_in(record: bytes) -> bytes:
    """The id in a record that cannot be read as a job, where at least that much is legible: a newer version's."""
    try:
        match msgspec.msgpack.decode(record):
            case [_, bytes(job_id), *_] if len(job_id) == 16:
                return job_id
    except (msgspec.MsgspecError, RecursionError, ValueError):
        pass
    return b""
