"""Limits: how many jobs of a key run at once, and how many start in a time. What a job uses of them."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

MAX_UNITS: Final = 1_000_000_000

Units = Annotated[int, msgspec.Meta(ge=1, le=MAX_UNITS)]


class LimitUse(msgspec.Struct, array_like=True, frozen=True):
    """What a job uses of a limit: `units` of its rate, and one of the places of `key` (empty: it has one for all)."""

    name: str
    key: str = ""
    units: Units = 1
