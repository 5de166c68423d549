"""What a leaseholder does with jobs that it does not end: they leave it when they are stored elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from ironforge.store.consumer.requeuer import Requeuer
from ironforge.store.consumer.stream_reader import StreamReader
from ironforge.store.node_contract import Delivery, Rewrite
from ironforge.store.steps.contract import NewWait


class Rewriting:
    """Part of `node_contract.Consumer`."""

    def __init__(self, requeuer: Requeuer, reader: StreamReader) -> None:
        self._requeuer = requeuer
        self.reader = reader

    async def requeue(self, batch: Sequence[Rewrite]) -> None:
        await self._requeuer.requeue(batch)
        self.reader.release(batch)

    async def park(self, batch: Sequence[Rewrite]) -> None:
        await self._requeuer.park(batch)
        self.reader.release(batch)

    async def park_waiting(self, batch: Sequence[NewWait]) -> None:
        await self._requeuer.park_waiting(batch)
        self.reader.release(batch)

    async def bury(self, batch: Sequence[Rewrite]) -> None:
        await self._requeuer.bury(batch)
        self.reader.release(batch)

    async def decline(self, batch: Sequence[Rewrite]) -> None:
        await self._requeuer.decline(batch)
        self.reader.release(batch)

    async def bury_raw(self, delivery: Delivery, reason: str) -> None:
        await self._requeuer.quarantine(delivery, reason)
        self.reader.release([delivery])
