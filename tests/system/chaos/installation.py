"""What a run hurts: a server, node processes and a submitter, each with a link of its own to the server.

Nodes are watched one by one, so that a fault accounts for what was in flight at its target and not elsewhere.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from ironforge.handlers.forge import Forge
from ironforge.settings import Settings, load
from ironforge.store import StoreClient
from ironforge.verify.handlers import NEWER
from ironforge.verify.ledger import UNSETTLED_SECONDS, Event, Ledger, read
from ironforge.verify.leftovers import orphan_consumers
from ironforge.verify.nodes import Nodes
from tests.support.preload import clock_environment, clock_library, set_clock
from tests.system.chaos.api_process import ApiProcess
from tests.system.chaos.proxy import Proxy
from tests.system.chaos.scenarios import Scenario
from tests.system.chaos.server import Server

LEASE_SECONDS = 1.5
RETENTION_SECONDS = 7 * 86_400.0
JOIN_SECONDS = 30.0
LOOK_SECONDS = 0.05
# When clocks in Europe are put forward, and back.
CHANGES = (datetime(2027, 3, 28, 1, tzinfo=UTC).timestamp(), datetime(2027, 10, 31, 1, tzinfo=UTC).timestamp())
# The process of a fault that touches no run: the verdict then explains no repeat by it.
NOBODY = -1
COMMAND = (sys.executable, "-m", "ironforge", "node-child", "tests.system.chaos.handlers:forge")


class Site(NamedTuple):
    """One node, whichever process it is at the moment, the link that it has, and the ledgers of its handlers."""

    nodes: Nodes
    folder: Path
    proxy: Proxy | None
    clock: Path | None


class Installation(NamedTuple):
    """`forge` and `store_client` are the submitter's, `sight` sees the server without what its link suffers.

    `ids`: every job that somebody tried to submit. `whole` is held by whoever stops the server.
    """

    server: Server
    whole: asyncio.Lock
    sites: list[Site]
    proxy: Proxy | None
    forge: Forge
    store_client: StoreClient
    sight: StoreClient
    settings: Settings
    ledger: Ledger
    api: ApiProcess
    ids: list[str]

    async def inflict(self, name: str, fault: Fault, rng: random.Random) -> None:
        """Let it happen, and note it for the nodes whose runs it may have touched; none of them, for nobody."""
        begin = time.monotonic()
        before = {site.nodes: site.nodes.processes for site in self.sites}
        sites = await fault(self, rng)
        if sites is None:
            return
        held = sum(in_flight(site.folder, begin) for site in sites)
        if len(sites) == len(self.sites):
            self.ledger.note("fault_begin", name=name, at=begin)
            self.ledger.note("fault", name=name, in_flight=held)
            return
        # Who was started meanwhile in place of another one has the same link.
        pids = {pid for site in sites for pid in (*before[site.nodes], *site.nodes.processes)}
        for pid in pids or {NOBODY}:
            self.ledger.note("fault", name=name, pid=pid, in_flight=held, at=begin)
            self.ledger.note("healed", name=name, pid=pid)

    def events(self, folder: Path) -> list[Event]:
        found = [event for place in (folder, *(site.folder for site in self.sites)) for event in read(place)]
        return sorted(found, key=lambda event: event.at)


# Hurts, and has healed when it returns. What ran meanwhile on the nodes that it returns may run again; None: it did not
# come to happen, or has been noted already.
Fault = Callable[[Installation, random.Random], Awaitable[Sequence[Site] | None]]


@asynccontextmanager
async def installed(scenario: Scenario, nodes: int, seed: int, folder: Path) -> AsyncIterator[Installation]:
    """Server, nodes and submitter, running. The ledgers are in `folder` and below."""
    async with AsyncExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        server = await stack.enter_async_context(_server(scenario, seed, base / "server"))
        direct = load(
            {},
            redis_url=server.url,
            durability="local",
            lease_seconds=LEASE_SECONDS,
            concurrency=64,
            retention_seconds=RETENTION_SECONDS,
        )
        ledger = Ledger(folder / "run.ledger")
        stack.callback(ledger.close)
        links: list[Proxy | None] = [None] * (nodes + 1)
        if scenario.linked:
            links = [await stack.enter_async_context(Proxy(str(server.socket), seed=seed)) for _ in links]
        sight = _opened(stack, direct)
        submitting = _through(direct, links[0])
        forge = await stack.enter_async_context(Forge(submitting))
        sites = []
        for number, link in enumerate(links[1:]):
            place = folder / f"site-{number}"
            place.mkdir()
            clock = base / f"clock-{number}" if server.moving_clock and number == nodes - 1 else None
            ticking = msgspec.structs.replace(direct, scheduler="on" if scenario.nodes_tick else "off")
            group = Nodes(_through(ticking, link), place, ledger, _command(clock))
            stack.push_async_callback(group.stop)
            sites.append(Site(group, place, link, clock))
            group.start()
        through = _opened(stack, submitting)
        api = ApiProcess(submitting)
        stack.callback(api.end)
        if scenario.ticking_pause_seconds:
            api.start()
        parts = (server, asyncio.Lock(), sites, links[0], forge, through, sight, direct, ledger, api)
        installation = Installation(*parts, ids=[])
        await everybody_there(installation)
        yield installation


def _server(scenario: Scenario, seed: int, folder: Path) -> Server:
    moving = scenario.moves_clocks and clock_library() is not None
    change_at = CHANGES[seed % len(CHANGES)] if moving and scenario.change_pause_seconds else 0.0
    return Server(folder, moving_clock=moving, change_at=change_at)


async def everybody_there(installation: Installation) -> bool:
    """Whether every node has a lease and nobody else has one, by now or soon. The server must be whole."""
    deadline = time.monotonic() + JOIN_SECONDS
    while time.monotonic() < deadline:
        for site in installation.sites:
            site.nodes._look_for_dead()  # one that found no server when it was to start is started again
        joined = sorted(int(node.name.split(".")[-2]) for node in await installation.sight.inspector.nodes())
        wanted = sorted(pid for site in installation.sites for pid in site.nodes.processes)
        if joined == wanted and not await orphan_consumers(installation.settings):
            return True
        await asyncio.sleep(LOOK_SECONDS)
    return False


async def heal(installation: Installation) -> None:
    """Whatever a fault left behind: all links pass, the server runs, has room and the true time, the API runs, and
    nodes know every kind."""
    for proxy in (installation.proxy, *(site.proxy for site in installation.sites)):
        if proxy:
            proxy.heal()
    server = installation.server
    server.empty_disk()
    if not server.running:
        await server.end(signal.SIGKILL)
        await server.start()
    if installation.api.started:
        installation.api.keep()
    for site in installation.sites:
        while NEWER not in site.nodes.versions:
            await site.nodes.hurt(random.Random(), ("deploy",))


def in_flight(folder: Path, begin: float) -> int:
    count = 0
    decode = msgspec.json.Decoder(Event).decode
    for path in folder.glob("node-*.ledger"):
        held: set[str] = set()
        for line in path.read_bytes().splitlines():
            try:
                event = decode(line)
            except msgspec.MsgspecError:
                continue
            if event.what == "start":
                held.add(event.job)
            elif event.at < begin - UNSETTLED_SECONDS:
                held.discard(event.job)
        count += len(held)
    return count


def _opened(stack: AsyncExitStack, settings: Settings) -> StoreClient:
    store_client = StoreClient(settings)
    stack.push_async_callback(store_client.close)
    return store_client


def _through(settings: Settings, proxy: Proxy | None) -> Settings:
    return msgspec.structs.replace(settings, redis_url=proxy.url) if proxy else settings


def _command(clock: Path | None) -> Sequence[str]:
    if clock is None:
        return COMMAND
    set_clock(clock, 0.0)
    return ("env", *(f"{name}={value}" for name, value in clock_environment(clock).items()), *COMMAND)
