"""Numbers of records with their bounds: beyond these the server or a calendar would refuse them, in the middle of a
node."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

MAX_COUNT: Final = 2**53
MAX_TIME_MS: Final = 253_402_300_799_000  # the end of the year 9999
MAX_DURATION_MS: Final = 100 * 365 * 86_400_000

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
TimeMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_MS)]
DurationMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_DURATION_MS)]
