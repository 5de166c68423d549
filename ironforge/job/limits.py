"""Limits: how many jobs of a key run at once and start in a time. How they are defined, and what a job uses of them.

Scripts decide by the definition that the server has. It is JSON, in the words of `Limit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypedDict

import msgspec

from ironforge.errors import InvalidJob
from ironforge.settings import NAME, NAME_RULE

MAX_LIMITS: Final = 4
MAX_LIMIT_KEY: Final = 128
MAX_UNITS: Final = 1_000_000_000
MAX_CONCURRENCY: Final = 1_000_000
MAX_PER_SECONDS: Final = 31_536_000.0
# Of a rate that does not say how many units may come at once: this part of a second's.
BURST_SECONDS: Final = 0.1

WhenFull = Literal["wait", "cancel_new", "cancel_oldest"]
OnFailure = Literal["block", "skip", "park"]
Units = Annotated[int, msgspec.Meta(ge=1, le=MAX_UNITS)]
Concurrency = Annotated[int, msgspec.Meta(ge=1, le=MAX_CONCURRENCY)]


class LimitUse(msgspec.Struct, array_like=True, frozen=True):
    """What a job uses of a limit: `units` of its rate, and one of the places of `key` (empty: it has one for all)."""

    name: str
    key: str = ""
    units: Units = 1


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`units` in `per_seconds`; `burst`: how many at once when none were used for a while, 0: a tenth of a second's."""

    units: Units
    per_seconds: Annotated[float, msgspec.Meta(gt=0, le=MAX_PER_SECONDS)] = 1.0
    burst: Annotated[int, msgspec.Meta(ge=0, le=MAX_UNITS)] = 0

    @property
    def most_at_once(self) -> int:
        return self.burst or max(1, int(self.units / self.per_seconds * BURST_SECONDS))


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`concurrency`: most jobs of a key that run at once. `when_full`: what becomes of the one that comes then.

    `order` fifo, with a concurrency of 1 alone: after a failure the key waits for the retry (`block`), and after death
    for the revival of the dead job as well (`park`), or the next one runs (`skip`).
    """

    concurrency: Concurrency | None = None
    rate: Rate | None = None
    when_full: WhenFull = "wait"
    order: Literal["", "fifo"] = ""
    on_failure: OnFailure | Literal[""] = ""


class LimitKeywords(TypedDict, total=False):
    """`Limit` as Python writes it, for type checkers."""

    concurrency: int | None
    rate: Rate | None
    when_full: WhenFull
    order: Literal["", "fifo"]
    on_failure: OnFailure | Literal[""]


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an operator says instead of the code, `until_ms` (0: until it is taken back), and why."""

    concurrency: Concurrency | None = None
    rate: Rate | None = None
    until_ms: Annotated[int, msgspec.Meta(ge=0)] = 0
    note: str = ""


class LimitDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a namespace knows of a limit: what the code said, and what an operator says instead."""

    limit: Limit
    override: Override | None = None


def claim_of(name: str, key: str) -> str:
    """The limit and the key together, as keys in the server end."""
    return f"{name}\n{key}"


def claims_of(uses: Sequence[LimitUse]) -> tuple[str, ...]:
    return tuple(claim_of(use.name, use.key) for use in uses)


def mark_of(uses: Sequence[LimitUse], turn: str, came_ms: int) -> str:
    """What the index says of a job with limits behind its queue and priority: `turn` (`:<weight>:<fairness key>`, empty
    for none), since when it waits (0: it has not waited yet), and what it uses."""
    words = [turn or ":1:-", str(came_ms or "")]
    for use in uses:
        words += (use.name, use.key, str(use.units))
    return "\n".join(words)


def check_limit_name(name: str) -> str:
    """Raises InvalidJob."""
    if not NAME.match(name):
        raise _invalid(f"limit {name[:150]!r} is not a name: {NAME_RULE}", "invalid_limit")
    return name


def check_limit_key(name: str, key: str, field: str = "limits") -> str:
    """Raises InvalidJob."""
    if len(key) > MAX_LIMIT_KEY or (key and not key.isprintable()):
        message = f"key {key[:60]!r} of limit {name} is not at most {MAX_LIMIT_KEY} printable characters"
        raise _invalid(message, "invalid_limit", field)
    return key


def check_uses(uses: Sequence[LimitUse]) -> tuple[LimitUse, ...]:
    """Raises InvalidJob. Whether there are such limits, and whether they allow so much, the server knows."""
    if len(uses) > MAX_LIMITS:
        raise _invalid(f"limits has {len(uses)} entries: a job has at most {MAX_LIMITS}", "out_of_range")
    for use in uses:
        check_limit_name(use.name)
        check_limit_key(use.name, use.key)
        if not 1 <= use.units <= MAX_UNITS:
            raise _invalid(f"units {use.units} of limit {use.name} is out of range: 1 to {MAX_UNITS}", "out_of_range")
    names = [use.name for use in uses]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise _invalid(f"limit {twice} stands twice among limits: a job uses each once", "invalid_limit")
    return tuple(uses)


def are_valid(uses: Sequence[LimitUse]) -> bool:
    try:
        check_uses(uses)
    except InvalidJob:
        return False
    return True


def check_limit(name: str, limit: Limit) -> Limit:
    """Raises InvalidJob."""
    check_limit_name(name)
    if limit.concurrency is None and limit.rate is None:
        raise _invalid(f"limit {name} limits nothing: give concurrency, rate, or both", "invalid_limit", "concurrency")
    if limit.when_full == "cancel_oldest" and limit.concurrency is None:
        raise _invalid(
            f"cancel_oldest of limit {name} needs concurrency: else none is the oldest", "invalid_limit", "when_full"
        )
    if limit.order == "fifo" and limit.concurrency != 1:
        raise _invalid(f"order fifo of limit {name} needs concurrency 1", "invalid_limit", "order")
    if limit.on_failure and limit.order != "fifo":
        raise _invalid(f"on_failure of limit {name} needs order fifo", "invalid_limit", "on_failure")
    return limit


def _invalid(message: str, code: Literal["invalid_limit", "out_of_range"], field: str = "limits") -> InvalidJob:
    return InvalidJob(message, code=code, field=field)
