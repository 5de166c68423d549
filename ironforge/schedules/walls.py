"""The times on the wall that a cron line names, where they come seldom as well: cronsim steps from day to day and from
month to month, which takes it a thousand steps from one 29 February to the next."""

from __future__ import annotations

import calendar
from bisect import bisect_right
from datetime import MAXYEAR, datetime
from typing import Final

from cronsim import CronSim

_WEEK: Final = 7


class Walls(CronSim):
    """Of a checked line, after this time of a clock that is never changed."""

    def __init__(self, line: str, after: datetime) -> None:
        super().__init__(line, after)
        self._in_year = sorted(self.months)
        # None: the day of the week counts too, or what is the last day of a month.
        is_any_weekday = self.day_and and self.weekdays.issuperset(range(_WEEK))
        self._in_month = sorted(self.days) if is_any_weekday and min(self.days) > 0 else None

    def advance_month(self) -> None:
        if self.dt.month not in self.months:
            at = bisect_right(self._in_year, self.dt.month)
            is_this_year = at < len(self._in_year)
            self._to_first(self.dt.year + (not is_this_year), self._in_year[at if is_this_year else 0])

    def advance_day(self) -> bool:
        if self._in_month is None:
            return super().advance_day()
        if self.dt.day in self.days:
            return False
        at = bisect_right(self._in_month, self.dt.day)
        year, month = self.dt.year, self.dt.month
        if at < len(self._in_month) and self._in_month[at] <= calendar.monthrange(year, month)[1]:
            self.dt = datetime(year, month, self._in_month[at])  # noqa: DTZ001 - the clock on a wall
        else:
            self._to_first(year + month // 12, month % 12 + 1)
        return True

    def _to_first(self, year: int, month: int) -> None:
        """Raises OverflowError behind the last year that there is, as cronsim does."""
        if year > MAXYEAR:
            raise OverflowError
        self.dt = datetime(year, month, 1)  # noqa: DTZ001 - the clock on a wall
