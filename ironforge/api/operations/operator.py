"""The calls for operators: depths, nodes, health, probes, metrics.

/livez never asks the store: a restart of this process cannot repair Redis. /health and /readyz do, and
answer JSON of their own form even when the store is away, because probes and dashboards read them exactly
then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from typing import Final, Literal

from aiohttp import web

from ironforge.api.operations.queue_metrics import Exposition, of_queues
from ironforge.api.operations.rates import Rates
from ironforge.api.parsing.requests import read_query
from ironforge.api.problems import ApiProblem
from ironforge.api.responses import answer
from ironforge.api.schemas import views
from ironforge.api.schemas.jobs import NoQuery
from ironforge.api.schemas.operator import (
    HealthAnswer,
    LiveAnswer,
    ReadyAnswer,
    StoreHealth,
)
from ironforge.errors import StoreError
from ironforge.metrics.queue_depths import Reading
from ironforge.store.contract import Health, Inspector
from ironforge.version import VERSION

# What keeps this process from taking requests; empty: nothing.
Readiness = Callable[[], list[str]]
# How old a reading of counts may be that is given to many: the server is not asked more often, however many look.
SHARED_SECONDS: Final = 1.0


class OperatorCalls:
    """Handlers of /queues/stats, /nodes, /health, /livez, /readyz and /metrics.

    `discreet`: /readyz answers everybody, and does not say what is wrong, which may name hosts and users. `whole`
    False: what is counted over all queues is not shown, for it tells of some that the caller may not use. `may_read`:
    /nodes names the jobs that nodes run.
    """

    def __init__(
        self,
        inspector: Inspector,
        durability: str,
        readiness: Readiness | None,
        exposition: Exposition | None,
        *,
        discreet: bool = False,
        whole: bool = True,
        may_read: bool = True,
    ) -> None:
        self._inspector = inspector
        self._durability = durability
        self._readiness = readiness
        self._exposition = exposition
        self._discreet = discreet
        self._whole = whole
        self._may_read = may_read
        self._rates = Rates()

    def over(self, inspector: Inspector, queues: Collection[str] | None, *, may_read: bool) -> OperatorCalls:
        """The same for a caller that sees less; `queues`: these alone, with `inspector`."""
        exposition, whole = self._exposition, queues is None
        if exposition is not None and queues is not None:
            exposition = of_queues(exposition, queues)
        other = OperatorCalls(inspector, self._durability, self._readiness, exposition, whole=whole, may_read=may_read)
        other._rates = self._rates
        return other

    async def sample(self, _app: web.Application | None = None) -> AsyncIterator[None]:
        """Collect totals for the rates while the application runs."""
        sampler = asyncio.create_task(self._rates.sample_forever(self._inspector))
        yield
        sampler.cancel()
        with suppress(asyncio.CancelledError):
            await sampler

    async def get_queue_stats(self, request: web.Request) -> web.Response:
        read_query(request.query, NoQuery)
        stats = await self._inspector.stats(max_age_seconds=SHARED_SECONDS)
        shown = views.queue_stats(stats, self._rates.until(stats))
        return answer(shown if self._whole else views.without_totals(shown))

    async def list_nodes(self, request: web.Request) -> web.Response:
        read_query(request.query, NoQuery)
        nodes = await self._inspector.nodes(max_age_seconds=SHARED_SECONDS)
        return answer(views.node_list(nodes, may_read=self._may_read))

    async def get_health(self, _request: web.Request) -> web.Response:
        try:
            health = await self._inspector.health()
        except StoreError as error:
            return answer(self._health(None, [str(error)]), 503)
        return answer(self._health(health, health.problems))

    async def get_liveness(self, _request: web.Request) -> web.Response:
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.sleep(0)
        return answer(LiveAnswer("ok", round(loop.time() - before, 6)))

    async def get_readiness(self, _request: web.Request) -> web.Response:
        problems = self._readiness() if self._readiness else []
        try:
            await self._inspector.health()
        except StoreError as error:
            problems = [*problems, str(error)]
        if problems:
            shown = ["GET /health and the log say why, to whom may know"] if self._discreet else problems
            return answer(ReadyAnswer("not ready", shown), 503)
        return answer(ReadyAnswer("ready", []))

    async def get_metrics(self, _request: web.Request) -> web.Response:
        if self._exposition is None:
            raise ApiProblem(404, "metrics_not_available", "this process exposes no metrics")
        body, content_type = self._exposition(await self._reading())
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _reading(self) -> Reading | None:
        """None while the store is away: the rest of the page is wanted all the more then."""
        try:
            stats = await self._inspector.stats(max_age_seconds=SHARED_SECONDS)
            return Reading(stats, await self._inspector.nodes(max_age_seconds=SHARED_SECONDS))
        except StoreError:
            return None

    def _health(self, health: Health | None, problems: list[str]) -> HealthAnswer:
        if health is None:
            return HealthAnswer("unavailable", VERSION, self._durability, None, problems)
        store = StoreHealth(health.server, health.version, health.durability, health.used_memory, health.max_memory)
        status: Literal["degraded", "ok"] = "degraded" if problems else "ok"
        return HealthAnswer(status, VERSION, self._durability, store, problems)
