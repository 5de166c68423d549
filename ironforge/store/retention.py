"""Terminal records: which bucket they go to, for how long, and when one counts as gone.

A bucket expires as a whole, which costs the server nothing per job; a record with a shorter retention than its
bucket is hidden when it is read.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ironforge.errors import IncompatibleRecord
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import Job, JobState, decode, is_alone
from ironforge.redis.keys import GROUP, Keys
from ironforge.redis.location import TOLD_TO_STOP, Location
from ironforge.redis.replies import pairs
from ironforge.settings import Settings
from ironforge.store.contract import JobView

SLACK_SECONDS: Final = 60
# The last moment of the calendar: no later one can be shown.
FURTHEST_MS: Final = 253_402_300_799_999

_PLACES: Final = {
    "q": JobState.QUEUED,
    **dict.fromkeys(TOLD_TO_STOP, JobState.RUNNING),
    "f": JobState.QUEUED,
    "l": JobState.QUEUED,
    "k": JobState.QUEUED,
    "s": JobState.SCHEDULED,
    "w": JobState.WAITING,
    "d": JobState.DEAD,
    # What has ended, and perhaps cannot be looked up any more.
    "e": JobState.COMPLETED,
    "x": JobState.CANCELLED,
}


class RetentionBucket(NamedTuple):
    """`seconds` is 0 when nothing is to be kept. `expiry_ms` by this machine's clock: it only orders a list."""

    bucket: str
    seconds: int
    expiry_ms: int


def milliseconds(time_reply: list[bytes]) -> int:
    """The reply of TIME as Unix time."""
    seconds, microseconds = time_reply
    return int(seconds) * 1000 + int(microseconds) // 1000


def score_ms(score: bytes) -> int:
    """A score as Unix time. Any number may stand there, infinity too: it counts as the first or the last moment."""
    try:
        return round(max(0.0, min(float(score), FURTHEST_MS)))
    except ValueError:
        return 0


def queued_or_running(job: Job, pending: list[Any] | None, location: bytes, now_ms: int) -> JobView:
    """A job in a stream: `pending` is its row of XPENDING, None when it has not been delivered."""
    place = Location(location)
    alone = is_alone(place.stream)
    if pending is None:
        return JobView(job, JobState.QUEUED, alone=alone)
    _, node, idle_ms, _ = pending
    asked = place.told_to_stop
    name = node.decode(errors="replace")
    started_ms = now_ms - idle_ms
    return JobView(job, JobState.RUNNING, node=name, started_ms=started_ms, cancel_requested=asked, alone=alone)


def group_of(reply: Any) -> tuple[int, bytes]:
    """How many entries are pending, and up to which one the group has read."""
    for group in reply if isinstance(reply, list) else ():
        fields = dict(pairs(group))
        if fields[b"name"] == GROUP.encode():
            return fields[b"pending"], fields[b"last-delivered-id"]
    return 0, b"0-0"


class RetentionBuckets:
    """Where a namespace puts the records of ended jobs."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        self._default_ms = round(settings.retention_seconds * 1000)

    def retention_ms(self, job: Job) -> int:
        """How long the record of this job stays readable once it has ended."""
        return self._default_ms if job.retain_ms is None else job.retain_ms

    def place(self, job_id: bytes, retention_ms: int) -> RetentionBucket:
        bucket = self._keys.bucket_of(job_id, "kept" if retention_ms > self._default_ms else "done")
        seconds = -(-retention_ms // 1000) + SLACK_SECONDS if retention_ms > 0 else 0
        return RetentionBucket(bucket, seconds, now_ms() + seconds * 1000)


def terminal_record(record: bytes | None, settings: Settings) -> Job | None:
    """The job in a bucket's record, or None when there is none that can be read or its own retention is over."""
    job = readable(record) if record else None
    if job is None or not job.ended:
        return None
    retention_ms = settings.retention_seconds * 1000 if job.retain_ms is None else job.retain_ms
    return job if job.ended_ms + retention_ms > now_ms() else None


def state_at(where: bytes) -> JobState:
    """The state in what a script says about a known job: a location, its first letter, or a terminal record.

    Raises IncompatibleRecord when it is none of them.
    """
    if where[1:2] in (b"", b":") and where[:1].decode("latin-1") in _PLACES:
        return _PLACES[where[:1].decode("latin-1")]
    ended = decode(where).ended
    if not ended:
        raise IncompatibleRecord("this is neither a place nor the record of a job that has ended")
    return JobState(ended)


def readable(record: bytes | None) -> Job | None:
    """The job, or None for bytes that are none."""
    if record is None:
        return None
    try:
        return decode(record)
    except IncompatibleRecord:
        return None
