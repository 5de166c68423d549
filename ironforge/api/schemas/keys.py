"""The types of the calls that exist only with authentication: keys, quotas, the audit trail."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ironforge.api.schemas.jobs import DEFAULT_PAGE, Cursor, Time, page_size
from ironforge.auth.api_keys import LONGEST_LIFE_SECONDS
from ironforge.auth.caller import MAX_QUEUES, Scope
from ironforge.auth.quota import Quota
from ironforge.job.checks import NAME_PATTERN

KEY_ID_PATTERN = "^[a-z0-9]{12}$"
KEY_ID_EXAMPLE = "k3v9q2m8x1ab"

KeyId = Annotated[str, Meta(extra_json_schema={"pattern": KEY_ID_PATTERN}, examples=[KEY_ID_EXAMPLE])]
Name = Annotated[str, Meta(extra_json_schema={"pattern": NAME_PATTERN})]


Children = Literal["revoke", "keep"]


class KeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A key to make, in the caller's namespace. It may not do what the caller may not."""

    name: Annotated[Name, Meta(description="who uses it; at most two keys of one name count", examples=["billing"])]
    scopes: Annotated[list[Scope], Meta(extra_json_schema={"minItems": 1})]
    queues: Annotated[
        list[Name] | msgspec.UnsetType,
        Meta(
            description="the only queues it may use; default: those of the caller",
            extra_json_schema={"minItems": 1, "maxItems": MAX_QUEUES},
        ),
    ] = msgspec.UNSET  # not None: nobody who sends null means all of them
    expires_seconds: Annotated[
        float | None,
        Meta(
            description="from now, no longer than the caller; default: as long as the caller",
            extra_json_schema={"minimum": 1, "maximum": LONGEST_LIFE_SECONDS},
        ),
    ] = None
    quota: Annotated[Quota | None, Meta(description="limits of this key; what is left out is as for the caller")] = None


class RevokeQuery(msgspec.Struct, forbid_unknown_fields=True):
    """What becomes of the keys that the revoked one made, and that those made."""

    children: Children = "revoke"


class AuditQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which part of the trail to list."""

    limit: Annotated[int, page_size("entries")] = DEFAULT_PAGE
    cursor: Cursor = None


class KeyAnswer(msgspec.Struct):
    """A key, without what would let anybody use it."""

    id: KeyId
    name: str
    scopes: list[Scope]
    queues: Annotated[list[str] | None, Meta(description="null: all")]
    created_at: Time
    expires_at: Annotated[Time | None, Meta(description="null: never")]
    last_used_at: Annotated[Time | None, Meta(description="exact to a minute; null: never")]
    quota: Quota
    made_by: Annotated[str, Meta(description="how the audit trail calls its maker; empty: not known")]


class KeysAnswer(msgspec.Struct):
    """The keys of the caller's namespace, oldest first."""

    keys: list[KeyAnswer]


class NewKeyAnswer(msgspec.Struct):
    """`key` is shown this once: the store keeps only a seal of it."""

    id: KeyId
    key: str
    name: str
    scopes: list[Scope]
    queues: Annotated[list[str] | None, Meta(description="null: all")]
    expires_at: Annotated[Time | None, Meta(description="null: never")]
    quota: Quota


class RevokedAnswer(msgspec.Struct):
    """The key is gone, and `children` with it; processes that remember them let them in for this long at most."""

    id: KeyId
    effective_within_seconds: float
    children: Annotated[list[KeyId], Meta(description="keys that it made, and that those made")]
    schedules: Annotated[
        list[str] | None, Meta(description="those that these keys put last: they go on; null: they cannot be read")
    ]


class UsageAnswer(msgspec.Struct):
    """`in_flight`: queued or running; `stored_jobs`: not ended, or dead, and nodes of workflows that have
    not started; `stored_bytes`: memory of the server."""

    stored_jobs: int
    in_flight: int
    stored_bytes: int


class QuotasAnswer(msgspec.Struct):
    """What the caller is held to: the limits of its namespace, and of its key."""

    namespace: str
    namespace_quota: Quota
    key_quota: Quota
    usage: Annotated[UsageAnswer | None, Meta(description="null for a caller that is limited to some queues")]


class AuditAnswer(msgspec.Struct):
    """One thing that was done."""

    number: int
    at: Time
    who: str
    action: str
    target: str
    request_id: str
    queue: Annotated[str, Meta(description="the one it was done to; empty: none, several, or not known")]
    queues: Annotated[list[str], Meta(description="all that it was done to, as far as they are known")]


class AuditPage(msgspec.Struct):
    """`next` null is the end."""

    entries: list[AuditAnswer]
    next: Annotated[str | None, Meta(description="`cursor` of the next page")]
