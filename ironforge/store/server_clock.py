"""What time it is by a server's clock, between its answers."""

from __future__ import annotations

import time

from ironforge.formats import timestamps


class ServerClock:
    """Never behind the server, for what has expired there must not start here: it is ahead by what an answer took.

    Until the first answer it is this machine's.
    """

    def __init__(self) -> None:
        self.note(timestamps.now_ms(), time.monotonic())

    def note(self, server_ms: int, asked_at: float) -> None:
        """`server_ms`: what an answer says; `asked_at`: when it was asked for, by the monotonic clock."""
        self._since_ms = server_ms - asked_at * 1000

    def now_ms(self) -> float:
        """Unix time."""
        return self._since_ms + time.monotonic() * 1000
