"""Everything is killed at once ten times, nodes, API and server, in the middle of orders of the example's shop: each is
charged once as recorded, and ends."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ironforge.client.client import AsyncClient
from ironforge.examples.submit_workflows import order
from ironforge.job.record import JobState, format_id, parse_id
from ironforge.runtime.embedded_server import EmbeddedServer
from ironforge.settings import Settings, load
from ironforge.steps.journal import EntryKind
from ironforge.store import StoreClient
from tests.cli.kit import Service
from tests.cli.test_doctor import doctor
from tests.support.waiting import until, whole_lines
from tests.system.topologies.kit import ADDRESS

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

JOBS = ("plain", "packed")
TAKEN = {*JOBS, "nodes"}
LATE = {"late", "late-nodes"}
PARTS = 12
# A job that happens to run each time that everything is killed is no poison here.
SETTINGS = {"durability": "local", "lease_seconds": "1", "crash_budget": "20", "concurrency": "4"}
STRANDED = ("would not have", "were lost to", "stranded")


class ShopNode(Service):
    PROGRAM = (sys.executable, "-m", "tests.system.faults.shop_app")


class Installation:
    """A server with its data, an API and two nodes, all of them processes."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedServer(Settings(data_dir=str(folder / "data"), durability="local"))
        self._services: list[Service] = []
        self.client: AsyncClient
        self.logs: list[str] = []

    async def start(self) -> str:
        await asyncio.to_thread(self._server.start)
        given = {"redis_url": self._server.url, **SETTINGS}
        api = Service("api", "--port", "0", **given)
        self._services = [api, ShopNode(**given), ShopNode(**given)]
        found = ADDRESS.search(await asyncio.to_thread(api.logged, "api is listening"))
        assert found
        self.client = AsyncClient(found[0])
        return self._server.url

    async def kill(self) -> None:
        """In any order, with nothing between."""
        assert self._server._process
        kills = [self._server._process.kill, *(lambda one=one: one.signal(signal.SIGKILL) for one in self._services)]
        for kill in random.sample(kills, len(kills)):
            kill()
        await self._gone()

    async def end(self) -> None:
        for service in self._services:
            if service.running:
                service.signal(signal.SIGTERM)
        await self._gone()

    async def _gone(self) -> None:
        for service in self._services:
            await asyncio.to_thread(service.ended)
            self.logs += service.stderr
        await self.client.close()
        await asyncio.to_thread(self._server.stop)


class Shop:
    """Orders by name, and what is recorded of them."""

    def __init__(self, url: str, ledger: Path) -> None:
        self.url = url
        self.store_client = StoreClient(load({}, redis_url=url, durability="local"))
        self._ledger = ledger
        self.jobs: dict[str, bytes] = {}
        self.workflows: dict[str, bytes] = {}

    async def take(self, client: AsyncClient, kind: str, name: str, **payload: Any) -> None:
        answer = await client.submit(kind, {"order": name, **payload})
        self.jobs[name] = parse_id(answer["id"])

    async def take_workflow(self, client: AsyncClient, name: str, seconds: float) -> None:
        answer = await client.submit_workflow(order(name, approve_within_seconds=seconds))
        self.workflows[name] = parse_id(answer["id"])

    def calls(self, what: str) -> dict[str, list[list[Any]]]:
        """That have begun, by order."""
        found: dict[str, list[list[Any]]] = {}
        for line in whole_lines(self._ledger):
            made, about, *more = msgspec.json.decode(line)
            if made == what:
                found.setdefault(about["order"] if isinstance(about, dict) else about, []).append(more)
        return found

    async def recorded(self, name: str) -> dict[str, Any]:
        """What steps and waits that are over have returned."""
        steps = await self.store_client.inspector.steps(self.jobs[name])
        return {step.name: step.entry.result for step in steps if step.entry.kind is not EntryKind.WAIT}

    async def state(self, name: str) -> JobState:
        return (await self.store_client.inspector.get(self.jobs[name])).state

    async def node(self, name: str, number: int) -> Any:
        return (await self.store_client.workflows.view(self.workflows[name])).nodes[number]

    async def status(self, name: str) -> str:
        return (await self.store_client.workflows.view(self.workflows[name])).status

    async def approval_waits(self, name: str) -> bool:
        job_id = (await self.node(name, 1)).job_id
        return job_id is not None and (await self.store_client.inspector.get(job_id)).state is JobState.WAITING


# --------------------------------------------------------------------------- moments, by what is recorded


async def are_charging(shop: Shop) -> bool:
    return shop.calls("charge_card").keys() == TAKEN


async def are_charged(shop: Shop) -> bool:
    of_jobs = [await shop.recorded(name) for name in JOBS]
    return all("charge" in found for found in of_jobs) and (await shop.node("nodes", 0)).state == "succeeded"


async def wait(shop: Shop) -> bool:
    states = [await shop.state(name) for name in JOBS]
    return states == [JobState.WAITING] * len(JOBS) and await shop.approval_waits("nodes")


async def have_heard(shop: Shop) -> bool:
    of_jobs = {name: await shop.recorded(name) for name in JOBS}
    is_over = (await shop.node("nodes", 1)).state == "succeeded"
    return is_over and all(f"approved:{name}" in found for name, found in of_jobs.items())


async def are_packing(shop: Shop) -> bool:
    return len(shop.calls("pack").get("packed", ())) >= PARTS // 2


async def are_shipping(shop: Shop) -> bool:
    return shop.calls("ship").keys() == TAKEN


async def have_ended(shop: Shop) -> bool:
    states = [await shop.state(name) for name in JOBS]
    return states == [JobState.COMPLETED] * len(JOBS) and await shop.status("nodes") == "completed"


async def are_paid_back(shop: Shop) -> bool:
    return shop.calls("pay_back").keys() == LATE


async def late_ones_have_ended(shop: Shop) -> bool:
    return await shop.state("late") is JobState.COMPLETED and await shop.status("late-nodes") == "failed"


class Killing:
    """Of everything, each time that a moment has come."""

    def __init__(self, installation: Installation, shop: Shop) -> None:
        self._installation = installation
        self._shop = shop
        self.kills = 0

    async def at(self, moment: Callable[[Shop], Awaitable[bool]]) -> None:
        await until(lambda: moment(self._shop), moment.__name__)
        await self.now()

    async def now(self) -> None:
        await self._installation.kill()
        self.kills += 1
        await self._installation.start()


@contextlib.asynccontextmanager
async def shop_of(installation: Installation, ledger: Path) -> AsyncIterator[Shop]:
    shop = Shop(await installation.start(), ledger)
    try:
        yield shop
    finally:
        await shop.store_client.close()
        await installation.end()


async def test_orders_end_whatever_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = tmp_path / "ledger"
    monkeypatch.setenv("LEDGER", str(ledger))
    installation = Installation(tmp_path)
    async with shop_of(installation, ledger) as shop:
        killed = Killing(installation, shop)
        await shop.take(installation.client, "order.fulfil", "plain")
        await shop.take(installation.client, "order.pack", "packed", parts=PARTS)
        await shop.take_workflow(installation.client, "nodes", 86_400)
        await killed.now()
        await killed.at(are_charging)
        await killed.at(are_charged)
        charges = shop.calls("charge_card")
        await killed.at(wait)
        for name in TAKEN:
            await installation.client.send_event(f"approved:{name}", {"by": "ada"})
        await killed.now()
        await killed.at(have_heard)
        await killed.at(are_packing)
        await killed.at(are_shipping)
        await shop.take(installation.client, "order.fulfil", "late", approve_within_seconds=0.2)
        await shop.take_workflow(installation.client, "late-nodes", 0.2)
        await killed.at(have_ended)
        await killed.at(are_paid_back)
        await until(lambda: late_ones_have_ended(shop), "late orders to end")

        assert killed.kills == 10
        assert {name: shop.calls("charge_card")[name] for name in charges} == charges
        await check_orders(shop)
        findings = (await asyncio.to_thread(doctor, shop.url))[1]
        looked = [each for check in ("workflows", "waits", "families") for each in findings.get(check, [])]
        assert [finding for finding in looked if finding["level"] != "ok"] == []
    assert [line for line in installation.logs if any(word in line for word in STRANDED)] == []


async def check_orders(shop: Shop) -> None:
    results = {}
    for name, job_id in shop.jobs.items():
        view = await shop.store_client.inspector.get(job_id)
        assert (view.state, view.job.attempt, view.job.errors) == (JobState.COMPLETED, 0, ())
        results[name] = msgspec.json.decode(view.job.result)
    key = f"{format_id(shop.jobs['packed'])}/charge"
    parcel = "the parcel of order {} is on its way, as ada has approved"
    assert results["plain"] == parcel.format("plain")
    assert results["packed"] == {
        "key": key, "approved_by": "ada", "packed": [*range(PARTS)], "parcel": "the parcel of order packed"
    }  # fmt: skip
    assert results["late"] == "1999 cents were paid back: nobody has approved order late"
    assert msgspec.json.decode((await shop.node("nodes", 2)).result) == parcel.format("nodes")
    assert await shop.status("late-nodes") == "failed"
    # What was interrupted is asked for again by the same key.
    keys = {name: {more[-1] for more in calls} for name, calls in shop.calls("charge_card").items()}
    assert {name: len(found) for name, found in keys.items()} == dict.fromkeys([*shop.jobs, *shop.workflows], 1)
    assert shop.calls("pay_back").keys() == LATE
    assert shop.calls("ship").keys() == TAKEN
