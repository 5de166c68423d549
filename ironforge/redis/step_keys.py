"""The keys of steps inside jobs: what was recorded of them, what waits, and what it waits for.

Nothing of them is there while no job has steps.
"""

from __future__ import annotations

from ironforge.redis.family_keys import FamilyKeys
from ironforge.redis.key_spec import EXPIRES, STAYS, Key, KeyFamily


class StepKeys(FamilyKeys):
    """Of one namespace and shard."""

    steps = KeyFamily(
        "steps:<job>",
        "hash",
        STAYS,
        "journal of a job, its id in hexadecimal digits: entry → what was recorded (msgpack); the empty field: fence "
        "of the run that recorded last and, while the job waits, for what. Stays with its job, then expires",
        "this job records nothing and does not go on",
    )
    journals = KeyFamily(
        "journals:<done or kept>:<minute>",
        "set",
        EXPIRES,
        "ids of jobs whose records are in this bucket and that have a journal: both go early when memory is short",
        "jobs that were created in this minute and have recorded something do not end",
    )
    waiting = KeyFamily(
        "waiting:<sleep, event, children or workflow>",
        "zset",
        STAYS,
        "id of a job that waits for this, by when that ends by itself (ms; inf: never). "
        "`workflow`: ids of workflows that have not ended",
        "jobs cannot begin to wait for this, those that do stay, and no due time is looked at",
    )
    wake = Key(
        "wake",
        "zset",
        STAYS,
        "what is to wake jobs, since when (ms): the id of a parent whose child has ended, or `e:<name>`, an event with "
        "waiters",
        "no event with waiters can be sent, no child ends, and no due time is looked at",
    )
    event = KeyFamily(
        "event:<name>",
        "string",
        EXPIRES,
        "the first event of its name: `<when it expires (ms)>:<JSON>`, but not before its waiters are awake and it is "
        "in all shards",
        "this event cannot be sent or seen, those that wait for it stay, and those that begin to run again",
    )
    copies = Key(
        "copies",
        "set",
        STAYS,
        "names of events that this shard has decided on and that are not known to be in all the others",
        "no event can be sent in this shard, and those of the others wake nobody here",
    )
    eventbytes = Key(
        "eventbytes",
        "hash",
        EXPIRES,
        "hour since 1970 → about how many bytes of events expire in it",
        "no event can be sent, and none is copied to this shard",
    )
    event_waiters = KeyFamily(
        "eventwaiters:<name>",
        "set",
        STAYS,
        "ids of jobs that wait for this event",
        "this event cannot be sent, those that wait for it stay, and those that begin to run again",
    )


def journals_of(keys: StepKeys, bucket: str) -> str:
    """The key that names the journals of jobs whose records are in this one."""
    return keys.journals(bucket.removeprefix(keys.prefix))


def journal_of(keys: StepKeys, job_id: bytes) -> str:
    """The key of its journal."""
    return keys.steps(job_id.hex())
