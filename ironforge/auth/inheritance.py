"""What a key may be given by the caller that makes it: nothing that the maker does not hold itself, for no longer.

What the maker leaves out is inherited. Whoever makes ten keys gains nothing by it: a key is charged to its makers too,
each of them, so all that come from one key share its limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ironforge.auth.caller import Account, Caller
from ironforge.auth.quota import NAMES, Quota
from ironforge.errors import Forbidden
from ironforge.formats.numbers import shown

# A key that was made by a key that was made by …: each of them is charged for each submission.
GENERATIONS: Final = 8


class Terms(NamedTuple):
    """`queues` None: all, or left out; `expires_ms` is Unix time, 0: never, or left out."""

    scopes: Sequence[str]
    queues: Sequence[str] | None
    expires_ms: int
    quota: Quota


def inherit(maker: Caller, wanted: Terms, now_ms: int) -> Terms:
    """The terms of a key that `maker` makes. Raises Forbidden for what it does not hold."""
    lacking = sorted(set(wanted.scopes) - maker.scopes)
    if lacking:
        raise Forbidden(
            f"this credential lacks the scope {lacking[0][:100]}, and can give a key only what it has itself",
            code="scope_not_held",
        )
    for queue in wanted.queues or ():
        maker.require_queue(queue)
    queues = wanted.queues
    if queues is None and maker.queues is not None:
        queues = sorted(maker.queues)
    return Terms(wanted.scopes, queues, _expiry(maker, wanted.expires_ms, now_ms), _quota(maker.quota, wanted.quota))


def makers_of(maker: Caller) -> tuple[Account, ...]:
    """The keys that are charged for what a key of this maker does. Raises Forbidden when there are too many."""
    makers = (Account(maker.bucket, maker.quota), *maker.makers) if maker.bucket else maker.makers
    if len(makers) >= GENERATIONS:
        raise Forbidden(
            f"this key has {len(makers) - 1} keys above it, and may not make a further one: use one of those",
            code="too_many_generations",
        )
    return makers


def _expiry(maker: Caller, wanted_ms: int, now_ms: int) -> int:
    if not maker.expires_ms:
        return wanted_ms
    if wanted_ms > maker.expires_ms:
        left = max(0, maker.expires_ms - now_ms) // 1000
        raise Forbidden(
            f"this credential expires in {left} s itself, and a key that it makes cannot last longer: leave "
            "expires_seconds out, or make it smaller",
            code="expiry_not_held",
        )
    return wanted_ms or maker.expires_ms


def _quota(held: Quota, wanted: Quota) -> Quota:
    limits: dict[str, float | None] = {}
    for name in NAMES:
        limit, asked = held.limit(name), getattr(wanted, name)
        if limit is not None and asked is not None and asked > limit:
            raise Forbidden(
                f"this credential is held to {name}={shown(limit)} itself, and cannot give a key {shown(asked)}: "
                "leave it out, or make it smaller",
                code="quota_not_held",
            )
        limits[name] = getattr(held, name) if asked is None else asked
    return Quota(**limits)  # type: ignore[arg-type]
