"""The key that jobs have in common, which says in which shard they lie."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ironforge.errors import InvalidJob
from ironforge.job.record import Job


def only_key(jobs: Sequence[Job]) -> str | None:
    """Keys of different text lie in different shards, or might: that must not depend on chance. A limit that is used
    without a key has the empty one."""
    texts: set[str] = set()
    limited: set[str] = set()
    for at, job in enumerate(jobs):
        limited |= {use.key for use in job.limits}
        texts |= limited if job.unique is None else {*limited, job.unique.key}
        if len(texts) > 1:
            raise _apart(texts, "limits" if len(limited) > 1 else "unique", at if len(jobs) > 1 else None)
    return texts.pop() if texts else None


def _apart(texts: Collection[str], field: str, index: int | None) -> InvalidJob:
    """`index`: of the first job of a batch whose keys are not those before it."""
    shown = ", ".join(repr(text) if text else "no key" for text in sorted(texts)[:4])
    hint = "give a job one key for all that it uses, and submit jobs with different keys one by one"
    refused = InvalidJob(
        f"where there are several shards, the limits and unique keys of one job or batch must have the same key, and "
        f"these have {len(texts)} ({shown}): {hint}",
        code="keys_apart",
        field=field,
        hint=hint,
    )
    refused.index = index
    return refused
