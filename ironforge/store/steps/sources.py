"""What the job of a node gets of other nodes that have ended: read when it runs, so that nothing is copied before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ironforge.errors import IncompatibleRecord
from ironforge.job.record import JobState, decode, format_id
from ironforge.redis.family_keys import results_of
from ironforge.redis.outages import retry_through_outage
from ironforge.steps.waits import ParentRef
from ironforge.store.steps.links import ShardLinks
from ironforge.workflows.errors import Unresolved
from ironforge.workflows.program import CELL, HEAD, LETTERS
from ironforge.workflows.states import NodeState

# Read in one call, and held in memory for one job.
SOURCES_AT_ONCE: Final = 64
MAX_BYTES: Final = 64 * 1024 * 1024
_WITHOUT_RESULT: Final = {LETTERS[state][0] for state in (NodeState.FAILED, NodeState.CANCELLED, NodeState.SKIPPED)}


class Sources:
    """Of nodes whose jobs lie in one shard; their workflow may lie in another one."""

    def __init__(self, links: ShardLinks) -> None:
        self._links = links

    async def read(self, _stream: str, parent: ParentRef) -> dict[str, bytes | None]:
        """As `StepWork.results_for`."""
        keys, connection, _ = self._links.shards[self._links.number_of(parent.id)]
        key = results_of(keys, parent.id)
        records: list[bytes | None] = []
        for at in range(0, len(parent.sources), SOURCES_AT_ONCE):
            members = [member for _, member in parent.sources[at : at + SOURCES_AT_ONCE]]
            records += await retry_through_outage(lambda: connection.call("HMGET", key, *members))  # noqa: B023 - at once
            if sum(map(len, filter(None, records))) > MAX_BYTES:
                why = f"the results that it refers to have more than {MAX_BYTES} bytes together: return references"
                raise Unresolved("payload", why)
        found = {name: _result(record) for (name, _), record in zip(parent.sources, records, strict=True)}
        untold = [source for source, record in zip(parent.sources, records, strict=True) if record is None]
        if untold:
            progress = await retry_through_outage(lambda: connection.call("GET", keys.progress(parent.id.hex())))
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
