"""One actor's mailbox: an unbounded lane of signals that is served first, a bounded lane of frames.

A waiting `put` is granted a slot and fills it itself when it wakes, instead of leaving its frame with the
waker: so a cancelled `put` has never delivered, and its slot goes to the next in line.
"""

from __future__ import annotations

import asyncio
from collections import deque

from ironforge.actors.kernel.errors import ActorDead, MailboxFull
from ironforge.actors.kernel.frames import Signal


class Mailbox:
    """Many senders, one receiver. `capacity` bounds frames, never signals."""

    def __init__(self, capacity: int, address: str = "") -> None:
        self.capacity = capacity
        self.address = address
        self.high_water = 0
        self._signals: deque[Signal] = deque()
        self._frames: deque[bytes] = deque()
        self._putters: deque[asyncio.Future[None]] = deque()
        self._granted = 0
        self._getter: asyncio.Future[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._frames)

    def signal(self, signal: Signal) -> None:
        """Deliver ahead of every frame; dropped when the mailbox is closed."""
        if not self._closed:
            self._signals.append(signal)
            self._wake()

    def try_put(self, frame: bytes) -> None:
        """Deliver at once. Raises MailboxFull without room, ActorDead when closed."""
        self._check_open()
        if not self._has_room():
            raise MailboxFull(f"{self.address} has {self.capacity} messages waiting")
        self._append(frame)

    async def put(self, frame: bytes) -> None:
        """Deliver, waiting in line for room; cancelled means not delivered. Raises ActorDead when closed."""
        self._check_open()
        if self._granted or self._putters or not self._has_room():
            await self._wait_for_slot()
        self._append(frame)
        self._grant()

    async def get(self) -> Signal | bytes:
        """The next signal, else the next frame, waiting for one. Raises ActorDead when closed and empty."""
        while True:
            if self._signals:
                return self._signals.popleft()
            if self._frames:
                frame = self._frames.popleft()
                self._grant()
                return frame
            self._check_open()
            self._getter = asyncio.get_running_loop().create_future()
            try:
                await self._getter
            finally:
                self._getter = None

    def clear_signals(self) -> None:
        """Forget signals meant for an incarnation that has ended."""
        self._signals.clear()

    def clear_frames(self) -> None:
        """Forget messages that were void without the state of an incarnation that has ended."""
        self._frames.clear()
        self._grant()

    def close(self) -> int:
        """Refuse everything from now on and wake who waits; returns how many frames were dropped."""
        self._closed = True
        dropped = len(self._frames)
        self._frames.clear()
        self._signals.clear()
        for putter in self._putters:
            if not putter.done():
                putter.set_result(None)
                self._granted += 1
        self._putters.clear()
        self._wake()
        return dropped

    async def _wait_for_slot(self) -> None:
        putter = asyncio.get_running_loop().create_future()
        self._putters.append(putter)
        try:
            await putter
        except asyncio.CancelledError:
            if not putter.cancelled():
                self._granted -= 1
            elif putter in self._putters:
                self._putters.remove(putter)
            self._grant()
            raise
        self._granted -= 1
        self._check_open()

    def _grant(self) -> None:
        while self._putters and self._has_room():
            putter = self._putters.popleft()
            if not putter.done():
                self._granted += 1
                putter.set_result(None)

    def _has_room(self) -> bool:
        return len(self._frames) + self._granted < self.capacity

    def _append(self, frame: bytes) -> None:
        self._frames.append(frame)
        self.high_water = max(self.high_water, len(self._frames))
        self._wake()

    def _wake(self) -> None:
        if self._getter is not None and not self._getter.done():
            self._getter.set_result(None)

    def _check_open(self) -> None:
        if self._closed:
            raise ActorDead(f"{self.address} has ended")
