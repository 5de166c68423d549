"""Limits: how many jobs of a key run at once and start in a time. How they are defined, and what a job uses of them.

Scripts decide by the definition that the server has. It is JSON, in the words of `Limit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, TypedDict

import msgspec

from ironforge.errors import InvalidJob, LimitNotFound
from ironforge.settings import NAME, NAME_RULE

MAX_LIMITS: Final = 4
MAX_LIMIT_KEY: Final = 128
MAX_UNITS: Final = 1_000_000_000
MAX_CONCURRENCY: Final = 1_000_000
MIN_PER_SECONDS: Final = 0.001
MAX_PER_SECONDS: Final = 31_536_000.0
# Of a rate that does not say how many units may come at once: this part of a second's.
BURST_SECONDS: Final = 0.1

# Names of limits that begin so are not for callers. Runs of a schedule wait for each other behind RUNS, by its name.
RESERVED: Final = "ironforge."
RUNS: Final = f"{RESERVED}schedules"

# Why a full limit cancelled a job, in its record: it came then, or made way for one that came.
LIMIT_FULL: Final = "limit_full"
PREEMPTED: Final = "preempted"

WhenFull = Literal["wait", "cancel_new", "cancel_oldest"]
OnFailure = Literal["block", "skip", "park"]
Units = Annotated[int, msgspec.Meta(ge=1, le=MAX_UNITS)]
Concurrency = Annotated[int, msgspec.Meta(ge=1, le=MAX_CONCURRENCY)]


class LimitUse(msgspec.Struct, array_like=True, frozen=True):
    """What a job uses of a limit: `units` of its rate, and one of the places of `key` (empty: it has one for all)."""

    name: str
    key: str = ""
    units: Units = 1

    @property
    def claim(self) -> str:
        """The limit and the key together, as `claim_of` makes it."""
        return claim_of(self.name, self.key)


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`units` in `per_seconds`; `burst`: how many at once when none were used for a while, 0: a tenth of a second's."""

    units: Units
    per_seconds: Annotated[float, msgspec.Meta(ge=MIN_PER_SECONDS, le=MAX_PER_SECONDS)] = 1.0
    burst: Annotated[int, msgspec.Meta(ge=0, le=MAX_UNITS)] = 0

    @property
    def most_at_once(self) -> int:
        return self.burst or max(1, int(self.units / self.per_seconds * BURST_SECONDS))

    @property
    def each_us(self) -> float:
        """For how many microseconds a unit uses the rate."""
        return self.per_seconds * 1e6 / self.units


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
    return tuple(use.claim for use in uses)


def mark_of(uses: Sequence[LimitUse], turn: str, came_ms: int) -> str:
    """What the index says of a job with limits behind its queue and priority: `turn` (`:<weight>:<fairness key>`, empty
    for none), since when it waits (0: it has not waited yet), and what it uses."""
    words = [turn or ":1:-", str(came_ms or "")]
    for use in uses:
        words += (use.name, use.key, str(use.units))
    return "\n".join(words)


def throttled_mark(keys: Mapping[LimitUse, int]) -> str:
    """That the targets of these throttle, each for so many milliseconds, in the form of a mark."""
    return mark_of([LimitUse(use.name, use.key, ms) for use, ms in keys.items()], "", 0)


def use_of(uses: Sequence[LimitUse], name: str) -> LimitUse:
    """What a job uses of this limit. Raises LimitNotFound."""
    uses = asked_for(uses)
    for use in uses:
        if use.name == name:
            return use
    known = ", ".join(use.name for use in uses) or "none"
    raise LimitNotFound(f"this job uses no limit {name!r}: it uses {known}")


def asked_for(uses: Sequence[LimitUse]) -> tuple[LimitUse, ...]:
    """Without those that a job got on top."""
    return tuple(use for use in uses if not use.name.startswith(RESERVED))


def check_limit_name(name: str, field: str = "limit") -> str:
    """Of a limit that a caller may define and use. Raises InvalidJob."""
    _check_name(name, field)
    if name.startswith(RESERVED):
        hint = f"give a name that does not begin with {RESERVED}"
        raise _invalid(f"limit {name} is one of IronForge itself", hint, field)
    return name


def _check_name(name: str, field: str) -> None:
    if not NAME.match(name):
        raise _invalid(f"limit {name[:150]!r} is not a name", NAME_RULE, field)


def check_limit_key(name: str, key: str, field: str = "key") -> str:
    """Raises InvalidJob."""
    if len(key) > MAX_LIMIT_KEY or (key and not key.isprintable()):
        hint = f"give at most {MAX_LIMIT_KEY} printable characters, such as an account's number"
        raise _invalid(f"key {key[:60]!r} of limit {name} is too long, or not printable", hint, field)
    return key


def check_uses(uses: Sequence[LimitUse]) -> tuple[LimitUse, ...]:
    """Raises InvalidJob. Whether there are such limits, and whether they allow so much, the server knows."""
    if len(uses) > MAX_LIMITS:
        hint = f"a job has at most {MAX_LIMITS}"
        raise _invalid(f"limits has {len(uses)} entries", hint, "limits", "out_of_range")
    names: set[str] = set()
    for place, use in enumerate(uses):
        at = f"limits[{place}]"
        _check_name(use.name, f"{at}.name")
        check_limit_key(use.name, use.key, f"{at}.key")
        if not 1 <= use.units <= MAX_UNITS:
            message = f"units {use.units} of limit {use.name} is out of range"
            raise _invalid(message, f"give 1 to {MAX_UNITS}", f"{at}.units", "out_of_range")
        if use.name in names:
            raise _invalid(f"limit {use.name} stands twice among limits", "a job uses each once", f"{at}.name")
        names.add(use.name)
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
        raise _invalid(f"limit {name} limits nothing", "give concurrency, rate, or both", "concurrency")
    if limit.when_full == "cancel_oldest" and limit.concurrency is None:
        message = f"cancel_oldest of limit {name} needs concurrency, else none is the oldest"
        raise _invalid(message, "give concurrency, or cancel_new", "when_full")
    if limit.order == "fifo" and limit.concurrency != 1:
        raise _invalid(f"order fifo of limit {name} needs concurrency 1", "give that, or no order", "order")
    if limit.on_failure and limit.order != "fifo":
        raise _invalid(f"on_failure of limit {name} needs order fifo", "give that, or no on_failure", "on_failure")
    return limit


def check_override(name: str, limit: Limit, override: Override) -> None:
    """Raises InvalidJob."""
    if limit.order == "fifo" and override.concurrency not in {None, 1}:
        hint = "give a rate alone, or define the limit anew without order"
        message = f"limit {name} is fifo: no override lets {override.concurrency} of its jobs run at once"
        raise _invalid(message, hint, "override.concurrency")


def _invalid(
    message: str, hint: str, field: str, code: Literal["invalid_limit", "out_of_range"] = "invalid_limit"
) -> InvalidJob:
    return InvalidJob(f"{message}: {hint}", code=code, field=field, hint=hint)
