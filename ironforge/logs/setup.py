"""Logging: structlog in front of the standard library, one line for one event, always on stderr.

Everything ends in one standard-library handler, so a library's `logging` call and ours look the same. What a
hostile payload puts into a log line stays inside it: JSON escapes control characters, the console shows them
as text.
"""

from __future__ import annotations

import json
import logging
import sys
import textwrap
from typing import Final, cast

import structlog
from structlog.processors import JSONRenderer
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from ironforge.formats.terminal_text import plain, plain_json
from ironforge.job.context import running
from ironforge.logs.handlers import OurHandler, install
from ironforge.settings import Settings

_FIRST: Final = ("ts", "level", "logger", "event")


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger for `name`, to be made at import: nothing that an application does to structlog changes it."""
    return cast(
        "FilteringBoundLogger",
        structlog.wrap_logger(
            logging.getLogger(name),
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.stdlib.PositionalArgumentsFormatter(),
                *_PROCESSORS,
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
        ),
    )


def configure_logging(settings: Settings) -> None:
    """Send this process's log events to stderr as `log_level` and `log_format` say; repeating replaces.

    To be called once the application is loaded: what it has set up for its own lines is respected.
    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    stream = sys.stderr
    console = settings.log_format == "console" or (settings.log_format == "auto" and stream.isatty())
    handler = OurHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, _forget_other_formats],
            processors=[
                *_naming(settings),
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *(_console(colors=stream.isatty()) if console else [JSONRenderer(serializer=_to_json)]),
            ],
        )
    )
    install(handler, level)
    logging.captureWarnings(True)
    if not structlog.is_configured() or structlog.get_config()["processors"] is _PROCESSORS:
        structlog.configure(
            processors=_PROCESSORS,
            wrapper_class=structlog.make_filtering_bound_logger(level),
            logger_factory=structlog.stdlib.LoggerFactory(),
            cache_logger_on_first_use=True,
        )


def _add_job(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Whatever a handler calls that logs, its line says for which job."""
    run = running.get(None)
    if run is not None and run.context is not None:
        for name, value in run.context.log_fields().items():
            event.setdefault(name, value)
    return event


def _forget_other_formats(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What a formatter before ours has left in the record passes for something that was said."""
    for name in ("message", "asctime"):
        event.pop(name, None)
    return event


# What our events and the standard library's get alike, before either is rendered.
_SHARED: Final[list[Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    _add_job,
    structlog.processors.StackInfoRenderer(),
]
_PROCESSORS: Final[list[Processor]] = [*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]


def _naming(settings: Settings) -> list[Processor]:
    """A process that serves one namespace of several names it in every line; with authentication each call names its
    own."""
    if settings.namespaces or settings.namespace == "default" or settings.auth == "on":
        return []

    def name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["namespace"] = settings.namespace
        return event

    return [name]


def _console(*, colors: bool) -> list[Processor]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=colors, timestamp_key="ts", exception_formatter=structlog.dev.plain_traceback
    )
    return [_escape, renderer]


def _to_json(event: EventDict, **_options: object) -> str:
    """Never raises, never more than one line: a log call must not fail for what it was asked to log."""
    ordered = {key: event[key] for key in _FIRST if key in event} | dict(event)
    try:
        return plain_json(json.dumps(ordered, default=repr, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return plain_json(json.dumps({str(key): _simple(value) for key, value in ordered.items()}))


def _simple(value: object) -> object:
    return value if type(value) in (str, int, bool) else repr(value)


def _escape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if key in ("exception", "stack"):
            # Indented, because a message in it may have lines that look like ours.
            event[key] = textwrap.indent(plain(str(value), keep="\t\n"), "    ", predicate=bool)
        elif type(value) not in (int, float, bool):
            event[key] = plain(str(value))
    return {plain(str(key)): value for key, value in event.items()}
