"""Middleware: user code around every handler, composed once when the node starts, and around every submission.

An application without middleware pays nothing for the possibility.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from ironforge.errors import ConfigError
from ironforge.job.context import Context
from ironforge.job.uniqueness import JobIds

CallNext = Callable[[], Awaitable[Any]]
# Gets the context and a function that runs the rest; its return value is the job's result. What comes from a child
# process is raw JSON already.
Middleware = Callable[[Context, CallNext], Awaitable[Any]]
# What the executor calls: the context, and whatever the innermost endpoint needs to call the handler.
Endpoint = Callable[[Context, Any], Awaitable[Any]]


class SubmissionCall(msgspec.Struct):
    """A call of `forge.submit`, with one payload, or of `forge.submit_many`: middleware may change all of it.

    `options`: as the call gave them, without those of the kind. Payloads that `forge.prepare` has made are Submissions,
    with a kind and options of their own.
    """

    kind: str
    payloads: list[Any]
    options: dict[str, Any]


CallNextSubmission = Callable[[], Awaitable[list[str]]]
# Gets the call, and a function that submits what is in it then and answers the ids (JobIds), one for each payload.
SubmissionMiddleware = Callable[[SubmissionCall, CallNextSubmission], Awaitable[list[str]]]


def compose(layers: Sequence[Middleware], endpoint: Endpoint) -> Endpoint:
    """The endpoint inside all layers, the first one outermost."""
    for layer in reversed(layers):
        endpoint = _wrap(layer, endpoint)
    return endpoint


def _wrap(layer: Middleware, inner: Endpoint) -> Endpoint:
    def call(context: Context, run: Any) -> Awaitable[Any]:
        return layer(context, functools.partial(inner, context, run))

    return call


async def through(layers: Sequence[SubmissionMiddleware], call: SubmissionCall, submit: CallNextSubmission) -> JobIds:
    """The ids that the outermost of `layers`, which is the first, answers for `call`."""
    size = len(call.payloads)
    for layer in reversed(layers):
        submit = functools.partial(layer, call, submit)
    ids = await submit()
    if not isinstance(ids, list) or len(ids) != size:
        raise ConfigError("middleware for submissions must return an id for each payload, as call_next() does")
    return ids if isinstance(ids, JobIds) else JobIds(ids)
