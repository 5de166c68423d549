"""A clock for scripts that stands still until a test moves it: what happens in an hour, a test sees at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from ironforge.redis import scripts
from ironforge.redis.keys import Keys
from tests.store.model.planting import edit

# Outside of every namespace: seconds, and µs of the second, as TIME answers.
NAMES = ("clock:seconds", "clock:micros")
HELD = f"redis.call('MGET', '{NAMES[0]}', '{NAMES[1]}')"


def hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on scripts look at this clock instead of the server's."""
    for script in vars(scripts).values():
        if isinstance(script, scripts.Script):
            edit(monkeypatch, script, "redis.call('TIME')", HELD)


class Clock:
    """Of one namespace, in whole milliseconds. What the server itself lets expire is moved along."""

    def __init__(self, raw: Any, shards: Sequence[Keys]) -> None:
        self._raw = raw
        self._shards = shards
        self.now_ms = time.time_ns() // 1_000_000
        self._show()

    def advance(self, ms: int) -> None:
        self.now_ms += ms
        self._show()
        for keys in self._shards:
            for key in [*self._raw.keys(keys.unique("*")), *self._raw.keys(keys.event("*"))]:
                left = self._raw.pttl(key)
                if left > 0:
                    self._raw.pexpire(key, max(0, left - ms))

    def _show(self) -> None:
        seconds, ms = divmod(self.now_ms, 1000)
        self._raw.mset(dict(zip(NAMES, (seconds, ms * 1000), strict=True)))
