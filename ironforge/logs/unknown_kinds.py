"""Tells of jobs that were accepted before a node had announced their kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ironforge.logs.setup import get_logger

# Callers choose the names: a log that has told of so many tells of no more.
MOST_TOLD: Final = 100
WITHOUT: Final = (
    "no node has announced it yet, so the job goes without the queue, limits, unique key and expiry of its kind"
)

_log = get_logger("ironforge.kinds")


class UnknownKinds:
    """Of one door: each kind once."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def warn(self, kinds: Iterable[str]) -> None:
        for kind in kinds:
            if kind not in self._told and len(self._told) < MOST_TOLD:
                self._told.add(kind)
                _log.warning(
                    f"a job of a kind that is not known: {WITHOUT}", kind=kind, fix="start a node that runs it"
                )
