"""The HTTP door: thin, because every promise is kept by the store behind it."""

from __future__ import annotations

from ironforge.api.app import create_app
from ironforge.api.server import serve

__all__ = ["create_app", "serve"]
