"""Time zones by their IANA names, as the machine knows them, or else the package tzdata."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from ironforge.formats.suggest import closest
from ironforge.schedules.errors import wrong

# Names that machines have beside the IANA's: whatever this one's zone is, and copies, some of which count leap seconds.
_OF_THE_MACHINE: Final = ("localtime", "posixrules", "posix/", "right/")
# No name is longer. To look for one that is takes as many calls within one another as it has parts.
_MOST_CHARACTERS: Final = 60


# zoneinfo itself keeps no more than a few that nothing else holds, and there are some 600.
@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Raises InvalidJob for one that this machine does not know."""
    if len(name) <= _MOST_CHARACTERS and not name.startswith(_OF_THE_MACHINE):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    shown = name[:_MOST_CHARACTERS]
    meant = closest(shown, available_timezones())
    hint = f"did you mean {meant!r}?" if meant else "give an IANA name such as Europe/Berlin, or UTC"
    raise wrong("timezone", f"{shown!r} is no known time zone", hint)
