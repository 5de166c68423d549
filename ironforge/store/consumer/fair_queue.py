"""Reading by turns, for a node: which of the waiting jobs with fairness keys go to their stream, and when.

Such jobs wait outside the streams, for what is in a stream is in order already. A node takes exactly as many as it
wants now, in the script that reads for it, so a tenant that comes later waits for no more than that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from ironforge.job.record import redelivery_stream
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import GROUP, Keys
from ironforge.redis.replies import pairs
from ironforge.redis.scripts import TAKE_TURNS

# At most so many at once: what a node has in hand is ahead of whoever comes now.
MOST: Final = 256

# Of a job, by its id and with a reason for its record.
Cancel = Callable[[bytes, str], Awaitable[None]]


class FairQueue:
    """For one node. `has_waiting`: jobs wait for their turn, by the last look or reading. `next_ms`: in how long a
    limit lets the next one in; None: none is known to wait for that. `cancel`: does so with one that a limit ends."""

    def __init__(self, keys: Keys, node: str, connection: Connection, cancel: Cancel) -> None:
        self._keys = keys
        self._node = node
        self._connection = connection
        self._cancel = cancel
        self.has_waiting = False
        self.next_ms: int | None = None

    def look(self, streams: Iterable[str]) -> Command:
        """To be sent along with a read, for `note`: all that unused fairness and limits cost."""
        return ["EXISTS", *map(self._keys.fair, _own(streams)), self._keys.room, self._keys.dueroom]

    def note(self, found: int) -> None:
        """The reply to `look`."""
        self.has_waiting, self.next_ms = found > 0, None

    async def read(self, streams: Iterable[str], want: int, *, all_streams: bool = True) -> Any:
        """At most `want` jobs of these streams, in their order, as XREADGROUP gives them; none only if none wait.

        Raises the server's NOGROUP when a group is gone.
        """
        names = self._keys
        keys = [names.index, names.parked, names.quarantine]
        for name in _own(streams):
            keys += [names.stream(redelivery_stream(name)), names.stream(name), names.fair(name), names.turns(name)]
        while True:
            more, next_ms, unwanted, *plan = await self._connection.run(TAKE_TURNS, keys, [min(want, MOST)])
            self.has_waiting = bool(more) or (self.has_waiting and not all_streams)
            self.next_ms = next_ms if next_ms >= 0 else None
            for job_id, reason in pairs(unwanted):
                await self._cancel(job_id, reason.decode())
            reads: list[Command] = [
                ["XREADGROUP", "GROUP", GROUP, self._node, "COUNT", count, "STREAMS", keys[number - 1], ">"]
                for number, count in pairs(plan)
            ]
            found = [reply[0] for reply in await self._connection.pipeline(reads) if reply]
            # A node that was waiting may have been faster: it has taken the turn of this one, which takes the next.
            # Where one made way for another, that one may start now.
            if found or not (reads or more or unwanted):
                return found


def _own(streams: Iterable[str]) -> list[str]:
    """Without the redelivery streams."""
    return list(dict.fromkeys(name for name in streams if name != redelivery_stream(name)))
