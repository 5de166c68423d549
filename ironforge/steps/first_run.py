"""What the runs of a job have left behind, where its record has to say more than that there is a journal."""

from __future__ import annotations

import msgspec


class FirstRun(msgspec.Struct, array_like=True, frozen=True):
    """Of a job that stays with the version of the application that ran it first. As a truth value: whether it has a
    `journal`, which is all that other records say."""

    version: str
    journal: bool = False

    def __bool__(self) -> bool:
        return self.journal


def recorded(left: bool | FirstRun) -> bool | FirstRun:
    """Once a run has recorded something."""
    return FirstRun(left.version, journal=True) if isinstance(left, FirstRun) else True
