"""Letting any version of an application go on with jobs that one of them has begun, and that wait for a node of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from ironforge.errors import IncompatibleRecord
from ironforge.job.record import decode, encode
from ironforge.redis.connection import Command, DoorConnection
from ironforge.redis.keys import ID_BYTES, Keys
from ironforge.redis.scripts import RELEASE_DECLINED
from ironforge.store.versions import SUSPECT, released, split_line

# Moved in one script call.
JOBS: Final = 200


async def release(
    connection: DoorConnection, keys: Keys, kind: str, version: str, *, most: int, queues: Collection[str] | None = None
) -> int:
    """Of this kind and version at most so many, of these queues (None: of all); how many that were. What cannot be read
    stays for a node that puts it aside."""
    moved = 0
    for name in _lines(await connection.call("SMEMBERS", keys.versionlines), kind, version, queues):
        queue, priority, line = name.split(":", 2)
        declined, after = keys.declined(f"{queue}:{priority}"), f"[{line}\n"
        while moved < most:
            page: Command = ["ZRANGE", declined, after, f"({line}\v", "BYLEX", "LIMIT", 0, min(JOBS, most - moved)]
            members = await connection.call(*page)
            if not members:
                break
            after = b"(" + members[-1]
            ids = [member[-ID_BYTES:] for member in members]
            records = await connection.call("HMGET", keys.parked, *ids)
            arguments: Command = [keys.signals, name, *_changed(ids, records)]
            moved += await connection.run(RELEASE_DECLINED, RELEASE_DECLINED.keys(keys, declined=declined), arguments)
    return moved


def _lines(names: Sequence[bytes], kind: str, version: str, queues: Collection[str] | None) -> list[str]:
    found = []
    for name in sorted(each.decode(errors="replace") for each in names):
        queue, _, line = name.split(":", 2)
        if split_line(line.removesuffix(SUSPECT)) == (kind, version) and (queues is None or queue in queues):
            found.append(name)
    return found


def _changed(ids: Sequence[bytes], records: Sequence[bytes | None]) -> Iterator[bytes]:
    for job_id, record in zip(ids, records, strict=True):
        try:
            job = decode(record or b"")
        except IncompatibleRecord:
            continue
        yield from (job_id, record or b"", encode(released(job)))
