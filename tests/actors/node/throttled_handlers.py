"""Handlers that speak of their limits, which child processes import by name."""

from __future__ import annotations

from ironforge import Context, Throttled


def call(key: str, refused: bool) -> str:
    if refused:
        raise Throttled("target", 3600)
    return key


def tell(key: str, context: Context) -> str:
    """That the target throttles, and that fewer units were used than the job said."""
    context.throttle("target", retry_after=3600)
    context.used("tokens", 2)
    context.used("tokens", 3)
    return key


def tell_of_another(context: Context) -> None:
    context.throttle("targte", retry_after=3600)
