"""What time it is by a server's clock, between its answers."""

from __future__ import annotations

import time
from typing import Final

from ironforge.formats import timestamps

# More than answers take.
PUT_BACK_MS: Final = 5_000


class ServerClock:
    """Never behind the server, for what has expired there must not start here: it is ahead by what an answer took.

    Until the first answer it is this machine's. `was_put_back`: at any time since somebody has made it false.
    """

    def __init__(self) -> None:
        self.was_put_back = False
        self._since_ms = timestamps.now_ms() - time.monotonic() * 1000

    def note(self, server_ms: int, asked_at: float) -> None:
        """`server_ms`: what an answer says; `asked_at`: when it was asked for, by the monotonic clock."""
        since_ms = server_ms - asked_at * 1000
        self.was_put_back |= since_ms < self._since_ms - PUT_BACK_MS
        self._since_ms = since_ms

    def now_ms(self) -> float:
        """Unix time."""
        return self._since_ms + time.monotonic() * 1000
