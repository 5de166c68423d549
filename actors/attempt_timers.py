"""The time limits of the attempt that a worker runs: its time-out, and how long others wait for it.

A handler that never waits is over before the event loop turns, so nothing is armed when an attempt starts: once a
turn the watch looks whether one is still there. Quick jobs then cost a flag each, and no timer at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ironforge.actors.kernel import Cancellable, Clock
from ironforge.execution.executor import Attempt

# Jobs behind one that runs longer than this go back to the dispatcher.
PATIENCE_SECONDS: Final = 0.02
# A handler that ignores its cancellation for this long is abandoned: the worker goes on without it.
STUBBORN_SECONDS: Final = 5.0

Alarm = Callable[[Attempt], None]


class AttemptTimers:
    """Every alarm is for the attempt of that moment; one that has ended meanwhile raises none."""

    def __init__(self, clock: Clock, *, time_is_up: Alarm, out_of_patience: Alarm, stubborn: Alarm) -> None:
        self._clock = clock
        self._time_is_up = time_is_up
        self._out_of_patience = out_of_patience
        self._stubborn = stubborn
        self._current: Attempt | None = None
        self._looking = False
        self._timers: list[Cancellable] = []

    def begin(self, attempt: Attempt) -> None:
        self._current = attempt
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def end(self) -> None:
        self._current = None

    def cancelling(self, attempt: Attempt) -> None:
        """The attempt has been told to stop: see whether it does."""
        self._in(STUBBORN_SECONDS, self._stubborn, attempt)

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _look(self) -> None:
        self._looking = False
        self.close()
        if self._current is not None:
            self._in(self._current.timeout_seconds, self._check_time, self._current)
            self._in(PATIENCE_SECONDS, self._out_of_patience, self._current)

    def _check_time(self, attempt: Attempt) -> None:
        left = attempt.seconds_left()
        if left > 0:  # it had to wait for a thread or process first: the limit counts from the real start
            self._in(left, self._check_time, attempt)
        else:
            self._time_is_up(attempt)

    def _in(self, seconds: float, alarm: Alarm, attempt: Attempt) -> None:
        def ring() -> None:
            if self._current is attempt:
                alarm(attempt)

        self._timers.append(self._clock.call_later(seconds, ring))
