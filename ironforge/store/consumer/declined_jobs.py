"""Jobs that nodes declined: of a kind that these did not know, or begun by another version of the application.

They wait outside the streams, a line for each queue, priority, kind and version that they stay with. Only nodes that
may run them take from a line, so one that may not sees each run of a job once at most, however long two versions of an
application run side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ironforge.job.record import Priority, alone_stream, redelivery_stream, split_stream, stream_name
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.scripts import TAKE_DECLINED
from ironforge.store.node_contract import Lease
from ironforge.store.versions import SUSPECT, split_line

# At most so many at once: scripts stay short.
MOST: Final = 256


class OwnKinds(NamedTuple):
    """The kinds that a node runs. `same`: the version of its application, by kind, of those whose jobs stay with it."""

    names: Sequence[str] = ()
    same: Mapping[str, str] = {}


NO_KINDS: Final = OwnKinds()


class OwnLines:
    """The lines that a node serves."""

    def __init__(self, queues: Sequence[str], kinds: OwnKinds) -> None:
        self._queues, self._kinds, self._same = frozenset(queues), frozenset(kinds.names), kinds.same
        places = [stream_name(queue, priority) for priority in Priority for queue in queues]
        # Those of jobs that stay with no version. Whatever versions the others name, there are few of them.
        self.names = [f"{place}:{kind}{sort}" for kind in kinds.names for place in places for sort in ("", SUSPECT)]

    async def waiting(self, connection: Connection, keys: Keys) -> list[str]:
        """Those that have jobs."""
        if not self.names:
            return []
        ask: list[Command] = [["ZMSCORE", keys.unserved, *self.names], ["SMEMBERS", keys.versionlines]]
        scores, others = await connection.pipeline(ask)
        found = [name for name, score in zip(self.names, scores, strict=True) if score is not None]
        return found + sorted(name for each in others if self._serves(name := each.decode(errors="replace")))

    def _serves(self, name: str) -> bool:
        queue, _, line = name.split(":", 2)
        kind, version = split_line(line.removesuffix(SUSPECT))
        return queue in self._queues and kind in self._kinds and self._same.get(kind, version) == version


def line_range(kind: str) -> tuple[str, str]:
    """Where the members of a line begin and end, as BYLEX wants it."""
    return f"[{kind}\n", f"({kind}\v"


class DeclinedJobs:
    """For one lease. `lines`: those that its node serves."""

    def __init__(self, keys: Keys, lease: Lease, connection: Connection, lines: OwnLines) -> None:
        self._keys = keys
        self._lease = lease
        self._connection = connection
        self._lines = lines
        self._kinds: dict[str, list[str]] = {}
        self._suspects: dict[str, list[str]] = {}

    def look(self) -> list[Command]:
        """To be sent along with something else: whether any job of the shard was declined. None without kinds."""
        return [["EXISTS", self._keys.unserved]] if self._lines.names else []

    async def seek(self) -> None:
        """Find out which lines have jobs."""
        self._kinds, self._suspects = {}, {}
        for name in await self._lines.waiting(self._connection, self._keys):
            queue, priority, kind = name.split(":", 2)
            lines = self._suspects if kind.endswith(SUSPECT) else self._kinds
            lines.setdefault(f"{queue}:{priority}", []).append(kind)

    def forget(self) -> None:
        """No job is declined."""
        self._kinds, self._suspects = {}, {}

    def within(self, streams: Iterable[str]) -> list[str]:
        """Which of these streams have lines with jobs, by the last look."""
        return [name for name in streams if name in self._kinds]

    def heads(self, stream: str) -> list[Command]:
        """To be asked for the first member of each line of this stream: it ends with the id of a job."""
        lines = (line_range(kind) for kind in self._kinds.get(stream, ()))
        return [["ZRANGE", self._keys.declined(stream), *line, "BYLEX", "LIMIT", 0, 1] for line in lines]

    def suspects(self, streams: Iterable[str]) -> list[str]:
        """Which of these streams of jobs that run alone have lines with jobs."""
        return [name for name in streams if stream_name(*split_stream(name)) in self._suspects]

    async def read(self, streams: Sequence[str], want: int) -> Any:
        """At most `want` jobs, as XREADGROUP gives them; those that came back to these streams are ahead of them.

        Raises the server's NOGROUP when a group is gone.
        """
        found = await self._take([(name, redelivery_stream(name), self._kinds[name]) for name in streams], want)
        if sum(len(entries) for _, entries in found) < min(want, MOST):  # until the next look nothing is left there
            for name in streams:
                del self._kinds[name]
        return found

    async def read_alone(self, streams: Sequence[str]) -> Any:
        """At most one job, from the streams of jobs that run alone."""
        homes = [stream_name(*split_stream(name)) for name in streams]
        return await self._take([(home, alone_stream(home), self._suspects[home]) for home in homes], 1)

    async def _take(self, places: Sequence[tuple[str, str, list[str]]], want: int) -> Any:
        if not places or want <= 0:
            return []
        names, lease = self._keys, self._lease
        keys = TAKE_DECLINED.keys(names, own_fence=names.fence(lease.node))
        arguments: list[str | bytes | int] = [lease.epoch, lease.node, min(want, MOST)]
        for home, stream, kinds in places:
            keys += (names.declined(home), names.stream(stream))
            for kind in kinds:
                arguments += (len(keys) - 1, kind)
        return await self._connection.run(TAKE_DECLINED, keys, arguments)
