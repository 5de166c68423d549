"""The parent of `ironforge node` and of `ironforge api`: keeps N processes alive and ends them in order.

Python runs one core a process, so a machine with many cores runs many. The parent holds no job and no
connection to Redis: it can be killed at any time, and its children then drain by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from ironforge.logs.setup import get_logger
from ironforge.metrics.exposition import ChildMetrics
from ironforge.runtime.parent_pipe import PARENT_FD, ChildStatus, Deaths, read_status, tell
from ironforge.runtime.probes import probes
from ironforge.settings import Settings

# A child that ran for this long is restarted at once; one that dies younger waits, longer each time.
YOUNG_SECONDS: Final = 10.0
MIN_BACKOFF_SECONDS: Final = 0.5
MAX_BACKOFF_SECONDS: Final = 10.0
# A child reports every second; one that has been silent for this long has a stuck event loop.
SILENCE_SECONDS: Final = 5.0
# After the drain a child cleans up, stores its last results and requeues its jobs, in 15 s or by force. It must
# be let: a kill here counts as a crash of every job that it still holds.
GRACE_SECONDS: Final = 20.0
CONFIG_ERROR_CODE: Final = 2
# What a child reported in its last moment is still to be read when its end is known.
LAST_WORDS_SECONDS: Final = 0.1
HEIRLOOMS: Final = 64

log = get_logger(__name__)


def restart_delay(previous_seconds: float, lived_seconds: float) -> float:
    """How long to wait before a child is started again, after it waited `previous_seconds` the last time."""
    if lived_seconds >= YOUNG_SECONDS:
        return 0.0
    return min(MAX_BACKOFF_SECONDS, max(MIN_BACKOFF_SECONDS, previous_seconds * 2))


async def run_processes(command: Sequence[str], settings: Settings) -> int:
    """Run `settings.processes` children of `command` until a signal ends them; returns the exit code.

    0 after SIGTERM or SIGINT: the first one drains the children, a second one makes them requeue their jobs
    at once, and a child that is still there `drain_seconds` + 20 s after the first one is killed. 2 when a child
    says at its first start, by this code, that the configuration is wrong.
    Raises ConfigError when the probes' port is taken.
    """
    with metrics_folder() as folder:
        metrics = ChildMetrics(folder)
        parent = Parent("node", command, settings.processes, metrics, settings.drain_seconds + GRACE_SECONDS)
        async with probes(
            settings.http_host,
            settings.node_http_port,
            problems=parent.problems,
            exposition=metrics.exposition,
        ):
            return await parent.run()


def metrics_folder() -> tempfile.TemporaryDirectory[str]:
    """Where children write what they count, while the block runs."""
    return tempfile.TemporaryDirectory(prefix="ironforge-metrics-")


class Parent:
    """All slots together: signals, the end, readiness. `name` says in the log what the children are."""

    def __init__(
        self, name: str, command: Sequence[str], count: int, metrics: ChildMetrics, patience_seconds: float
    ) -> None:
        self.name = name
        self.command = command
        self.metrics = metrics
        self.stopping = asyncio.Event()
        self._patience_seconds = patience_seconds
        self._heirless: list[str] = []
        self._slots = [_Slot(self, number) for number in range(count)]

    def problems(self) -> list[str]:
        """Why this node is not ready; empty when every process is."""
        if self.stopping.is_set():
            return ["draining: this node is being stopped"]
        return [f"process {slot.number}: {problem}" for slot in self._slots for problem in slot.problems()]

    def stop(self) -> None:
        """Begin the end, or hurry it: children get a further SIGTERM with each call."""
        self.stopping.set()
        for slot in self._slots:
            slot.send(signal.SIGTERM)

    async def run(self) -> int:
        """Until a signal; the exit code. A child that ends before is replaced."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        keepers = [asyncio.create_task(slot.keep(), name=f"slot-{slot.number}") for slot in self._slots]
        stopping = asyncio.create_task(self.stopping.wait(), name="stopping")
        try:
            await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not self.stopping.is_set():
                self.stop()
            await self._ended(keepers)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
        return max(keeper.result() for keeper in keepers)

    def hand_over(self, nodes: Iterable[str] = ()) -> None:
        """Have a child that is ready, now or later, take over from dead nodes without waiting for their leases."""
        self._heirless += nodes
        heir = next((slot for slot in self._slots if not slot.problems()), None)
        if self._heirless and heir is not None:
            heir.take_over(self._heirless)
            self._heirless = []

    def _signalled(self, number: signal.Signals) -> None:
        again = self.stopping.is_set()
        log.info("ending at once" if again else "draining", signal=number.name)
        self.stop()

    async def _ended(self, keepers: Sequence[asyncio.Task[int]]) -> None:
        _done, late = await asyncio.wait(keepers, timeout=self._patience_seconds)
        if late:
            log.warning("killing processes that did not end in time", seconds=self._patience_seconds)
            for slot in self._slots:
                slot.send(signal.SIGKILL)
            await asyncio.wait(late)


class _Slot:
    """One place for a child: starts it, hears from it, and starts the next one when it died."""

    def __init__(self, parent: Parent, number: int) -> None:
        self.number = number
        self._parent = parent
        self._process: asyncio.subprocess.Process | None = None
        self._connection: asyncio.StreamWriter | None = None
        # What it was told to take over goes to another heir when it dies as well; it may not have come to it.
        self._inherited: deque[str] = deque(maxlen=HEIRLOOMS)
        self._status: ChildStatus | None = None
        self._heard_at = 0.0

    def problems(self) -> list[str]:
        if self._process is None:
            return ["not running, waits for its restart"]
        if self._status is None:
            return ["starting"]
        silent_seconds = time.monotonic() - self._heard_at
        if silent_seconds > SILENCE_SECONDS:
            return [f"has not reported for {silent_seconds:.0f} s: its event loop is stuck"]
        return [] if self._status.ready else list(self._status.problems or ("not ready",))

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def take_over(self, nodes: Sequence[str]) -> None:
        assert self._connection is not None
        self._inherited.extend(nodes)
        tell(self._connection, Deaths(tuple(nodes)))

    async def keep(self) -> int:
        """Keep a child running until the parent stops. Returns the exit code that the parent should have."""
        delay_seconds = 0.0
        first = True
        while not self._parent.stopping.is_set():
            started = time.monotonic()
            code = await self._run_once()
            if self._parent.stopping.is_set():
                break
            if first and code == CONFIG_ERROR_CODE:
                return CONFIG_ERROR_CODE
            first = False
            delay_seconds = restart_delay(delay_seconds, time.monotonic() - started)
            log.warning(
                "%s process ended", self._parent.name, process=self.number, how=_how(code), restart_in=delay_seconds
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._parent.stopping.wait(), delay_seconds)
        return 0

    async def _run_once(self) -> int | None:
        """Start a child and wait for its end: its exit code, or None when it could not be started."""
        ours, theirs = socket.socketpair()
        reader, self._connection = await asyncio.open_connection(sock=ours)
        listener = asyncio.create_task(self._listen(reader), name=f"link-{self.number}")
        try:
            with theirs:
                self._process = await self._start(theirs)
            if self._parent.stopping.is_set():
                self.send(signal.SIGTERM)
            await self._process.wait()
            await asyncio.wait([listener], timeout=LAST_WORDS_SECONDS)
            self._bequeath()
        except OSError as error:
            log.warning("%s process cannot be started", self._parent.name, process=self.number, error=str(error))
            return None
        else:
            return self._process.returncode
        finally:
            listener.cancel()
            self._connection.close()
            self._process = self._status = self._connection = None
            self._inherited.clear()
            self._parent.metrics.child_gone(self.number)

    def _bequeath(self) -> None:
        """The process has been waited for, so it settles nothing more. What ended in order has left nothing behind."""
        if self._status is not None and self._status.node:
            nodes = [self._status.node, *self._inherited]
            self._status = None
            self._parent.hand_over(nodes)

    async def _start(self, connection: socket.socket) -> asyncio.subprocess.Process:
        """In a session of its own: Ctrl-C must reach the parent alone, which then decides."""
        environment = {PARENT_FD: str(connection.fileno()), **self._parent.metrics.environment(self.number)}
        process = await asyncio.create_subprocess_exec(
            *self._parent.command,
            stdin=asyncio.subprocess.DEVNULL,
            env={**os.environ, **environment},
            pass_fds=(connection.fileno(),),
            start_new_session=True,
        )
        log.info("%s process started", self._parent.name, process=self.number, pid=process.pid)
        return process

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            async for line in reader:
                status = read_status(line)
                if status is None:
                    log.warning("passed over a report that cannot be read", process=self.number, line=repr(line[:100]))
                    continue
                if self._status is None or status.ready != self._status.ready:
                    log.info("%s process reports", self._parent.name, process=self.number, ready=status.ready)
                self._status, self._heard_at = status, time.monotonic()
                self._parent.hand_over()
        except (ConnectionError, ValueError) as error:
            log.warning(
                "the reports of a %s process cannot be read", self._parent.name, process=self.number, error=str(error)
            )


def _how(code: int | None) -> str:
    if code is None:
        return "never started"
    return f"exit code {code}" if code >= 0 else f"signal {-code} ({signal.strsignal(-code)})"
