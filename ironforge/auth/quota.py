"""Limits of a namespace or a key, as data; None everywhere means that nothing is counted at all.

In flight is everything that is due and has not ended, queued or running: what a submitter can push up and only nodes
can bring down.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ironforge.errors import ConfigError
from ironforge.formats.numbers import shown


def _meaning(words: str) -> Meta:
    return Meta(extra={"meaning": words})


class Quota(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """`burst` jobs may come at once where `submissions_per_second` jobs may come in the long run."""

    submissions_per_second: Annotated[float | None, _meaning("jobs per second in the long run")] = None
    burst: Annotated[int | None, _meaning("jobs that may come at once; default: a second's worth")] = None
    stored_jobs: Annotated[int | None, _meaning("jobs, or nodes of workflows, that have not ended, and dead ones")] = (
        None
    )
    stored_bytes: Annotated[int | None, _meaning("memory of the server for the namespace")] = None
    in_flight: Annotated[int | None, _meaning("jobs that are queued or running")] = None
    delay_seconds: Annotated[float | None, _meaning("how far ahead a job may be scheduled")] = None
    queues: Annotated[int | None, _meaning("names of queues in use; default: as the settings say")] = None
    limit_keys: Annotated[int | None, _meaning("keys of limits in use; default: as the settings say")] = None
    schedules: Annotated[int | None, _meaning("schedules that are defined; default: as the settings say")] = None

    @property
    def limits_rate(self) -> bool:
        return self.submissions_per_second is not None

    @property
    def limits_storage(self) -> bool:
        return self.stored_jobs is not None or self.stored_bytes is not None or self.in_flight is not None

    @property
    def burst_jobs(self) -> int:
        """What the bucket holds: `burst`, or a second's worth, at least 1."""
        return self.burst if self.burst is not None else max(1, round(self.submissions_per_second or 0))

    def limit(self, name: str) -> float | None:
        """What `name` is held to; of `burst` also where only the rate was given."""
        held: float | None = self.burst_jobs if name == "burst" and self.limits_rate else getattr(self, name)
        return held


NO_QUOTA: Final = Quota()
NAMES: Final = Quota.__struct_fields__


def check(quota: Quota) -> Quota:
    """Raises ConfigError naming the limit that makes no sense."""
    for name in NAMES:
        value = getattr(quota, name)
        if value is not None and not 0 < value <= 10**15:
            raise ConfigError(
                f"quota {name}={shown(value)} is out of range: above 0, at most 1e15; leave it out for none"
            )
    if quota.burst is not None and not quota.limits_rate:
        raise ConfigError("quota burst says how many may come at once, so it needs submissions_per_second")
    return quota
