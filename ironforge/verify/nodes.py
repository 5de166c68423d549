"""The node processes of a run: started, hurt and replaced by the run alone.

Only processes that were started here are ever signalled.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from ironforge.process.handler_environment import hide_from_handlers
from ironforge.runtime.parent_pipe import PARENT_FD
from ironforge.settings import Settings, environment_of
from ironforge.verify.handlers import LEDGER_FOLDER, LOOK_SECONDS, NEWER, OLDER
from ironforge.verify.ledger import UNSETTLED_SECONDS, Ledger, read

COMMAND: Final = (sys.executable, "-m", "ironforge", "node-child", "ironforge.verify.handlers:forge")
STOP_SECONDS: Final = 30.0
# A configuration that cannot be used, for no server answered; or one that went away while it was looked at.
NO_SERVER: Final = (2, 3)
# Twice as many kills: each takes less time than the others, and is the one that happens in practice.
FAULTS: Final = ("kill", "kill", "pause", "stop", "deploy")


class Nodes:
    """`count` nodes, whatever happens to them. `command` starts one; the settings reach it by its environment."""

    def __init__(self, settings: Settings, folder: Path, ledger: Ledger, command: Sequence[str] = COMMAND) -> None:
        self._settings = settings
        self._folder = folder
        self._ledger = ledger
        self._command = list(command)
        self._running: dict[subprocess.Popen[bytes], str] = {}
        self._leaving: set[subprocess.Popen[bytes]] = set()
        self._hurting = asyncio.Lock()
        # Its other end closes when this process ends, however it ends: then they drain, and end as well.
        self._link, self._their_link = socket.socketpair()

    @property
    def processes(self) -> list[int]:
        """Those that run, in ascending order; each is part of the name of its node."""
        return sorted(process.pid for process in self._running)

    @property
    def versions(self) -> list[str]:
        """Those of their applications."""
        return list(self._running.values())

    def start(self, count: int = 1, version: str = NEWER) -> None:
        """`version`: of their application."""
        told = environment_of(msgspec.structs.replace(self._settings, log_level="error", app_version=version))
        environment = {**os.environ, **told, LEDGER_FOLDER: str(self._folder)}
        hide_from_handlers(environment)
        environment[PARENT_FD] = str(self._their_link.fileno())
        for _ in range(count):
            # What a node logs while it is being killed is no news, and what it prints is not for our output.
            process = subprocess.Popen(  # noqa: S603 - the command is ours
                self._command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(self._their_link.fileno(),),
                start_new_session=True,
            )
            self._running[process] = version

    async def keep(self) -> None:
        """Until cancelled: replaces at once each node that ends by itself, or by a job that it ran."""
        while True:
            self._look_for_dead()
            await asyncio.sleep(LOOK_SECONDS)

    async def hurt(self, rng: random.Random, faults: Sequence[str] = FAULTS) -> None:
        """One of these faults on one node, and its repair: afterwards there are as many nodes as before."""
        async with self._hurting:
            self._look_for_dead()
            victim = rng.choice(list(self._running))
            name = rng.choice(faults)
            await self._busy(victim)
            if victim.poll() is None:  # else a job has killed it meanwhile
                await self._hurt(victim, name, rng)

    async def _hurt(self, victim: subprocess.Popen[bytes], name: str, rng: random.Random) -> None:
        version = self._other_version(victim) if name == "deploy" else self._running[victim]
        self._ledger.note("fault", name=name, pid=victim.pid, in_flight=self._in_flight(victim.pid, UNSETTLED_SECONDS))
        if name == "pause":
            victim.send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(self._settings.lease_seconds * rng.uniform(0.5, 2.0))
            finally:
                victim.send_signal(signal.SIGCONT)
                self._ledger.note("healed", name=name, pid=victim.pid)
            return
        self._leaving.add(victim)
        if name == "kill":
            victim.kill()
            await self._gone(victim)
            self.start(version=version)
        else:
            victim.send_signal(signal.SIGTERM)
            self.start(version=version)
            await self._gone(victim)
            self._ledger.note("healed", name=name, pid=victim.pid)

    async def stop(self) -> None:
        """End all of them in order; one that does not end in time is killed."""
        self._look_for_dead()
        self._leaving.update(self._running)
        for process in self._running:
            process.send_signal(signal.SIGTERM)
        for process in list(self._running):
            await self._gone(process)
        self._link.close()
        self._their_link.close()

    def _look_for_dead(self) -> None:
        """Nodes that ended and were not hurt: a finding, if no job killed its own. Each is replaced.

        One that found no server when it started is no finding: it says so and ends, and is only started again.
        """
        ended = [process for process in self._running if process not in self._leaving and process.poll() is not None]
        for process in ended:
            if process.returncode not in NO_SERVER:
                self._ledger.note("died", pid=process.pid, name=f"exit code {process.returncode}")
            self.start(version=self._running.pop(process))

    def _other_version(self, process: subprocess.Popen[bytes]) -> str:
        """Of several the last newer one stays: jobs that only that can run would wait."""
        goes_back = self._running[process] == NEWER and (self.versions.count(NEWER) > 1 or len(self._running) == 1)
        return OLDER if goes_back else NEWER

    async def _busy(self, process: subprocess.Popen[bytes]) -> None:
        """Until it runs a job, for a lease at most: a node that does nothing cannot be disturbed."""
        deadline = time.monotonic() + self._settings.lease_seconds
        while not self._in_flight(process.pid, 0.0) and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)

    async def _gone(self, process: subprocess.Popen[bytes]) -> None:
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
        del self._running[process]

    def _in_flight(self, pid: int, unsettled_seconds: float) -> int:
        """How many jobs the node has started and not ended, or so short a time ago that they may not be settled."""
        held: set[str] = set()
        now = time.monotonic()
        for event in read(self._folder, f"node-{pid}"):
            if event.what == "start":
                held.add(event.job)
            elif now - event.at > unsettled_seconds:
                held.discard(event.job)
        return len(held)
