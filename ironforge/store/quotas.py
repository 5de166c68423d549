"""How much a namespace may define."""

from __future__ import annotations

from typing import Final, Literal

from ironforge.errors import QuotaExceeded
from ironforge.settings import environment_name

RETRY_SECONDS: Final = 60.0


def all_defined(what: Literal["limits", "schedules"], most: int, advice: str) -> QuotaExceeded:
    """There are as many as there may be. `advice`: what to do other than to raise the setting."""
    return QuotaExceeded(
        f"the namespace may define {most} {what}, and has as many: {advice}, or raise "
        f"{environment_name(f'max_{what}')}",
        quota=f"namespace.{what}",
        current=most,
        limit=most,
        retry_seconds=RETRY_SECONDS,
    )
