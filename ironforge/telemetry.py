"""Logging: structlog in front of the standard library, one line for one event, always on stderr.

Everything ends in one standard-library handler, so a library's `logging` call and ours look the same. What a
hostile payload puts into a log line stays inside it: JSON escapes control characters, the console shows them
as text.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, Final, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from ironforge.config import Settings
from ironforge.plain import plain, plain_json

_FIRST: Final = ("ts", "level", "logger", "event")


class _Handler(logging.StreamHandler[Any]):
    """Ours, so that configuring again replaces it and touches nobody else's."""


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger for `name`, to be made at import: it looks up the configuration when it is first used.

    A call below the configured level costs about 1 us, and 0.1 us on `get_logger(name).bind()`, which fixes
    the configuration of that moment: what logs per job binds when it starts.
    """
    return cast("FilteringBoundLogger", structlog.stdlib.get_logger(name))


def configure_logging(settings: Settings) -> None:
    """Send this process's log events to stderr as `log_level` and `log_format` say; repeating replaces."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    stream = sys.stderr
    console = settings.log_format == "console" or (settings.log_format == "auto" and stream.isatty())
    shared = [*_shared(), *_naming(settings)]
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *(_console(colors=stream.isatty()) if console else _json()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other, _Handler)]
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _shared() -> list[Processor]:
    """What our events and the standard library's get alike, before either is rendered."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.StackInfoRenderer(),
    ]


def _naming(settings: Settings) -> list[Processor]:
    """A process that serves one namespace of several names it in every line; with authentication each call names its
    own."""
    if settings.namespaces or settings.namespace == "default" or settings.auth == "on":
        return []

    def name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["namespace"] = settings.namespace
        return event

    return [name]


def _json() -> list[Processor]:
    return [structlog.processors.JSONRenderer(serializer=_to_json)]


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
            event[key] = plain(str(value), keep="\t\n")
        elif type(value) not in (int, float, bool):
            event[key] = plain(str(value))
    return event
