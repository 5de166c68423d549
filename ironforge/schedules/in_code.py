"""A schedule as nodes announce it that have it in their code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ironforge.job.definition import Announcement
from ironforge.schedules.definition import Schedule

# Of those that its application runs, to know that again by.
KINDS_NAMED: Final = 20

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class ScheduleInCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`kinds`: some of those that nodes run which have it. Who runs one of them is of the same application."""

    schedule: Schedule
    kinds: tuple[str, ...] = ()


_decoder: Final = msgspec.json.Decoder(ScheduleInCode)


def announcement_of(name: str, schedule: Schedule, kinds: Sequence[str]) -> Announcement:
    """`kinds`: all that the application runs. By them alone no definition differs from another one."""
    definition = ScheduleInCode(schedule, tuple(kinds[:KINDS_NAMED]))
    return Announcement.made(name, _encode(definition), told=_encode(schedule))


def decode_announced(definition: bytes) -> ScheduleInCode | None:
    """None for one of a newer version, or what is none."""
    try:
        return _decoder.decode(definition)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
