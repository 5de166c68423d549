"""An executor for one handler, closed after the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ironforge.execution.executor import Executor
from ironforge.handlers.forge import Forge
from ironforge.settings import Settings


@pytest.fixture
async def executor_of() -> AsyncIterator[Callable[..., Executor]]:
    """Makes an executor whose kind "k" is the given function."""
    made: list[Executor] = []

    def make(function: Any, settings: Settings | None = None, **options: Any) -> Executor:
        forge = Forge()
        forge.job("k", **options)(function)
        made.append(Executor(forge, settings or Settings(), "node-1"))
        return made[-1]

    yield make
    for executor in made:
        await executor.close()
