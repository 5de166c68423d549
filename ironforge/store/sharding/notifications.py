"""What several shards shout, as one endless list: each is listened to on a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from ironforge.store.node_contract import Notification, Notifications


class ShardedNotifications:
    """Implements `node_contract.Notifications`."""

    def __init__(self, parts: Sequence[Notifications]) -> None:
        self._parts = parts

    async def listen(self) -> AsyncIterator[Notification]:
        # One place: a listener that is slow holds up the shards, as it would hold up one.
        heard: asyncio.Queue[Notification] = asyncio.Queue(1)

        async def pass_on(part: Notifications) -> None:
            async for signal in part.listen():
                await heard.put(signal)

        listening = [asyncio.create_task(pass_on(part), name="signals of a shard") for part in self._parts]
        getting = asyncio.ensure_future(heard.get())
        try:
            while listening:
                await asyncio.wait([getting, *listening], return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    yield getting.result()
                    getting = asyncio.ensure_future(heard.get())
                for task in [task for task in listening if task.done()]:
                    task.result()  # ended by `close`, or by an error that is the caller's
                    listening.remove(task)
        finally:
            getting.cancel()
            for task in listening:
                task.cancel()
            await asyncio.gather(getting, *listening, return_exceptions=True)
