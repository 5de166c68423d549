"""What the end of a job does to what it is tied to: its journal lives as long as its record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ironforge.redis.connection import Command
from ironforge.redis.keys import Keys
from ironforge.redis.step_keys import journal_of
from ironforge.steps.waits import Ties
from ironforge.store.retention import RetentionBuckets


class Tied(NamedTuple):
    """A job that ends, as `Settled` has it: `record` is empty when nothing is retained."""

    job_id: bytes
    record: bytes
    retention_ms: int
    ties: Ties


def end_ties(
    keys: Keys, buckets: RetentionBuckets, tied: Sequence[Tied], commands: list[Command], touched: list[str]
) -> None:
    """Adds to the commands of the transaction that settles these jobs, and to the keys that it touches."""
    for job_id, record, retention_ms, ties in tied:
        if ties and ties[0]:
            journal = journal_of(keys, job_id)
            touched.append(journal)
            if record and retention_ms > 0:
                commands.append(["EXPIRE", journal, buckets.place(job_id, retention_ms).seconds])
            else:
                commands.append(["UNLINK", journal])
