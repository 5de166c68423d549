"""What the examination says: one finding for each thing that it looked at."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """`fix` is the command that repairs it, or what to do; empty when there is nothing to do."""

    level: Level
    check: str
    message: str
    fix: str = ""
