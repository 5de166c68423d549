"""Middleware: user code around every handler, composed once when the node starts.

Composing ahead means that an application without middleware pays nothing for the possibility.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ironforge.job.context import Context

CallNext = Callable[[], Awaitable[Any]]
# Gets the context and a function that runs the rest; its return value is the job's result. What comes from a child
# process is raw JSON already.
Middleware = Callable[[Context, CallNext], Awaitable[Any]]
# What the executor calls: the context, and whatever the innermost endpoint needs to call the handler.
Endpoint = Callable[[Context, Any], Awaitable[Any]]


def compose(layers: Sequence[Middleware], endpoint: Endpoint) -> Endpoint:
    """The endpoint inside all layers, the first one outermost."""
    for layer in reversed(layers):
        endpoint = _wrap(layer, endpoint)
    return endpoint


def _wrap(layer: Middleware, inner: Endpoint) -> Endpoint:
    def call(context: Context, run: Any) -> Awaitable[Any]:
        return layer(context, functools.partial(inner, context, run))

    return call
