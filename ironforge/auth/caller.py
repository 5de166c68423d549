"""Who is calling, and what they may do.

A caller carries its namespace, so nothing behind the door ever takes one from a path, a query or a body.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, NamedTuple, get_args

from ironforge.auth.quota import NO_QUOTA, Quota
from ironforge.errors import Forbidden

Scope = Literal[
    "jobs:submit",
    "jobs:read",
    "jobs:cancel",
    "jobs:retry",
    "queues:admin",
    "limits:admin",
    "schedules:admin",
    "events:send",
    "metrics:read",
    "keys:admin",
]
# `public`: nobody is asked who they are; `caller`: any credential will do.
Access = Scope | Literal["public", "caller"]

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
# To so many queues a caller may be limited.
MAX_QUEUES: Final = 100
# How it is refused that an idempotency key is that of something in queues of others.
FOREIGN_KEY: Final = "this idempotency key was used for a different submission, which you may not see"


class Account(NamedTuple):
    """What a key is held to. `bucket` is its id, which names what is counted for it."""

    bucket: str
    quota: Quota


class Caller(NamedTuple):
    """`queues` None: all of them. `identity` is how logs and the audit trail call the caller.

    `bucket` names what the caller's own quota is counted under: the id of its key; "" without one of its own.
    `expires_ms` is Unix time; 0: never. `makers`: the keys that its key comes from, the nearest one first.
    """

    namespace: str
    scopes: frozenset[str]
    identity: str
    queues: frozenset[str] | None = None
    bucket: str = ""
    quota: Quota = NO_QUOTA
    expires_ms: int = 0
    makers: tuple[Account, ...] = ()

    @property
    def queue_names(self) -> list[str] | None:
        """The only queues that it may use, sorted; None: all."""
        return None if self.queues is None else sorted(self.queues)

    def sees(self, queues: Collection[str] | None) -> bool:
        """Whether what concerns these queues (None: all there are) concerns no others than the caller's own."""
        return self.queues is None or (queues is not None and self.queues.issuperset(queues))

    def require(self, access: Access) -> None:
        """Raises Forbidden when `access` is a scope that this caller lacks."""
        if access not in ("public", "caller") and access not in self.scopes:
            raise Forbidden(
                f"this credential lacks the scope {access}: use one that has it, or have a new key made",
                code="missing_scope",
            )

    def require_queue(self, queue: str) -> None:
        """Raises Forbidden when this caller is limited to other queues."""
        if self.queues is not None and queue not in self.queues:
            raise Forbidden(
                f"this credential may not use the queue {queue!r}, but: {', '.join(sorted(self.queues))}",
                code="queue_not_allowed",
            )
