"""What counts as an outage, and the two ways to meet one: a door says so at once, a node waits it out.

An outage is not a bug: it never crashes an actor and never spends a restart budget.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeVar

from redis import exceptions as server

from ironforge.codes import Code
from ironforge.errors import IronForgeError, LeaseLost, StoreError, StoreUnavailable
from ironforge.logs.setup import get_logger
from ironforge.redis.causes import said

FIRST_WAIT_SECONDS: Final = 0.05
LONGEST_WAIT_SECONDS: Final = 1.0

# The first that fits counts: some of these are ConnectionErrors as well.
_CODES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], Code], ...]] = (
    (server.OutOfMemoryError, "storage_full"),
    (server.ReadOnlyError, "storage_readonly"),
    (server.BusyLoadingError, "storage_loading"),
    ((server.ConnectionError, server.TimeoutError, OSError), "storage_unavailable"),
    ((server.ClusterDownError, server.MasterDownError, server.TryAgainError), "storage_unavailable"),
    (server.AskError, "storage_unavailable"),  # and MOVED: another server holds these keys
)
# Replies that redis-py has no class for: a failover, a disk that is full, too few replicas, a script that hangs.
_PASSING: Final = ("UNBLOCKED", "MISCONF", "NOREPLICAS", "BUSY ")

# Replies that say that there is no such stream, or no group of it.
ABSENT: Final = ("NOGROUP", "no such key")

T = TypeVar("T")
log = get_logger("ironforge.store")


def outage_code(error: BaseException) -> Code | None:
    """Why the store cannot be used now, in the words of StoreUnavailable.code; None: this is no outage."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    if isinstance(error, server.ResponseError) and str(error).startswith(_PASSING):
        return "storage_unavailable"
    return None


def needs_reconnect(error: Exception) -> bool:
    """Whether another server may be the right one to ask by now. A full one is still the right one."""
    return outage_code(error) not in (None, "storage_full")


@contextmanager
def translating_errors() -> Iterator[None]:
    """Around a door's call: the server's errors become StoreUnavailable or StoreError."""
    try:
        yield
    except (server.RedisError, OSError) as error:
        raise_store_error(error)


def is_wrong_type(error: object) -> bool:
    """Whether a key holds what is none of ours: an outage of what needs it, until it is out of the way."""
    return isinstance(error, server.ResponseError) and str(error).startswith("WRONGTYPE")


def raise_first(*replies: object) -> None:
    """Raises the first error among these replies."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply


def raise_store_error(error: Exception) -> NoReturn:
    """Raises what the caller of the store shall see instead of `error`."""
    if str(error).startswith("STALE"):
        raise LeaseLost("another node took over what this node held: its lease had run out") from None
    code = outage_code(error)
    if code is None:
        raise StoreError(f"the store refused: {said(error)}") from error
    raise StoreUnavailable(f"the store cannot be used now: {said(error)}", code=code) from error


def fail_all(answers: Iterable[asyncio.Future[Any]], error: Exception) -> None:
    """Callers that still wait for an answer see it as `raise_store_error` has it; what is ours already stays."""
    if not isinstance(error, IronForgeError):
        try:
            raise_store_error(error)
        except IronForgeError as translated:
            error = translated
    for answer in answers:
        if not answer.done():
            answer.set_exception(error)


async def retry_through_outage(
    operation: Callable[[], Awaitable[T]], *, repetition: Callable[[], Awaitable[T]] | None = None
) -> T:
    """Around a node's call: repeat `operation` until the outage is over; or `repetition`, when only that is safe to
    repeat. A key of the wrong type is an outage too: it ends when that key is out of the way."""
    attempt = 0
    while True:
        try:
            result = await (repetition or operation)() if attempt else await operation()
        except (server.RedisError, OSError) as error:
            code = "wrong_type" if is_wrong_type(error) else outage_code(error)
            if code is None:
                raise_store_error(error)
            if attempt == 0:
                log.warning("store_unavailable", code=code, error=said(error))
            # Full jitter: after a failover all nodes come back, and they shall not come back together.
            longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(attempt, 10))
            await asyncio.sleep(random.uniform(0, longest))
            attempt += 1
            continue
        if attempt:
            log.info("store_available", failed_attempts=attempt)
        return result
