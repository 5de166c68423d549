"""The types of the calls for operators: depths, nodes, health, probes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ironforge.api.schemas.jobs import JobId, Time
from ironforge.job.record import PriorityLabel
from ironforge.schedules.definition import GRACE_MS
from ironforge.store.node_view import JOBS_NAMED

# Of the kinds in an answer.
UNSERVED_NAMED = 100


class StreamStats(msgspec.Struct):
    """One priority of one queue that is in use."""

    queue: str
    priority: PriorityLabel
    queued: int
    running: int
    oldest_age_seconds: Annotated[
        float | None, Meta(description="how long the longest queued job has waited; null: none, or unknown")
    ]
    served_by: Annotated[int, Meta(description="nodes that take jobs from the queue")]
    suspects: Annotated[int, Meta(description="queued jobs that wait to run alone: nodes died while they held them")]
    declined: Annotated[
        int, Meta(description="queued jobs that wait for a node that knows their kind, or has their version")
    ]
    limited: Annotated[int, Meta(description="queued jobs that a limit keeps out")]


class UnservedVersion(msgspec.Struct):
    """Jobs that a version of the application has begun, and that wait for a node which has it: none has."""

    kind: str
    version: str
    jobs: int


class UnservedAnswer(msgspec.Struct):
    """What waits until a node comes: queues with waiting jobs, and kinds that are known."""

    queues: list[str]
    kinds: Annotated[list[str], Meta(description=f"the first {UNSERVED_NAMED}, in the order of their names")]
    versions: Annotated[
        list[UnservedVersion],
        Meta(description=f"kinds whose jobs stay with the version that began them; the first {UNSERVED_NAMED}"),
    ]


class ScheduleStats(msgspec.Struct):
    """How many schedules there are, and how they are."""

    total: int
    paused: int
    broken: Annotated[int, Meta(description="they cannot be read, or their job has been refused since the last start")]
    overdue: Annotated[
        int, Meta(description=f"their tick is due for more than {GRACE_MS // 1000} seconds: nothing fires it")
    ]
    next_in_seconds: Annotated[float | None, Meta(description="until the next tick; null: there is none")]


class WaitingStats(msgspec.Struct):
    """Jobs in state waiting, which hold no place of a node: all, and by what they wait for. Each
    workflow that has not ended is one."""

    total: int
    sleep: int
    event: int
    children: int
    workflow: int


class QueueStats(msgspec.Struct):
    """`totals` count since the namespace exists; `rates` are per second over a minute, null until known.

    `paused`: names of queues, also of those that have no job. For a caller that is limited to some queues, what is
    counted over all of them is null.
    """

    queues: list[StreamStats]
    queued: int
    running: int
    scheduled: int | None
    waiting: WaitingStats | None
    dlq_depth: int | None
    paused: list[str]
    unserved: Annotated[UnservedAnswer, Meta(description="what no running node takes")]
    oldest_age_seconds: float | None
    schedules: ScheduleStats | None
    totals: dict[str, int] | None
    rates: dict[str, float] | None
    at: Time


class StoreHealth(msgspec.Struct):
    """The server behind the API; `durability` is what its settings really give."""

    server: str
    version: str
    durability: str
    used_memory_bytes: int
    max_memory_bytes: Annotated[int, Meta(description="0: no limit")]


class HealthAnswer(msgspec.Struct):
    """`unavailable` comes with status 503: the store cannot be used."""

    status: Literal["ok", "degraded", "unavailable"]
    version: str
    durability: Annotated[str, Meta(description="what this installation asks for")]
    store: StoreHealth | None
    problems: list[str]


class LiveAnswer(msgspec.Struct):
    """The process answers; the lag is how long its event loop took for one turn."""

    status: Literal["ok"]
    loop_lag_seconds: float


class ReadyAnswer(msgspec.Struct):
    """`not ready` comes with status 503."""

    status: Literal["ready", "not ready"]
    problems: list[str]


class NodeJob(msgspec.Struct):
    """A job that a node runs."""

    id: JobId
    kind: str
    queue: str
    started_at: Time


class NodeAnswer(msgspec.Struct):
    """A node that holds a lease."""

    name: str
    lease_seconds_left: float
    running: Annotated[int, Meta(description="how many jobs it runs")]
    jobs: Annotated[list[NodeJob], Meta(description=f"what it runs: the first {JOBS_NAMED}, the oldest first")]
    queues: Annotated[list[str], Meta(description="what it serves; empty: it did not say")]
    concurrency: Annotated[int, Meta(description="jobs that it runs at a time; 0: it did not say")]
    version: str
    since: Annotated[Time | None, Meta(description="when it joined")]
    app_version: Annotated[str, Meta(description="version of its application; empty: it did not say")]
    kinds: Annotated[list[str], Meta(description="what it runs; empty as well for a caller that may not read jobs")]


class NodesAnswer(msgspec.Struct):
    """The nodes that hold a lease now."""

    nodes: list[NodeAnswer]
