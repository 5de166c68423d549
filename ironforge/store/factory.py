"""The two ways into the store, and which connections each of them has.

Opening sends nothing: the first call connects, so a process can start while the server does not answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

from ironforge.job.definition import Announcement, same_version
from ironforge.process.background import in_background
from ironforge.redis.connection import Connection, DoorConnection
from ironforge.redis.keys import Keys
from ironforge.redis.shards import NamespaceShard, namespace_shards_of, part_of, shards_of
from ironforge.settings import Settings, of_namespace
from ironforge.store.consumer.consumer import RedisConsumer
from ironforge.store.consumer.declined_jobs import OwnKinds
from ironforge.store.consumer.leases import RedisLeases
from ironforge.store.consumer.notifications import RedisNotifications
from ironforge.store.contract import Inspector, Limits, Producer
from ironforge.store.expiry import ExpirySweep, OnSchedules, no_matter_when
from ironforge.store.inspector.inspector import RedisInspector
from ironforge.store.limits import RedisLimits
from ironforge.store.node_contract import Consumer, Lease, Leases, Notifications, TickWatch
from ironforge.store.producer.admission import Admission
from ironforge.store.producer.producer import RedisProducer
from ironforge.store.schedules.contract import Schedules
from ironforge.store.schedules.in_code import SchedulesInCode
from ironforge.store.schedules.schedules import RedisSchedules
from ironforge.store.schedules.ticker import Ticker
from ironforge.store.server_clock import ServerClock
from ironforge.store.sharding import (
    ShardedConsumer,
    ShardedInspector,
    ShardedLeases,
    ShardedLimits,
    ShardedNotifications,
    ShardedProducer,
)
from ironforge.store.steps.contract import Events
from ironforge.store.steps.events import RedisEvents
from ironforge.store.steps.links import ShardLink, ShardLinks
from ironforge.store.workflows.contract import Workflows
from ironforge.store.workflows.workflows import RedisWorkflows


class StoreClient:
    """Submitting and looking: for the API and the command line."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._inspectors = [RedisInspector(settings, keys) for keys in shards_of(settings)]
        self._producers = [
            RedisProducer(settings, keys, inspector.note_pause)
            for keys, inspector in zip(shards_of(settings), self._inspectors, strict=True)
        ]
        alone = settings.shards == 1
        self.producer: Producer = self._producers[0] if alone else ShardedProducer(self._producers)
        self._limits = [RedisLimits(settings, keys) for keys in shards_of(settings)]
        self.limits: Limits = self._limits[0] if alone else ShardedLimits(self._limits)
        self.inspector: Inspector = self._inspectors[0] if alone else ShardedInspector(self._inspectors)
        self._schedules = RedisSchedules(settings, self.inspector)
        self.schedules: Schedules = self._schedules
        self._events = RedisEvents(settings)
        self.events: Events = self._events
        self._workflows = RedisWorkflows(settings)
        self.workflows: Workflows = self._workflows

    @contextlib.asynccontextmanager
    async def keeping_time(self, watch: TickWatch | None = None) -> AsyncIterator[None]:
        """While the block runs, in each shard for itself: cancels jobs that have not started in time, fires ticks of
        schedules."""
        async with contextlib.AsyncExitStack() as stack:
            for number, keys in enumerate(shards_of(self._settings)):
                link = await stack.enter_async_context(DoorConnection(self._settings.redis_url, keys.prefix))
                wake: OnSchedules = no_matter_when
                if self._settings.scheduler == "on":
                    ticker = Ticker(self._settings, keys, number, self.inspector)
                    stack.push_async_callback(ticker.close)
                    await stack.enter_async_context(in_background(ticker.tick_forever(watch), "schedules"))
                    wake = ticker.wake
                sweep = ExpirySweep(self._settings, keys, link, on_schedules=wake)
                await stack.enter_async_context(in_background(sweep.sweep_forever(), "expired jobs"))
            yield

    def abandon(self) -> None:
        """Let go of every connection, for their loop is closed."""
        for producer in self._producers:
            producer.abandon()
        for inspector in self._inspectors:
            inspector.abandon()
        for limits in self._limits:
            limits.abandon()
        self._schedules.abandon()
        self._events.abandon()
        self._workflows.abandon()

    async def close(self) -> None:
        for producer in self._producers:
            await producer.close()
        for inspector in self._inspectors:
            await inspector.close()
        for limits in self._limits:
            await limits.close()
        await self._schedules.close()
        await self._events.close()
        await self._workflows.close()


class Shard:
    """A node's way into one shard of one namespace. Fetching, settling, commands and heartbeat have a connection
    each. `defines`: this shard keeps the definitions of kinds; `may_be_woken`: what waits here has to end early when
    another shard has jobs; `limits` and `schedules` that the node's code defines."""

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        announced: Sequence[Announcement] | None,
        *,
        defines: bool,
        may_be_woken: bool,
        limits: Sequence[Announcement],
        schedules: Sequence[Announcement],
        ticker: Ticker | None = None,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self.ticker = ticker
        self._fetching = Connection(settings.redis_url, keys.prefix, may_be_woken=may_be_woken)
        self._commanding = Connection(settings.redis_url, keys.prefix)
        self.link = ShardLink(keys, self._commanding, Admission(settings))
        self.clock = ServerClock()
        self.leases = RedisLeases(
            settings,
            keys,
            self._commanding,
            announced,
            defines=defines,
            limits=limits,
            schedules=schedules,
            clock=self.clock,
        )
        self.kinds = OwnKinds([each.name for each in announced or ()], same_version(announced or ()))
        self.signals = RedisNotifications(settings, keys)

    def work(self, lease: Lease, links: ShardLinks) -> RedisConsumer:
        """`links` to the shards of its namespace."""
        return RedisConsumer(
            self._settings,
            links,
            lease,
            fetching=self._fetching,
            kinds=self.kinds,
            clock=self.clock,
            on_schedules=self.ticker.wake if self.ticker else no_matter_when,
        )

    async def close(self) -> None:
        if self.ticker is not None:
            await self.ticker.close()
        await self.signals.close()
        await self.leases.close()
        await self._fetching.close()
        await self._commanding.close()


class NodeStore:
    """Leases, work and signals: for a node, of all namespaces that it serves.

    `announced`: the kinds that it runs; None: it does not say, and may run any. `limits` and `schedules` that its code
    defines.
    """

    def __init__(
        self,
        settings: Settings,
        announced: Sequence[Announcement] | None = None,
        limits: Sequence[Announcement] = (),
        schedules: Sequence[Announcement] = (),
    ) -> None:
        self._settings = settings
        parts = namespace_shards_of(settings)
        self._weights = [part.weight for part in parts]
        # One reads the kinds of a namespace, from its first shard.
        self._inspectors = {part.namespace: RedisInspector(settings, part.keys) for part in parts if part.shard == 0}
        self._shards = [
            Shard(
                settings,
                part.keys,
                announced,
                defines=not part.shard,
                may_be_woken=len(parts) > 1,
                limits=limits,
                schedules=schedules,
                ticker=self._ticker(part),
            )
            for part in parts
        ]
        # What fires the ticks of schedules; they are idle until there are some.
        self.tickers = [shard.ticker for shard in self._shards if shard.ticker is not None]
        self._in_code = [
            SchedulesInCode(of_namespace(settings, name), inspector, schedules)
            for name, inspector in self._inspectors.items()
        ]
        self._works: dict[Lease, RedisConsumer | ShardedConsumer] = {}
        self._sharded: ShardedLeases | None = None
        self.leases: Leases = self._shards[0].leases
        self.signals: Notifications = self._shards[0].signals
        if len(self._shards) > 1:
            self._sharded = ShardedLeases([shard.leases for shard in self._shards], settings.lease_seconds)
            self.leases = self._sharded
            self.signals = ShardedNotifications([shard.signals for shard in self._shards])

    def work(self, lease: Lease) -> Consumer:
        """What this lease may do: the same object for the same lease, because it knows what that lease holds."""
        if lease not in self._works:
            self._works[lease] = self._new_work(lease)
        return self._works[lease]

    def now_ms(self, stream: str) -> float:
        """Unix time by the server that this stream of a delivery is on, and never behind it."""
        return self._shards[part_of(stream)].clock.now_ms()

    @property
    def same(self) -> Mapping[str, str]:
        """The version of the application, by kind, of those whose jobs stay with it."""
        return self._shards[0].kinds.same

    async def announce_schedules(self) -> None:
        """Before its first lease. Raises StoreUnavailable."""
        for each in self._in_code:
            await each.announce()

    async def settle_schedules(self) -> None:
        """As `SchedulesInCode.settle`, of each namespace."""
        for each in self._in_code:
            await each.settle()

    def _ticker(self, part: NamespaceShard) -> Ticker | None:
        if self._settings.scheduler == "off":
            return None
        return Ticker(
            of_namespace(self._settings, part.namespace), part.keys, part.shard, self._inspectors[part.namespace]
        )

    def _new_work(self, lease: Lease) -> RedisConsumer | ShardedConsumer:
        if self._sharded is None:
            return self._shards[0].work(lease, self._links(0))
        held = self._sharded.held(lease)
        works = [
            shard.work(own, self._links(at)) for at, (shard, own) in enumerate(zip(self._shards, held, strict=True))
        ]
        return ShardedConsumer(works, self._weights, self._settings.shards)

    def _links(self, part: int) -> ShardLinks:
        """Of the namespace that this part belongs to."""
        shards = self._settings.shards
        first = part // shards * shards
        return ShardLinks([shard.link for shard in self._shards[first : first + shards]], part - first)

    async def close(self) -> None:
        for work in self._works.values():
            await work.close()
        if self._sharded is not None:
            await self._sharded.close()
        for shard in self._shards:
            await shard.close()
        for in_code in self._in_code:
            await in_code.close()
        for inspector in self._inspectors.values():
            await inspector.close()
