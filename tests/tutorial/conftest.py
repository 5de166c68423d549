"""The stage of every lesson: `ironforge dev` with the lesson's own handlers, and two ways to call it.

Each lesson is an application and its test at once. To play with one, type what `dev` types below:

    ironforge dev tests.tutorial.test_1_submit:forge
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from ironforge import Client
from tests.cli import kit

CommandLine = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dev")


@pytest.fixture(scope="module")
def dev(request: pytest.FixtureRequest, folder: Path) -> Iterator[kit.Dev]:
    """`ironforge dev` in an empty folder: a server of its own, the HTTP API on a free port, and one node.

    A lesson that wants other flags or environment variables has them in FLAGS and ENVIRONMENT.
    """
    lesson = request.module
    application = f"tests.tutorial.{request.path.stem}:forge"
    settings = {
        name.removeprefix("IRONFORGE_").lower(): value for name, value in getattr(lesson, "ENVIRONMENT", {}).items()
    }
    with kit.Dev(folder, application, *getattr(lesson, "FLAGS", ()), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def url(dev: kit.Dev) -> str:
    """Where the HTTP API is; it would be http://127.0.0.1:3000 without a port of its own."""
    return dev.url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    """The Python client of the HTTP API."""
    with Client(url) as client:
        yield client


@pytest.fixture(scope="module")
def ironforge(url: str) -> CommandLine:
    """The command line: `ironforge("jobs", "list")` has its `stdout` and its `returncode`."""
    return lambda *arguments, **settings: kit.ironforge(*arguments, **{"url": url, **settings})


@pytest.fixture(scope="module")
def redis_url(dev: kit.Dev, folder: Path) -> str:
    """The server that `ironforge dev` started, as IRONFORGE_REDIS_URL names it."""
    return f"unix://{folder}/data/valkey.sock"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What lessons show is tested elsewhere, line by line."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("unmeasured")
