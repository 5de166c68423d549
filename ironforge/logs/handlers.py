"""Which handler writes which line: ours, or those that the application has set up for itself.

An application may call `logging.basicConfig`, `dictConfig` or `setLevel` as if it were alone: its lines, and those of
its libraries, then come out as it says, and once. Ours come out as the settings say, whatever it does.
"""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Callable
from typing import Any, Final

from ironforge.job.context import running

OURS: Final = ("ironforge",)
_JOB: Final = ("job_id", "kind", "attempt")

_installed: Final[list[tuple[OurHandler, int]]] = []


class OurHandler(logging.StreamHandler[Any]):
    """Writes our lines, and all others while no handler of the application does."""

    last: Callable[[], logging.LogRecord | None] = staticmethod(lambda: None)

    def emit(self, record: logging.LogRecord) -> None:
        self.last = weakref.ref(record)
        super().emit(record)

    def filter(self, record: logging.LogRecord) -> bool:
        return is_ours(record) or not any(_is_console(handler) for handler in _others())


class _OurLogger(logging.Logger):
    """What an application hangs into logging may raise anything: that hurts neither the code that logs nor our line."""

    def makeRecord(self, *args: Any, **options: Any) -> logging.LogRecord:  # noqa: N802 - logging's name
        try:
            return super().makeRecord(*args, **options)
        except BaseException:  # noqa: BLE001 - of a record factory, SystemExit included
            _guard_records()
            return super().makeRecord(*args, **options)

    def handle(self, record: logging.LogRecord) -> None:
        try:
            super().handle(record)
        except BaseException as broken:  # noqa: BLE001 - of a filter or handler, SystemExit included
            words = f"what the application has added to logging raises {type(broken).__name__}"
            complaint = logging.LogRecord(__name__, logging.ERROR, "", 0, words, (), None)
            for handler, _ in _installed:
                if handler.last() is not record:
                    handler.handle(record)
                handler.handle(complaint)


def install(handler: OurHandler, level: int) -> None:
    """Instead of the one before. Lines of others come from `level` on, unless the application has chosen already."""
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other, OurHandler)]
    if not any(map(_is_console, root.handlers)):
        root.setLevel(level)
    _installed[:] = [(handler, level)]
    settle()


def settle() -> None:
    """Put right what the application has changed since; nothing in a program that has logging of its own."""
    root = logging.getLogger()
    for handler, level in _installed:
        if handler not in root.handlers:  # basicConfig(force=True), dictConfig
            root.addHandler(handler)
        for name in OURS:
            logging.getLogger(name).setLevel(level)
    for name, logger in list(root.manager.loggerDict.items()) if _installed else ():
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in OURS:
            logger.disabled = False  # dictConfig disables what it does not know
            if not isinstance(logger, _OurLogger):  # structlog has a class for those that come later
                logger.__class__ = _OurLogger
    for other in _others() if _installed else ():
        _adopt(other)


def _guard_records() -> None:
    make = logging.getLogRecordFactory()

    def guarded(*about: Any, **options: Any) -> logging.LogRecord:
        try:
            return make(*about, **options)
        except BaseException:  # noqa: BLE001 - the same
            return logging.LogRecord(*about, **options)

    logging.setLogRecordFactory(guarded)


def is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] in OURS


def _others() -> list[logging.Handler]:
    return [handler for handler in logging.getLogger().handlers if not isinstance(handler, OurHandler)]


def _is_console(handler: logging.Handler) -> bool:
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return isinstance(handler, logging.StreamHandler) and handler.stream in streams


def _adopt(handler: logging.Handler) -> None:
    handler.addFilter(_name_the_job)
    if _is_console(handler):
        handler.addFilter(_leave_ours)
    inner = handler.formatter
    if isinstance(handler, logging.StreamHandler) and type(inner) is logging.Formatter and not _names_the_job(inner):
        handler.setFormatter(_Naming(inner))


def _names_the_job(formatter: logging.Formatter) -> bool:
    return "job_id" in (formatter._fmt or "")  # noqa: SLF001 - there is no other way to see it


def _leave_ours(record: logging.LogRecord) -> bool:
    return not is_ours(record)


def _name_the_job(record: logging.LogRecord) -> bool:
    """As attributes, so that a format may ask for them."""
    run = running.get(None)
    if run is not None and run.context is not None:
        record.__dict__.update(run.context.log_fields() | record.__dict__)
    return True


class _Naming(logging.Formatter):
    """The application's format, and at the end of the line whose job it is about."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        text = self._inner.format(record)
        about = [f"{name}={getattr(record, name)}" for name in _JOB if hasattr(record, name)]
        line, newline, rest = text.partition("\n")
        return f"{line} [{' '.join(about)}]{newline}{rest}" if about else text
