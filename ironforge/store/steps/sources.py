"""What the job of a node gets of other nodes that have ended: read when it runs, so that nothing is copied before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ironforge.errors import IncompatibleRecord
from ironforge.job.record import JobState, decode, format_id
from ironforge.redis.connection import Command, Connection
from ironforge.redis.family_keys import results_of
from ironforge.redis.outages import retry_through_outage
from ironforge.settings import Settings
from ironforge.steps.waits import ParentRef
from ironforge.store.steps.links import ShardLinks
from ironforge.workflows.errors import Unresolved
from ironforge.workflows.program import CELL, HEAD, LETTERS
from ironforge.workflows.states import NodeState

# Read in one call, for one job or several; and held in memory for one job.
SOURCES_AT_ONCE: Final = 64
MAX_BYTES: Final = 64 * 1024 * 1024
_WITHOUT_RESULT: Final = {LETTERS[state][0] for state in (NodeState.FAILED, NodeState.CANCELLED, NodeState.SKIPPED)}


class _Pending(NamedTuple):
    command: Command
    sources: int
    answer: asyncio.Future[Any]


class _Reads:
    """What jobs ask for while a call is on its way shares the next one: many start at once, and each would wait for its
    own. A connection by itself, opened for the first: on the others are scripts that move hundreds of nodes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: list[_Pending] = []
        self._reading: asyncio.Task[None] | None = None

    def read(self, *command: str | bytes, sources: int = 1) -> asyncio.Future[Any]:
        """Raises what its own reply says, or what the connection raises."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Pending(command, sources, answer))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all(), name="reading results")
        return answer

    async def close(self) -> None:
        """Callers that still wait for an answer get an error."""
        await self._connection.close()
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def _read_all(self) -> None:
        while self._waiting:
            group = self._take()
            try:
                replies = await self._connection.exchange([one.command for one in group])
            except Exception as error:  # noqa: BLE001 - whatever it is, the callers get it
                replies = [error] * len(group)
            for one, reply in zip(group, replies, strict=True):
                if one.answer.done():  # its job was stopped
                    continue
                if isinstance(reply, Exception):
                    one.answer.set_exception(reply)
                else:
                    one.answer.set_result(reply)
        self._reading = None

    def _take(self) -> list[_Pending]:
        taken = sources = 0
        for one in self._waiting:
            sources += one.sources
            if taken and sources > SOURCES_AT_ONCE:
                break
            taken += 1
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group


class Sources:
    """Of nodes whose jobs lie in one shard; their workflow may lie in another one."""

    def __init__(self, settings: Settings, links: ShardLinks) -> None:
        self._links = links
        self._reads = [_Reads(Connection(settings.redis_url, link.keys.prefix)) for link in links.shards]

    async def close(self) -> None:
        """Ends the connections."""
        for reads in self._reads:
            await reads.close()

    async def read(self, _stream: str, parent: ParentRef) -> dict[str, bytes | None]:
        """As `StepWork.results_for`."""
        shard = self._links.number_of(parent.id)
        keys, read = self._links.shards[shard].keys, self._reads[shard].read
        key = results_of(keys, parent.id)
        records: list[bytes | None] = []
        for at in range(0, len(parent.sources), SOURCES_AT_ONCE):
            members = [member for _, member in parent.sources[at : at + SOURCES_AT_ONCE]]
            records += await retry_through_outage(
                lambda: read("HMGET", key, *members, sources=len(members))  # noqa: B023 - called at once
            )
            if sum(map(len, filter(None, records))) > MAX_BYTES:
                why = f"the results that it refers to have more than {MAX_BYTES} bytes together: return references"
                raise Unresolved("payload", why)
        found = {name: _result(record) for (name, _), record in zip(parent.sources, records, strict=True)}
        untold = [source for source, record in zip(parent.sources, records, strict=True) if record is None]
        if untold:
            progress = await retry_through_outage(lambda: read("GET", keys.progress(parent.id.hex())))
            _check_ended(parent.id, untold, progress or b"")
        return found


def _result(record: bytes | None) -> bytes | None:
    if record is None:
        return None
    job = decode(record)
    return job.result if job.ended == JobState.COMPLETED else None


def _check_ended(workflow: bytes, untold: Sequence[tuple[str, str]], progress: bytes) -> None:
    """Those of which no job says how it ended: they never had one, for they were skipped."""
    for name, member in untold:
        number = int(member.strip("\n").partition(".")[0])
        at = HEAD.size + CELL.size * number
        if progress[at : at + 1] == b"" or progress[at] not in _WITHOUT_RESULT:
            raise IncompatibleRecord(f"nothing is known of the end of node {name} of workflow {format_id(workflow)}")
