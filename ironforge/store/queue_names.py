"""Names of queues come with their first job, and go when nobody uses them: no job, no node, no pause.

Whatever looks after queues costs by how many names there are, so those that were only ever tried out must not stay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any, Final

from ironforge.errors import InvalidJob, QuotaExceeded
from ironforge.job.checks import check_queue
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import LINE_ENDINGS, STREAM_ENDINGS, Keys
from ironforge.redis.scripts import FORGET

# Looked at in one script call, roughly: others wait meanwhile.
NAMES: Final = 100
# Names go within a few seconds once nobody uses them.
RETRY_SECONDS: Final = 5.0


def queue_names(members: Iterable[bytes]) -> list[str]:
    """The queues in `queues`, sorted. What is no queue's name was put there by somebody else, and is passed over."""
    names = []
    for member in members:
        with contextlib.suppress(InvalidJob):
            names.append(check_queue(member.decode(errors="replace")))
    return sorted(names)


async def forget_unused(connection: Connection, names: Keys) -> int:
    """How many were forgotten. None while there is a node that does not say what it serves, as older versions do."""
    keys = FORGET.keys(names)
    endings: Command = [NAMES, len(STREAM_ENDINGS), *STREAM_ENDINGS, *LINE_ENDINGS]
    forgotten = 0
    cursor = b"0"
    while True:
        cursor, count = await connection.run(FORGET, keys, [cursor, *endings])
        forgotten += int(count)
        if cursor == b"0":
            return forgotten


def too_many_queues(reply: Any) -> QuotaExceeded:
    """What a script's refusal means: `queues`, names in use, names to add, limit."""
    _, used, more, limit = reply
    return QuotaExceeded(
        f"the namespace may use {limit} names of queues, {used} are in use, and {more} more do not fit: use the same "
        "queue for jobs that the same nodes run, cancel or finish what is in others, or have the quota raised",
        quota="namespace.queues",
        current=used,
        limit=limit,
        retry_seconds=RETRY_SECONDS,
    )
