"""A server for the tests of a module that need no other one, and nodes that start at once."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from ironforge.verify import nodes
from tests.support import fork_server
from tests.support.servers import valkey


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with valkey(appendonly="yes") as url:
        yield url


@pytest.fixture(autouse=True)
def nodes_are_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the verification starts up to a hundred: each as a process, but without importing everything anew."""
    monkeypatch.setattr(nodes, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": fork_server.popen}))
