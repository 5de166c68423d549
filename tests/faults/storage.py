"""A server whose storage and replication can fail: power loss, pause, promotion.

Killing a server proves nothing about its disk, because what it wrote is in the kernel's cache. So a small library that
is loaded into the server notes how long each file was when it was last synced; a power loss kills the server and cuts
every file back to that.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest
import redis

from ironforge.embedded import _find_binary

START_SECONDS = 20.0

_SHIM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int synced(int fd, long number) {
    char link[64], path[4096], line[4200];
    struct stat before;
    fstat(fd, &before);
    int result = (int) syscall(number, fd);
    if (result != 0) return result;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || !S_ISREG(before.st_mode)) return 0;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    int log = open(getenv("SYNCED"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    int size = snprintf(line, sizeof line, "%lld %s\n", (long long) before.st_size, name ? name + 1 : path);
    if (write(log, line, size) != size) abort();
    close(log);
    return 0;
}

int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
int fsync(int fd) { return synced(fd, SYS_fsync); }
"""


def shim(folder: Path) -> Path:
    """The library, compiled; skips the test where that is not possible."""
    compiler = shutil.which("cc")
    if compiler is None or not Path("/proc/self/fd").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("no C compiler: apt-get install gcc")
        pytest.skip("needs a C compiler, and Linux")
    source, library = folder / "synced.c", folder / "synced.so"
    source.write_text(_SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


class Server:
    """One Valkey with a folder and a port of its own. `config` are further lines of its configuration."""

    def __init__(self, folder: Path, *, library: Path | None = None, **config: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = 0
        self._library = library
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
            self.port = self.port or _free_port()
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
        synced: dict[str, int] = {}
        for line in (self.folder / "synced").read_text().splitlines():
            size, _, name = line.partition(" ")
            synced[name] = int(size)
        for path in (self.folder / "appendonlydir").glob("*.incr.aof"):
            os.truncate(path, synced.get(path.name, 0))

    def _launch(self) -> None:
        given = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.folder), **self._config}
        configuration = self.folder / "valkey.conf"
        configuration.write_text("".join(f"{name} {value}\n" for name, value in given.items()))
        environment = {**os.environ}
        if self._library is not None:
            environment |= {"LD_PRELOAD": str(self._library), "SYNCED": str(self.folder / "synced")}
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


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", random.randint(20_000, 32_000))) as probe:
        return int(probe.getsockname()[1])
