"""The signals that tell a node process to stop: it hears them whatever its handlers do to signals."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import Final

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
SECONDS: Final = 1.0


class StopSignals:
    """Calls `stop` in the running loop, which is the main thread's, for each of them."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._listen()
        self._wakeup = signal.set_wakeup_fd(-1)
        self._wake()

    async def keep(self) -> None:
        """Take them back each second: a handler may have ignored, blocked or taken them for itself."""
        while True:
            await asyncio.sleep(SECONDS)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            self._listen()
            self._wake()

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._stop)

    def _wake(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # somebody has closed it
            signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
