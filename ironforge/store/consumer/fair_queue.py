"""Reading by turns, for a node: which of the waiting jobs with fairness keys go to their stream, and when.

Such jobs wait outside the streams, for what is in a stream is in order already. A node takes exactly as many as it
wants now, in the script that reads for it, so a tenant that comes later waits for no more than that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ironforge.job.record import redelivery_stream
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import GROUP, Keys
from ironforge.redis.replies import pairs
from ironforge.redis.scripts import TAKE_TURNS

# At most so many at once: what a node has in hand is ahead of whoever comes now.
MOST: Final = 256


class FairQueue:
    """For one node. `has_waiting`: jobs wait for their turn, by the last look or reading."""

    def __init__(self, keys: Keys, node: str, connection: Connection) -> None:
        self._keys = keys
        self._node = node
        self._connection = connection
        self.has_waiting = False

    def look(self, streams: Iterable[str]) -> Command:
        """To be sent along with a read, and its reply to be kept in `has_waiting`: all that unused fairness costs."""
        return ["EXISTS", *map(self._keys.fair, _own(streams))]

    async def read(self, streams: Iterable[str], want: int, *, all_streams: bool = True) -> Any:
        """At most `want` jobs of these streams, in their order, as XREADGROUP gives them; none only if none wait.

        Raises the server's NOGROUP when a group is gone.
        """
        names = self._keys
        keys = [names.index, names.parked, names.quarantine]
        for name in _own(streams):
            keys += [names.stream(redelivery_stream(name)), names.stream(name), names.fair(name), names.turns(name)]
        while True:
            more, *plan = await self._connection.run(TAKE_TURNS, keys, [min(want, MOST)])
            self.has_waiting = bool(more) or (self.has_waiting and not all_streams)
            reads: list[Command] = [
                ["XREADGROUP", "GROUP", GROUP, self._node, "COUNT", count, "STREAMS", keys[number - 1], ">"]
                for number, count in pairs(plan)
            ]
            found = [reply[0] for reply in await self._connection.pipeline(reads) if reply]
            # A node that was waiting may have been faster: it has taken the turn of this one, which takes the next.
            if found or not reads:
                return found


def _own(streams: Iterable[str]) -> list[str]:
    """Without the redelivery streams."""
    return list(dict.fromkeys(name for name in streams if name != redelivery_stream(name)))
