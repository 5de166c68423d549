"""Distributed locks for user code: one holder at a time in a whole namespace, and a fence against late ones.

A lock with a time limit can run out while its holder still works: a stopped virtual machine, a slow network.
So each holder gets a fence, a number that rises with every acquisition. What must be safe compares it, as in
`UPDATE ... WHERE fence < :fence`; the lock alone only saves work. Jobs need no lock: their lease is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from types import TracebackType
from typing import Final

from ironforge.errors import LockNotHeld, LockTimeout, StoreError, StoreUnavailable
from ironforge.formats.duration import Duration, seconds_of
from ironforge.formats.numbers import shown
from ironforge.process.per_loop import PerLoop
from ironforge.redis.connection import Command, DoorConnection
from ironforge.redis.scripts import LOCK_ACQUIRE, LOCK_EXTEND, LOCK_RELEASE, Script
from ironforge.redis.shards import shards_of
from ironforge.settings import NAME, NAME_RULE, Settings

MIN_POLL_SECONDS: Final = 0.01
MAX_POLL_SECONDS: Final = 0.25
MIN_TTL_SECONDS: Final = 0.001
MAX_TTL_SECONDS: Final = 86_400.0
FENCE_KEPT_MS: Final = 7 * 86_400_000


class Locks:
    """The locks of `settings.namespace`; one object serves a whole process, on a connection for each event loop.

    All of them are in the first shard: a lock is for what happens seldom.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = shards_of(settings)[0]
        url, prefix = settings.redis_url, self._keys.prefix
        self._connections = PerLoop(lambda: DoorConnection(url, prefix), DoorConnection.abandon)

    def __call__(self, name: str, *, ttl_seconds: Duration, wait_seconds: Duration | None = None) -> Lock:
        """The lock `name`, for `async with`. It runs out `ttl_seconds` after it was taken or extended.

        `wait_seconds` bounds the waiting for it: 0 tries once, None waits as long as it takes.
        Raises ValueError when a name or a time limit makes no sense.
        """
        if not NAME.match(name):
            raise ValueError(f"lock name {name!r} is not a name: {NAME_RULE}")
        return Lock(self, name, _to_ms(ttl_seconds), seconds_of(wait_seconds))

    async def close(self) -> None:
        """Close the connection of the running loop; others are closed as their loops end."""
        await self._connections.close()

    async def take(self, name: str, token: str, ttl_ms: int) -> int:
        """One try: the fence, or minus the milliseconds that the present holder has left."""
        keys = LOCK_ACQUIRE.keys(self._keys, lock=self._keys.lock(name), lock_fence=self._keys.lock_fence(name))
        return await self._run(LOCK_ACQUIRE, keys, [token, ttl_ms, FENCE_KEPT_MS])

    async def extend(self, name: str, token: str, ttl_ms: int) -> bool:
        return bool(await self._run(LOCK_EXTEND, [self._keys.lock(name)], [token, ttl_ms]))

    async def free(self, name: str, token: str) -> bool:
        return bool(await self._run(LOCK_RELEASE, [self._keys.lock(name)], [token]))

    async def _run(self, script: Script, keys: list[str], arguments: Command) -> int:
        reply: int = await (await self._connections.here()).run(script, keys, arguments)
        return reply


class Lock:
    """A named lock, free or not. Every acquisition has a holder of its own: it is not re-entrant."""

    def __init__(self, locks: Locks, name: str, ttl_ms: int, wait_seconds: float | None) -> None:
        self.name = name
        self._locks = locks
        self._ttl_ms = ttl_ms
        self._wait_seconds = wait_seconds
        self._held: HeldLock | None = None

    async def acquire(self) -> HeldLock:
        """Raises LockTimeout, StoreUnavailable."""
        token = secrets.token_hex(16)
        started = time.monotonic()
        poll_seconds = MIN_POLL_SECONDS
        while (fence := await self._try(token)) <= 0:
            waited = time.monotonic() - started
            left = float("inf") if self._wait_seconds is None else self._wait_seconds - waited
            if left <= 0:
                raise LockTimeout(
                    f"lock {self.name!r} was not free for {waited:.3g} s; its holder has {-fence} ms left"
                )
            # Jitter: many who wait for the same lock must not ask in step.
            await asyncio.sleep(min(poll_seconds * random.uniform(0.5, 1.0), left))
            poll_seconds = min(MAX_POLL_SECONDS, poll_seconds * 2)
        return HeldLock(self._locks, self.name, token, fence, self._ttl_ms)

    async def _try(self, token: str) -> int:
        """Nothing stays taken when the caller is cancelled, or the answer is lost: a lock that nobody knows of blocks
        everybody."""
        trying = asyncio.ensure_future(self._locks.take(self.name, token, self._ttl_ms))
        try:
            return await asyncio.shield(trying)
        except (asyncio.CancelledError, StoreUnavailable):
            with contextlib.suppress(asyncio.CancelledError):  # the first one is on its way already
                await asyncio.shield(asyncio.ensure_future(self._give_back(trying, token)))
            raise

    async def _give_back(self, trying: asyncio.Future[int], token: str) -> None:
        with contextlib.suppress(StoreError, asyncio.CancelledError):
            if await trying <= 0:
                return
        with contextlib.suppress(StoreError):
            await self._locks.free(self.name, token)

    async def __aenter__(self) -> HeldLock:
        if self._held is not None:
            raise RuntimeError(f"lock {self.name!r} is in use: make one Lock for each block")
        self._held = await self.acquire()
        return self._held

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the lock. LockNotHeld: it had run out, and somebody else may have been in the block too."""
        held, self._held = self._held, None
        if held is None or held.released:
            return
        with contextlib.suppress(*((LockNotHeld, StoreError) if error else ())):
            await held.release()


class HeldLock:
    """A lock while it is held. `fence` is higher than that of every earlier holder of this name."""

    def __init__(self, locks: Locks, name: str, token: str, fence: int, ttl_ms: int) -> None:
        self.name = name
        self.fence = fence
        self.released = False
        self._locks = locks
        self._token = token
        self._ttl_ms = ttl_ms

    async def extend(self, ttl_seconds: Duration | None = None) -> None:
        """Hold it for `ttl_seconds` from now on, by default as long as it was taken for.

        Raises LockNotHeld, StoreUnavailable.
        """
        ttl_ms = self._ttl_ms if ttl_seconds is None else _to_ms(ttl_seconds)
        if not await self._locks.extend(self.name, self._token, ttl_ms):
            raise self._lost()

    async def release(self) -> None:
        """Free it before its time. Raises LockNotHeld, and StoreUnavailable when it may still be held."""
        if not await self._locks.free(self.name, self._token):
            raise self._lost()
        self.released = True

    def _lost(self) -> LockNotHeld:
        return LockNotHeld(
            f"lock {self.name!r} (fence {self.fence}) is not held any more: it was released, or ran out "
            f"after {self._ttl_ms} ms; extend it in time, or take it with a larger ttl_seconds"
        )


def _to_ms(ttl: Duration) -> int:
    seconds: float = seconds_of(ttl)
    if not MIN_TTL_SECONDS <= seconds <= MAX_TTL_SECONDS:
        raise ValueError(
            f"ttl_seconds={shown(seconds)} is out of range: {shown(MIN_TTL_SECONDS)} to {shown(MAX_TTL_SECONDS)}"
        )
    return round(seconds * 1000)
