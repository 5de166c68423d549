"""An executor for one handler, closed after the test; a test's own way of logging, undone after it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import structlog

from ironforge.execution.executor import Executor
from ironforge.handlers.forge import Forge
from ironforge.logs import handlers as log_handlers
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


@pytest.fixture
def own_logging() -> Iterator[None]:
    """The root logger as a new program has it; of what pytest adds, see below."""
    loggers = [logging.getLogger(name) for name in (None, *log_handlers.OURS)]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    logging.getLogger().setLevel(logging.WARNING)
    yield
    for logger, handlers, level in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)
    for logger in logging.root.manager.loggerDict.values():
        logger.disabled = False  # which dictConfig leaves behind
    log_handlers._installed.clear()
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """The handlers of pytest come after every fixture."""
    if "own_logging" in pyfuncitem.fixturenames:
        logging.getLogger().handlers.clear()
