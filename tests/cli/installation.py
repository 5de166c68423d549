"""What tests of kinds and of versions share: an API process, and nodes of an application in versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.cli.kit import Service, ironforge
from tests.cli.test_services import free_port


class Installation:
    def __init__(self, server: str, folder: Path, url: str) -> None:
        self.server = server
        self.folder = folder
        self.url = url

    @classmethod
    @contextmanager
    def running(cls, server: str, folder: Path) -> Iterator[Self]:
        """Without nodes."""
        port = free_port()
        with Service("api", "--port", port, redis_url=server) as api:
            api.logged("api is listening")
            yield cls(server, folder, f"http://127.0.0.1:{port}")

    def node_of(self, application: str, version: str, queues: str = "default") -> Service:
        """`application`: its source text."""
        module = f"shop_{version}"
        (self.folder / f"{module}.py").write_text(application)
        settings = {"redis_url": self.server, "lease_seconds": "2", "app_version": version, "queues": queues}
        return Service("node", module, "--node-http-port", "0", cwd=self.folder, **settings)

    def json(self, *arguments: str) -> Any:
        return json.loads(ironforge(*arguments, "--json", url=self.url).stdout)
