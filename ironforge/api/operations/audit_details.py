"""What a handler leaves beside its answer, for the audit trail."""

from __future__ import annotations

from typing import Final

from aiohttp import web

# What it made or unmade; without it the path says what was meant.
TARGETS: Final = web.RequestKey("targets", list[str])
# The queue that it was done to.
QUEUE: Final = web.RequestKey("queue", str)
