"""A node from its settings to its end: opens the store, starts the tree, runs until told to stop, drains.

The composition root: the only module that knows every part. `run_node` is all an application needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from ironforge.actors.kernel import ActorDead, ActorError, ActorFailed, ActorRef, ActorSystem, Exit, MailboxFull
from ironforge.actors.messages import Drain, Heard, Held, SeenDead
from ironforge.actors.session import ASK_SECONDS, NODE
from ironforge.actors.supervisor import Parts, node_spec
from ironforge.execution import isolation
from ironforge.execution.executor import Executor
from ironforge.formats.numbers import counted
from ironforge.handlers.announcements import announcements_of, limits_of, schedules_of
from ironforge.handlers.events import EventName
from ironforge.handlers.forge import Forge
from ironforge.logs import handlers
from ironforge.logs.setup import configure_logging
from ironforge.metrics.jobs import Metrics, measure_loop_lag
from ironforge.process.ending import end_in_time
from ironforge.process.first_process import leave_first_process
from ironforge.process.forks import withhold_loop
from ironforge.process.handler_environment import hide_from_handlers, tell_handlers
from ironforge.process.stop_signals import StopSignals
from ironforge.runtime.lifespans import Lifespans
from ironforge.runtime.limits import announce_limits
from ironforge.runtime.parent_pipe import ChildStatus, Deaths, reporting
from ironforge.runtime.unserved import warn_of_unserved_kinds
from ironforge.settings import Settings, load, namespaces_of
from ironforge.store import NodeStore
from ironforge.store.server_checks import verify

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.02
PULSE_SECONDS: Final = 1.0
# A blocking read of the server comes back every two seconds; one that is this late has no server behind it.
DEAF_SECONDS: Final = 6.0
# Beyond the drain: handlers clean up, the last results are stored, what is still held is requeued.
SHUTDOWN_SECONDS: Final = 15.0
START_TRIES: Final = 3


class Node:
    """One node in this process: `start`, then `wait` until `stop` was called or the tree gave up, then `close`."""

    def __init__(self, forge: Forge, settings: Settings) -> None:
        self._settings = settings
        self.metrics = Metrics(parts=namespaces_of(settings), namespace=settings.namespace)
        self._forge = forge
        self.system = ActorSystem()
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._problem = "starting"
        # Under which this node holds jobs: another one after each loss of its lease. `on_joined` hears of each.
        self.name = ""
        self.on_joined: Callable[[], None] = lambda: None
        forge.freeze()
        self._announcements = announcements_of(forge, settings.app_version)
        self._limits = limits_of(forge)
        self._schedules = schedules_of(forge)
        self._lifespans = Lifespans(forge.lifespans, self._stopping.set)
        self._root: ActorRef | None = None

    async def start(self) -> None:
        """Told to stop while the lifespans of the application start, it runs no jobs: `wait` returns at once.

        Raises ConfigError when a lifespan fails, or the server cannot be reached or does not fit the settings.
        """
        await withhold_loop()
        await verify(self._settings, accepts_jobs=False)
        if self._settings.durability == "local":
            logger.info("whether the server writes accepted jobs through is not checked here, but by the API")
        try:
            await announce_limits(self._limits, self._settings)
            if await self._lifespans.start(self._stopping):
                await self._run_jobs()
        except BaseException:
            await self._lifespans.end()
            raise

    async def _run_jobs(self) -> None:
        settings = self._settings
        self._store = NodeStore(settings, self._announcements, self._limits, self._schedules)
        name = f"{socket.gethostname()}-{os.getpid()}"
        self._executor = Executor(self._forge, settings, name, self._lifespans.provided)
        parts = Parts(settings, self._store, self._executor, self.metrics, self.system, on_joined=self._joined)
        try:
            await self._store.announce_schedules()
            self._root = await self._start_tree(parts)
        except BaseException:
            await self._executor.close()
            await self._store.close()
            raise
        self._problem = ""
        self._helpers = [
            asyncio.create_task(self._feel_pulse(), name="pulse"),
            asyncio.create_task(measure_loop_lag(self.metrics), name="loop lag"),
            asyncio.create_task(warn_of_unserved_kinds(self._forge, settings), name="unserved kinds"),
        ]
        self._tell("node_started")
        kinds = ", ".join(self._forge.kinds) or "none: this application registers no handlers"
        logger.info("node is running %s at a time; kinds: %s", counted(settings.concurrency, "job"), kinds)

    def _tell(self, event: EventName) -> None:
        if self._executor.hooks is not None:
            self._executor.hooks.tell_of_node(event)

    async def _start_tree(self, parts: Parts) -> ActorRef:
        """A lease that is lost meanwhile ends the start, for there is no whole tree yet that could begin anew."""
        for _ in range(START_TRIES - 1):
            try:
                return await self.system.spawn(node_spec(parts))
            except ActorFailed as error:
                logger.warning("the node did not start, it tries again: %s", error)
        return await self.system.spawn(node_spec(parts))

    def _joined(self, name: str) -> None:
        self.name = name
        self.on_joined()

    def problems(self) -> list[str]:
        """Why this node is not ready to take jobs; empty when it is."""
        if self._stopping.is_set():
            return ["draining: this node is being stopped"]
        return [self._problem] if self._problem else []

    def take_over(self, deaths: Deaths) -> None:
        """Have the jobs of nodes whose processes were seen to end run again now."""
        with contextlib.suppress(ActorDead, MailboxFull):  # the leases of those nodes will run out as well
            self.system.ref(f"{NODE}/lease").try_tell(SeenDead(deaths.nodes))

    def stop(self) -> None:
        """Drain and end; called again: do not wait for running jobs any longer."""
        (self._hurry if self._stopping.is_set() else self._stopping).set()

    async def wait(self) -> int:
        """The exit code: 0 after `stop`, 1 when the tree gave up as its roles kept crashing, or a lifespan failed."""
        if self._root is None:
            return 0
        ended = asyncio.create_task(self.system.wait(self._root))
        told = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([ended, told], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if ended.done():
            logger.critical("this node gives up: its roles crashed too often, see the errors above")
            return 0 if ended.result() is Exit.NORMAL else 1
        try:
            await self._drain()
        except ActorError as error:  # a role crashed meanwhile: the lease requeues what it held
            logger.warning("the drain was cut short: %s", error)
        ended.cancel()
        return 1 if self._lifespans.failed else 0

    async def close(self) -> None:
        """Stop the tree, requeue what is still held, end the lifespans, close every connection."""
        if self._root is None:
            return
        for helper in self._helpers:
            helper.cancel()
        survivors = await self.system.shutdown(SHUTDOWN_SECONDS)
        if survivors:
            logger.error("these did not stop in time: %s", ", ".join(survivors))
        self._tell("node_stopped")
        await self._executor.close()
        await self._lifespans.end()
        await self._store.close()
        logger.info("node has ended")

    async def _drain(self) -> None:
        dispatcher = self.system.ref(f"{NODE}/dispatcher")
        deadline = time.monotonic() + self._settings.drain_seconds
        await dispatcher.ask(Drain(), timeout_seconds=ASK_SECONDS)
        self._tell("node_draining")
        logger.info("draining: no new jobs, up to %g s for those that run", self._settings.drain_seconds)
        while await dispatcher.ask(Held(), timeout_seconds=ASK_SECONDS):
            if self._hurry.is_set() or time.monotonic() > deadline:
                logger.warning("jobs that still run are requeued: they will run again elsewhere")
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), LOOK_SECONDS)

    async def _feel_pulse(self) -> None:
        """Ready means that this node has really heard from the server lately, not that its process exists."""
        dispatcher = self.system.ref(f"{NODE}/dispatcher")
        while True:
            handlers.settle()
            try:
                silent_seconds = await dispatcher.ask(Heard(), timeout_seconds=ASK_SECONDS)
            except ActorError as error:
                self._problem = f"the dispatcher does not answer: {error}"
            else:
                deaf = silent_seconds > DEAF_SECONDS
                self._problem = f"no answer from the server for {silent_seconds:.0f} s" if deaf else ""
            await asyncio.sleep(PULSE_SECONDS)


@contextlib.asynccontextmanager
async def running(forge: Forge, settings: Settings) -> AsyncIterator[Node]:
    """A node while the block runs; it is drained at the end."""
    node = Node(forge, settings)
    with isolation.hidden_tasks():
        await node.start()
    try:
        yield node
    finally:
        with isolation.hidden_tasks():
            node.stop()
            try:
                await node.wait()
            finally:
                await node.close()
                isolation.show_tasks(asyncio.get_running_loop())


async def serve(forge: Forge, settings: Settings) -> int:
    """Run a node until SIGTERM or SIGINT (a second one hurries), or until the parent process is gone."""
    node = Node(forge, settings)
    listening = asyncio.create_task(StopSignals(node.stop, settings.drain_seconds).keep())

    def status() -> ChildStatus:
        problems = node.problems()
        return ChildStatus(ready=not problems, problems=tuple(problems), node=node.name)

    async with reporting(status, node.stop, node.take_over) as link:
        if link is not None:
            # At once, before it holds anything: a parent that sees this process die must know which node died.
            node.on_joined = lambda: link.report(status())
        await node.start()
        try:
            return await node.wait()
        finally:
            await node.close()
            listening.cancel()


def run_node(forge: Forge, settings: Settings | None = None) -> int:
    """Run one node in this process until it is told to stop; returns the exit code. Blocks.

    At its end, Python waits 2 s for threads and processes of handlers and no longer. As PID 1 it forks first: one
    process runs the node, the other waits for orphans.

    Raises ConfigError when settings or server do not fit.
    """
    leave_first_process()
    hide_from_handlers(os.environ)
    settings = settings or load()
    tell_handlers(os.environ, settings)
    configure_logging(settings)
    return end_in_time(isolation.run(serve(forge, settings)))
