"""The types of the calls about kinds."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ironforge.api.schemas.jobs import DEFAULT_PAGE, Cursor, Time, page_size

Defaults = Annotated[
    dict[str, Any],
    Meta(description="options that the kind fixes, as in a submission, which may say others"),
]
Policy = Annotated[
    str,
    Meta(description="any: every version goes on with a job that has run; same: the version of its first run alone"),
]
# So many jobs are released by one call.
RELEASED_AT_ONCE = 5_000
Version = Annotated[str, Meta(description="of the application; empty: it did not say")]


class KindsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which page of the kinds."""

    limit: Annotated[int, page_size("kinds")] = DEFAULT_PAGE
    cursor: Cursor = None


class KindSummary(msgspec.Struct):
    """A kind as it counts now: `versions` of the kind itself say more."""

    kind: str
    live: Annotated[bool, Meta(description="a node runs it now")]
    nodes: Annotated[int, Meta(description="how many nodes run it, in any version")]
    version: Version
    announced_at: Time
    defaults: Defaults
    version_policy: Policy


class KindPage(msgspec.Struct):
    """In the order of their names; `next` null is the end."""

    kinds: list[KindSummary]
    next: Annotated[str | None, Meta(description="`cursor` of the next page")]


class KindVersionAnswer(msgspec.Struct):
    """What the nodes of one version of the application announced."""

    version: Version
    announced_at: Annotated[Time, Meta(description="when a node first joined with it")]
    nodes: Annotated[list[str], Meta(description="the nodes that run it now")]
    defaults: Defaults
    schema: Annotated[dict[str, Any] | None, Meta(description="JSON Schema of the payload; null: none is known")]
    version_policy: Policy


class KindAnswer(msgspec.Struct):
    """`versions`: the one that counts first, for its defaults hold; then the one first announced last."""

    kind: str
    live: Annotated[bool, Meta(description="a node runs it now")]
    versions: list[KindVersionAnswer]


class ReleaseBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which jobs of a kind any version of the application may go on with."""

    version: Annotated[str, Meta(description="that began them", min_length=1, max_length=64)]


class ReleaseAnswer(msgspec.Struct):
    """What became of jobs that waited for a node with the version that began them."""

    kind: str
    version: str
    released: Annotated[int, Meta(description="any version may go on with them from now on")]
    more: Annotated[bool, Meta(description=f"there may be others: one call releases {RELEASED_AT_ONCE:,} at most")]
