"""IronForge, a distributed job scheduler that loses nothing: what applications import.

The larger parts are imported on first use: a node does not pay for an HTTP client that it never touches, and the
command line for neither.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from ironforge import errors
from ironforge.config import Settings
from ironforge.errors import (
    ConfigError,
    Discard,
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
    UnknownKind,
)
from ironforge.version import VERSION

if TYPE_CHECKING:
    from ironforge.client import AsyncClient, Client
    from ironforge.context import Context
    from ironforge.registry import Forge
    from ironforge.retry import Backoff

__version__: Final = VERSION
__all__ = [
    "AsyncClient",
    "Backoff",
    "Client",
    "ConfigError",
    "Context",
    "Discard",
    "Forge",
    "IdempotencyConflict",
    "InvalidJob",
    "InvalidPayload",
    "InvalidState",
    "IronForgeError",
    "JobNotFound",
    "QueueFull",
    "Retry",
    "SerializationError",
    "Settings",
    "Snooze",
    "StoreUnavailable",
    "UnknownKind",
    "__version__",
    "errors",
]

_HOMES: Final = {
    "AsyncClient": "ironforge.client",
    "Backoff": "ironforge.retry",
    "Client": "ironforge.client",
    "Context": "ironforge.context",
    "Forge": "ironforge.registry",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
