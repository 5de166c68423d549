"""The signals that tell a node process to stop: it hears them whatever its handlers do to signals."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

logger = logging.getLogger(__name__)

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
SECONDS: Final = 1.0
# Beyond the drain, until it is looked whether the loop still turns; and how long it may take for a turn.
GRACE_SECONDS: Final = 2.0
TURN_SECONDS: Final = 2.0


class StopSignals:
    """Calls `stop` in the running loop, which is the main thread's, for each of them.

    A loop that a handler blocks hears nothing. If it does not turn for 2 seconds once `drain_seconds` and 2 more are
    over, the process ends by force: what it holds runs elsewhere, as after a crash.
    """

    def __init__(self, stop: Callable[[], None], drain_seconds: float) -> None:
        self._stop = stop
        self._seconds = drain_seconds + GRACE_SECONDS
        self._loop = asyncio.get_running_loop()
        self._told = False
        self._is_over = threading.Event()
        self._listen()
        self._wakeup = signal.set_wakeup_fd(-1)
        self._wake()

    async def keep(self) -> None:
        """Take them back each second: a handler may have ignored, blocked or taken them for itself."""
        try:
            while True:
                await asyncio.sleep(SECONDS)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
                self._listen()
                self._wake()
        finally:
            self._is_over.set()

    def _listen(self) -> None:
        for number in STOP_SIGNALS:
            self._loop.add_signal_handler(number, self._stop)
            # The loop is woken by the signal itself; this runs in the main thread also where it never comes to that.
            signal.signal(number, self._tell)
            signal.siginterrupt(number, False)

    def _tell(self, _number: int, _frame: FrameType | None) -> None:
        if not self._told:
            self._told = True
            threading.Thread(target=self._watch, name="stop signals", daemon=True).start()

    def _watch(self) -> None:
        is_over = self._is_over.wait(self._seconds)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            while not is_over:
                if not self._turns():
                    logger.error("this process ends by force: it is told to stop, but a handler blocks its event loop")
                    os._exit(0)
                is_over = self._is_over.wait(TURN_SECONDS / 10)

    def _turns(self) -> bool:
        turned = threading.Event()
        self._loop.call_soon_threadsafe(turned.set)
        # Where it was closed meanwhile, the end of the process has bounds of its own.
        return turned.wait(TURN_SECONDS) or self._loop.is_closed()

    def _wake(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # a handler has closed it
            signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
