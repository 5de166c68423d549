"""The two ways into the store, and which connections each of them has.

Opening sends nothing: the first call connects, so a process can start while the server does not answer.
"""

from __future__ import annotations

from typing import Self

from ironforge.config import Settings
from ironforge.store.contract import Inspection, Lease, Leases, Signals, Submissions, Work
from ironforge.store.inspection import RedisInspection
from ironforge.store.leases import RedisLeases
from ironforge.store.link import Link
from ironforge.store.signals import RedisSignals
from ironforge.store.submissions import RedisSubmissions
from ironforge.store.work import RedisWork


class Doors:
    """Submitting and looking: for the API and the command line."""

    def __init__(self, settings: Settings) -> None:
        self._submissions = RedisSubmissions(settings)
        self._inspection = RedisInspection(settings)

    @classmethod
    def open(cls, settings: Settings) -> Self:
        return cls(settings)

    @property
    def submissions(self) -> Submissions:
        return self._submissions

    @property
    def inspection(self) -> Inspection:
        return self._inspection

    async def close(self) -> None:
        await self._submissions.close()
        await self._inspection.close()


class NodeStore:
    """Leases, work and signals: for a node. Fetching, settling, commands and heartbeat have a connection each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._fetching = Link(settings.redis_url)
        self._commanding = Link(settings.redis_url)
        self._leases = RedisLeases(settings, commanding=self._commanding, fetching=self._fetching)
        self._signals = RedisSignals(settings)
        self._works: dict[Lease, RedisWork] = {}

    @classmethod
    def open(cls, settings: Settings) -> Self:
        return cls(settings)

    @property
    def leases(self) -> Leases:
        return self._leases

    @property
    def signals(self) -> Signals:
        return self._signals

    def work(self, lease: Lease) -> Work:
        """What this lease may do: the same object for the same lease, because it knows what that lease holds."""
        if lease not in self._works:
            self._works[lease] = RedisWork(self._settings, lease, fetching=self._fetching, commanding=self._commanding)
        return self._works[lease]

    async def close(self) -> None:
        for work in self._works.values():
            await work.close()
        await self._signals.close()
        await self._leases.close()
        await self._fetching.close()
        await self._commanding.close()
