"""One connection for each event loop: what belongs to a loop can be used on no other, and must end with it.

A program has more than one: `asyncio.run` twice, threads with loops of their own, tests. A client that holds one of
these may be used on all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any, Generic, Protocol, TypeVar


class Closable(Protocol):
    async def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class _Kept(Generic[T]):
    """A value, and a generator that is open as long as its loop: before a loop is closed, it has all of its
    asynchronous generators end. The generator refers to nothing else, so it ends when its PerLoop is dropped."""

    def __init__(self, value: T) -> None:
        self.value = value
        self.keeper: Any = _keep(value)

    @property
    def closed(self) -> bool:
        return self.keeper.ag_frame is None


async def _keep(value: Closable) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await value.close()


class PerLoop(Generic[T]):
    """`make` makes one without waiting for anything; `abandon` lets go of one whose loop is closed already.

    That happens only where a loop was closed by hand: as `asyncio.run` ends it closes what was made in it.
    """

    def __init__(self, make: Callable[[], T], abandon: Callable[[T], None]) -> None:
        self._make = make
        self._abandon = abandon
        self._kept: dict[asyncio.AbstractEventLoop, _Kept[T]] = {}

    def __del__(self) -> None:
        self._forget_ended()

    async def here(self) -> T:
        """The one of the running loop."""
        loop = asyncio.get_running_loop()
        kept = self._kept.get(loop)
        if kept is None or kept.closed:
            self._forget_ended()
            kept = self._kept[loop] = _Kept(self._make())
            await anext(kept.keeper)
        return kept.value

    async def close(self) -> None:
        """Close that of the running loop; the next call makes a new one. Those of other loops are theirs."""
        kept = self._kept.pop(asyncio.get_running_loop(), None)
        if kept is not None:
            await kept.keeper.aclose()

    def _forget_ended(self) -> None:
        # A copy: other threads have loops of their own, and entries of their own.
        for loop, kept in list(self._kept.items()):
            if loop.is_closed() and self._kept.pop(loop, None) is not None and not kept.closed:
                self._abandon(kept.value)


def let_go(transport: Any) -> None:
    """Close the socket of a connection whose loop is closed, for which asyncio has no way; uvloop has done it."""
    inner = getattr(getattr(transport, "_ssl_protocol", None), "_transport", transport)
    if getattr(inner, "_sock", None) is not None:
        with contextlib.suppress(RuntimeError):  # it cannot tell the loop, which it does last
            transport.abort()
        inner._sock.close()  # noqa: SLF001
        inner._sock = None  # noqa: SLF001 - or it would warn that it was not closed
