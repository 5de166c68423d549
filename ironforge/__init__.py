"""IronForge, a distributed job scheduler that loses nothing: what applications import.

The clients are imported on first use: a node or a submitter does not pay for an HTTP stack it never touches.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from ironforge import errors
from ironforge.config import Settings
from ironforge.context import Context
from ironforge.errors import (
    ConfigError,
    Discard,
    IdempotencyConflict,
    InvalidJob,
    InvalidPayload,
    InvalidState,
    IronForgeError,
    JobNotFound,
    Retry,
    SerializationError,
    Snooze,
    StoreUnavailable,
    UnknownKind,
)
from ironforge.registry import Forge
from ironforge.retry import Backoff

if TYPE_CHECKING:
    from ironforge.client import AsyncClient, Client

__version__: Final = "0.1.0"
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
    "Retry",
    "SerializationError",
    "Settings",
    "Snooze",
    "StoreUnavailable",
    "UnknownKind",
    "__version__",
    "errors",
]


def __getattr__(name: str) -> Any:
    if name in {"AsyncClient", "Client"}:
        return getattr(importlib.import_module("ironforge.client"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
