"""Which of its streams a node reads now: not those of paused queues.

What is paused is asked for by the clock and not told by a signal: a question a few times a second costs nothing that
could be measured, and there is nothing that could be lost on its way.
"""

from __future__ import annotations

import time
from typing import Final

from ironforge.job.record import alone_streams_of, split_stream, streams_of
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.settings import Settings
from ironforge.store.consumer.declined_jobs import DeclinedJobs

# How old the knowledge of what is paused may be when a read begins.
LOOK_SECONDS: Final = 0.25
# Jobs that wait to run alone are looked for less often: their nodes have to come to rest first anyway.
SUSPECTS_SECONDS: Final = 1.0


class StreamSelector:
    """The streams of a node's queues: key to name, in the order in which the node takes from them.

    `readable`: those of queues that are not paused, maybe none. `alone`: those of jobs that run alone, of queues that
    are not paused; `suspects`: whether one was there at the last look.
    """

    def __init__(self, settings: Settings, keys: Keys, connection: Connection, declined: DeclinedJobs) -> None:
        self._key = keys.paused
        self._connection = connection
        self._declined = declined
        self._queues = settings.queues
        self._paused: set[str] = set()
        self._looked_at = self._sought_at = float("-inf")
        self._alone = {keys.stream(name): name for name in alone_streams_of(settings.queues)}
        self.suspects = False
        self.all = {keys.stream(name).encode(): name for name in streams_of(settings.queues)}
        self._choose()

    def place(self, stream: str) -> int:
        """Of a stream among those that are read now; 0 for one that is not."""
        return self._places.get(stream, 0)

    def look_again(self) -> None:
        """The next look is due."""
        self._looked_at = float("-inf")

    async def look(self) -> None:
        """Find out what is paused and what was declined, unless that was done just before, and whether jobs wait to
        run alone."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        seek = now - self._sought_at >= SUSPECTS_SECONDS
        lengths: list[Command] = [["XLEN", key] for key in self.alone] if seek else []
        look: Command = ["SMISMEMBER", self._key, *self._queues]
        declined = self._declined.look()
        flags, *found = await self._connection.pipeline([look, *declined, *lengths])
        if declined and found.pop(0):
            await self._declined.seek()
        else:
            self._declined.forget()
        self._looked_at = now
        if seek:
            self._sought_at = now
            self.suspects = any(found) or bool(self._declined.suspects(self.alone.values()))
        paused = {queue for queue, flag in zip(self._queues, flags, strict=True) if flag}
        if paused != self._paused:
            self._paused = paused
            self._choose()

    def _choose(self) -> None:
        self.readable = {key: name for key, name in self.all.items() if split_stream(name)[0] not in self._paused}
        self.alone = {key: name for key, name in self._alone.items() if split_stream(name)[0] not in self._paused}
        self._places = {name: number for number, name in enumerate(self.readable.values())}
