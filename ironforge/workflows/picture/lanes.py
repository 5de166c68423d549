"""Lanes of a picture in text: which are open beside each node, and how they are joined to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """The node by its place, and what stands before and behind its mark."""

    number: int
    before: str
    behind: str


class Lanes:
    """`needs`: of each node, those it waits for; in this order all of them come before it."""

    def __init__(self, needs: Sequence[Sequence[int]]) -> None:
        self._needs = needs
        self._dependants: list[list[int]] = [[] for _ in needs]
        for number, each in enumerate(needs):
            for need in each:
                self._dependants[need].append(number)
        self._left = [*map(len, self._dependants)]
        # By lane: the node that it leads from; None where it is free.
        self._open: list[int | None] = []
        self._last_mark = -1
        self.rows = [self._row(number) for number in self._order()]
        self.width = max(len(row.before) + 1 + len(row.behind) for row in self.rows)

    def _order(self) -> list[int]:
        """Each as soon after what it waits for as can be: so lanes are short."""
        waits = [*map(len, self._needs)]
        found = []
        open_ = [number for number in reversed(range(len(waits))) if not waits[number]]
        while open_:
            number = open_.pop()
            found.append(number)
            for dependant in reversed(self._dependants[number]):
                waits[dependant] -= 1
                if not waits[dependant]:
                    open_.append(dependant)
        return found

    def _row(self, number: int) -> Row:
        joined = [
            lane for lane, source in enumerate(self._open) if source is not None and source in self._needs[number]
        ]
        for lane in joined:
            source = self._open[lane]
            assert source is not None
            self._left[source] -= 1
        ends = [lane for lane in joined if not self._left[self._open[lane] or 0]]
        own = joined[0] if joined and joined[0] in ends else self._free(joined)
        cells = self._cells(own, joined, ends)
        for lane in ends:
            self._open[lane] = None
        while len(self._open) <= own:
            self._open.append(None)
        self._open[own] = number if self._left[number] else None
        self._last_mark = own
        return Row(number, cells[: 2 * own], cells[2 * own + 1 :].rstrip())

    def _free(self, joined: Sequence[int]) -> int:
        """The first that nothing leads through, to the right of one that it is joined to. One that is joined to none
        does not stand below the mark of another, of which it would seem to be the next."""
        lane = joined[0] + 1 if joined else 0
        while (lane < len(self._open) and self._open[lane] is not None) or (not joined and lane == self._last_mark):
            lane += 1
        return lane

    def _cells(self, own: int, joined: Sequence[int], ends: Sequence[int]) -> str:
        """All lanes of the row, and what lies between them; the mark is left out."""
        first, last = min([own, *joined]), max([own, *joined])
        cells = []
        for lane in range(max(len(self._open), own + 1)):
            across = "─" if first <= lane < last else " "
            if lane == own:
                cell = " "
            elif lane in joined:
                cell = _join(lane, first, last, ends=lane in ends)
            elif lane < len(self._open) and self._open[lane] is not None:
                cell = "│"
            else:
                cell = "─" if first < lane < last else " "
            cells += [cell, across]
        return "".join(cells[:-1])


def _join(lane: int, first: int, last: int, *, ends: bool) -> str:
    if lane == first:
        return "╰" if ends else "├"
    if lane == last:
        return "╯" if ends else "┤"
    return "┴" if ends else "┼"
