"""A process of the HTTP API beside the nodes: it fires ticks of schedules as they do, or alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import msgspec

from ironforge.settings import Settings, environment_of
from tests.support import fork_server

COMMAND = (sys.executable, "-m", "ironforge", "api-child")
STOP_SECONDS = 10.0


class ApiProcess:
    """Listens on a port that the system chooses. One that a fault of the server has ended is started again."""

    def __init__(self, settings: Settings) -> None:
        self._environment = environment_of(msgspec.structs.replace(settings, http_port=0, log_level="error"))
        self._process: subprocess.Popen[bytes] | fork_server.Forked | None = None

    @property
    def started(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        self._process = fork_server.popen(
            COMMAND,
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def keep(self) -> None:
        """Running."""
        if self._process is None or self._process.poll() is not None:
            self.start()

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None, "it was not started"
        self._process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """A paused one ends as well."""
        if self._process is None:
            return
        self.send(number)
        self.send(signal.SIGCONT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
