"""IronForge, a distributed job scheduler that loses nothing: what applications import.

The larger parts are imported on first use: a node does not pay for an HTTP client that it never touches, and the
command line for neither.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from ironforge import errors
from ironforge.errors import (
    ConfigError,
    Discard,
    Duplicate,
    IdempotencyConflict,
    InvalidJob,
    InvalidPayload,
    InvalidState,
    IronForgeError,
    JobNotFound,
    QueueFull,
    Retry,
    SerializationError,
    Snooze,
    StoreUnavailable,
    Throttled,
    UnknownKind,
)
from ironforge.settings import Settings
from ironforge.steps.errors import ChildFailed, ChildrenFailed, EventTimeout, StepError
from ironforge.version import VERSION

if TYPE_CHECKING:
    from ironforge.client.client import AsyncClient, Client
    from ironforge.handlers.forge import Forge
    from ironforge.job.context import Context
    from ironforge.job.limits import Rate
    from ironforge.job.limits_option import Use
    from ironforge.job.retry import Backoff
    from ironforge.job.unique_option import Unique

__version__: Final = VERSION
__all__ = [
    "AsyncClient",
    "Backoff",
    "ChildFailed",
    "ChildrenFailed",
    "Client",
    "ConfigError",
    "Context",
    "Discard",
    "Duplicate",
    "EventTimeout",
    "Forge",
    "IdempotencyConflict",
    "InvalidJob",
    "InvalidPayload",
    "InvalidState",
    "IronForgeError",
    "JobNotFound",
    "QueueFull",
    "Rate",
    "Retry",
    "SerializationError",
    "Settings",
    "Snooze",
    "StepError",
    "StoreUnavailable",
    "Throttled",
    "Unique",
    "UnknownKind",
    "Use",
    "__version__",
    "errors",
]

_HOMES: Final = {
    "AsyncClient": "ironforge.client.client",
    "Backoff": "ironforge.job.retry",
    "Client": "ironforge.client.client",
    "Context": "ironforge.job.context",
    "Forge": "ironforge.handlers.forge",
    "Rate": "ironforge.job.limits",
    "Use": "ironforge.job.limits_option",
    "Unique": "ironforge.job.unique_option",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
