"""Numbers in messages: as they were given, for a value that is out of range may be so by its last digit."""

from __future__ import annotations

from typing import Final

# A longer integer is told by its sign: no reader wants it, and Python refuses to print one of 4,300 digits.
_PRINTED: Final = 10**18


def shown(value: float) -> str:
    """Every digit that tells `value` from its neighbours, without a `.0` or an exponent that it does not need."""
    if isinstance(value, int) and abs(value) > _PRINTED:
        return "a huge number" if value > 0 else "a hugely negative number"
    if isinstance(value, float) and value.is_integer() and abs(value) <= _PRINTED:
        value = int(value)
    return str(value)


def counted(number: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
