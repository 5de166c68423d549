"""What version 1 left behind: a data folder with jobs in every state, and what it answered about them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.kit import Dev
from tests.support.servers import redis_server

VERSION_1 = Path(__file__).parents[2] / "fixtures" / "version_1"


@pytest.fixture(scope="session")
def recorded() -> Any:
    return json.loads((VERSION_1 / "recorded.json").read_text(encoding="utf-8"))


@contextmanager
def left_behind(folder: Path, server: str) -> Iterator[dict[str, str]]:
    """Copies the data and the application to `folder`, for `Dev`; the settings that lead to a server with the data."""
    data = folder / "data"
    shutil.copytree(VERSION_1 / "appendonlydir", data / "appendonlydir")
    data.chmod(0o700)
    shutil.copy(VERSION_1 / "app.py", folder)
    if server == "embedded":
        yield {}
        return
    with redis_server("--dir", str(data)) as socket:
        yield {"redis_url": f"unix://{socket}"}


def server_of(folder: Path) -> str:
    """The URL of the embedded server of a `Dev` that runs there."""
    return f"unix://{(folder / 'data' / 'valkey.sock').resolve()}"


class Left(NamedTuple):
    """An API and no node over the data, and the URL of their server."""

    dev: Dev
    server: str


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    folder = tmp_path_factory.mktemp("left")
    with left_behind(folder, "embedded"), Dev(folder, "--no-node") as dev:
        yield Left(dev, server_of(folder))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, recorded: Any) -> Iterator[Dev]:
    """The API with authentication, over a copy of the data of its own."""
    folder, pepper = tmp_path_factory.mktemp("secured"), recorded["secured"]["pepper"]
    with left_behind(folder, "embedded"), Dev(folder, "--no-node", auth="on", key_pepper=pepper) as dev:
        yield dev
