"""A server whose storage and replication can fail: power loss, pause, promotion.

Killing a server proves nothing about its disk, because what it wrote is in the kernel's cache. So a small library that
is loaded into the server notes how long each file was when it was last synced; a power loss kills the server and cuts
every file back to that.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

import redis

from ironforge.runtime.embedded_server import _find_binary
from tests.support.preload import disk_environment, synced_sizes
from tests.support.topologies import free_port

START_SECONDS = 20.0


class Server:
    """One Valkey with a folder and a port of its own. `config` are further lines of its configuration."""

    def __init__(self, folder: Path, *, loses_power: bool = False, **config: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = 0
        self._loses_power = loses_power
        self._config = {"appendonly": "yes", "save": '""', **config}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, protocol=2)

    def start(self) -> Self:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.port = self.port or free_port()
            self._launch()
            if self._answers(deadline):
                return self
            self.port = 0  # somebody else was faster to take it
        raise AssertionError((self.folder / "log").read_text())

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def lose_power(self) -> None:
        """Kill it, and forget everything that was not synced."""
        self.kill()
        synced = synced_sizes(self.folder)
        for path in (self.folder / "appendonlydir").glob("*.incr.aof"):
            os.truncate(path, synced.get(path.stat().st_ino, 0))

    def _launch(self) -> None:
        given = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.folder), **self._config}
        configuration = self.folder / "valkey.conf"
        configuration.write_text("".join(f"{name} {value}\n" for name, value in given.items()))
        environment = {**os.environ, **(disk_environment(self.folder) if self._loses_power else {})}
        with (self.folder / "log").open("ab") as log:
            command = [str(_find_binary()), str(configuration)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)

    def _answers(self, deadline: float) -> bool:
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                with self.client as client:
                    if client.info("server")["process_id"] == self._process.pid:
                        return True
            except redis.RedisError:
                time.sleep(0.02)
        return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
