"""A test's own way of logging, undone after it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from ironforge.logs import handlers as log_handlers


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
