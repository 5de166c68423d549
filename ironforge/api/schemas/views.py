"""Shows what the store holds in the words of the HTTP contract: seconds, RFC 3339, labels.

Payload and result go out as they were stored, byte for byte, so a JSON number never changes on its way
through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from ironforge.api.schemas.jobs import (
    FailedAttempt,
    JobAnswer,
    JobPage,
    JobTickAnswer,
    JobWorkflowAnswer,
    ParentAnswer,
    StepAnswer,
    WaitingFor,
)
from ironforge.api.schemas.kinds import KindAnswer, KindSummary, KindVersionAnswer
from ironforge.api.schemas.operator import (
    UNSERVED_NAMED,
    NodeAnswer,
    NodeJob,
    NodesAnswer,
    QueueStats,
    ScheduleStats,
    StreamStats,
    UnservedAnswer,
    UnservedVersion,
    WaitingStats,
)
from ironforge.job import options
from ironforge.job.record import LABELS, PriorityLabel, format_id
from ironforge.job.tick import JobTick
from ironforge.job.tracebacks import AttemptError
from ironforge.steps import names
from ironforge.steps.journal import EntryKind, RecordedStep
from ironforge.steps.waits import ParentRef
from ironforge.store.contract import JobView, Page
from ironforge.store.counts import Stats, StreamDepth
from ironforge.store.kinds import Kind, Kinds, KindVersion
from ironforge.store.node_view import NodeView
from ironforge.store.waiting import Waiting

_check = msgspec.json.Decoder(msgspec.Raw).decode


def label(priority: int) -> PriorityLabel:
    return LABELS[priority]


def with_steps(shown: JobAnswer, recorded: Iterable[RecordedStep]) -> JobAnswer:
    shown.steps = [_step(each) for each in recorded]
    return shown


def _step(recorded: RecordedStep) -> StepAnswer:
    name, key, entry = recorded
    goes_on = entry.kind is EntryKind.WAIT
    return StepAnswer(
        name=name,
        key=key,
        kind="step" if entry.kind is EntryKind.STEP else "wait",
        result=stored_json(entry.result),
        timed_out=entry.timed_out,
        started_at=rfc3339(entry.started_ms),
        ended_at=None if goes_on else rfc3339(entry.ended_ms),
        until=optional_rfc3339(entry.ended_ms) if goes_on else None,
        run=entry.fence,
    )


def job_answer(view: JobView) -> JobAnswer:
    job = view.job
    return JobAnswer(
        id=format_id(job.id),
        kind=job.kind,
        **options.shown(job),
        status=view.state,
        waiting_for=_waiting_for(view.waiting_for),
        payload=stored_json(job.payload),
        attempts=job.attempt,
        revivals=job.revivals,
        crashes=job.crashes,
        alone=view.alone,
        fence=job.fence,
        created_at=rfc3339(job.created_ms),
        run_at=optional_rfc3339(view.due_ms),
        expires_at=optional_rfc3339(job.expires_ms),
        started_at=optional_rfc3339(view.started_ms or job.started_ms),
        finished_at=optional_rfc3339(job.ended_ms),
        node=view.node,
        result=stored_json(job.result),
        reason=job.reason or None,
        cancel_requested=view.cancel_requested,
        app_version=job.app_version or None,
        schedule=tick_answer(job.tick),
        parent=_parent(job.parent),
        workflow=_workflow(job.parent),
        steps=None,
        errors=[_failed_attempt(error) for error in job.errors],
    )


def _parent(parent: ParentRef | None) -> ParentAnswer | None:
    if parent is None or parent.node:
        return None
    return ParentAnswer(format_id(parent.id), names.shown(parent.name), parent.index)


def _workflow(parent: ParentRef | None) -> JobWorkflowAnswer | None:
    return JobWorkflowAnswer(format_id(parent.id), parent.node) if parent is not None and parent.node else None


def bare_job_answer(view: JobView) -> JobAnswer:
    """Without what came from the submitter and the handler."""
    shown = job_answer(view)
    shown.payload = shown.result = msgspec.Raw(b"null")
    shown.errors, shown.reason, shown.schedule, shown.app_version = [], None, None, None
    shown.parent = shown.workflow = None
    for option in options.RECORDED:
        if option.name not in options.KindOptions.__struct_fields__ or option.name in ("unique", "limits"):
            setattr(shown, option.name, option.default)
    return shown


def job_page(page: Page) -> JobPage:
    return JobPage([job_answer(view) for view in page.jobs], page.cursor)


def queue_stats(stats: Stats, kinds: Kinds, rates: dict[str, float] | None) -> QueueStats:
    servers = kinds.servers()
    streams = [_stream(depth, stats.now_ms, servers(depth.queue)) for depth in stats.streams]
    unserved = dict.fromkeys(stream.queue for stream in streams if stream.queued and not stream.served_by)
    ages = [stream.oldest_age_seconds for stream in streams if stream.oldest_age_seconds is not None]
    return QueueStats(
        queues=streams,
        queued=sum(stream.queued for stream in streams),
        running=sum(stream.running for stream in streams),
        scheduled=stats.scheduled,
        waiting=WaitingStats(stats.waiting.total, *stats.waiting),
        dlq_depth=stats.dead,
        paused=list(stats.paused),
        unserved=UnservedAnswer([*unserved], kinds.unserved[:UNSERVED_NAMED], _unserved_versions(stats, kinds)),
        oldest_age_seconds=max(ages, default=None),
        schedules=_schedule_stats(stats),
        totals=stats.totals,
        rates=rates,
        at=rfc3339(stats.now_ms),
    )


def _unserved_versions(stats: Stats, kinds: Kinds) -> list[UnservedVersion]:
    jobs: Counter[tuple[str, str]] = Counter()
    for line in kinds.without_node(stats.versions):
        jobs[line.kind, line.version] += line.jobs
    return [UnservedVersion(*where, count) for where, count in sorted(jobs.items())[:UNSERVED_NAMED]]


def _schedule_stats(stats: Stats) -> ScheduleStats:
    told = stats.schedules
    return ScheduleStats(told.total, told.paused, told.broken, told.overdue, stats.next_tick_seconds)


def without_totals(stats: QueueStats) -> QueueStats:
    """For a caller that may see some queues alone."""
    stats.scheduled = stats.waiting = stats.dlq_depth = stats.schedules = stats.totals = stats.rates = None
    return stats


def node_list(nodes: Sequence[NodeView], *, may_read: bool) -> NodesAnswer:
    """`may_read`: jobs and kinds are named."""
    return NodesAnswer([_node(node if may_read else node._replace(jobs=(), kinds=())) for node in nodes])


def _node(node: NodeView) -> NodeAnswer:
    jobs = [NodeJob(format_id(job.id), job.kind, job.queue, rfc3339(job.started_ms)) for job in node.jobs]
    return NodeAnswer(
        node.name,
        node.lease_ms_left / 1000,
        node.running,
        jobs,
        list(node.queues),
        node.concurrency,
        node.version,
        optional_rfc3339(node.since_ms),
        node.app_version,
        list(node.kinds),
    )


def kind_summary(kind: Kind) -> KindSummary:
    definition, nodes = kind.definition, len(kind.nodes)
    announced_at = rfc3339(kind.versions[0].announced_ms)
    return KindSummary(
        kind.name,
        nodes > 0,
        nodes,
        definition.version,
        announced_at,
        {**definition.defaults},
        definition.version_policy,
    )


def kind_answer(kind: Kind) -> KindAnswer:
    return KindAnswer(kind.name, bool(kind.nodes), [_kind_version(version) for version in kind.versions])


def _kind_version(version: KindVersion) -> KindVersionAnswer:
    definition = version.definition
    schema = None if definition.schema is None else {**definition.schema}
    return KindVersionAnswer(
        definition.version,
        rfc3339(version.announced_ms),
        list(version.nodes),
        {**definition.defaults},
        schema,
        definition.version_policy,
    )


def _waiting_for(waiting: Waiting | None) -> WaitingFor | None:
    if waiting is None:
        return None
    until, step = optional_rfc3339(waiting.until_ms), waiting.step or None
    return WaitingFor(waiting.code, waiting.detail, until, step, waiting.event or None)


def _stream(depth: StreamDepth, now_ms: int, served_by: int) -> StreamStats:
    age = None if depth.oldest_ms is None else max(0, now_ms - depth.oldest_ms) / 1000
    counts = served_by, depth.suspects, depth.declined, depth.limited
    return StreamStats(depth.queue, label(depth.priority), depth.queued, depth.running, age, *counts)


def _failed_attempt(error: AttemptError) -> FailedAttempt:
    return FailedAttempt(
        error.attempt, rfc3339(error.at_ms), error.type, error.message, error.node, error.trace, error.revival
    )


def stored_json(stored: bytes) -> msgspec.Raw:
    """As stored; what a damaged record holds instead of JSON is shown as a text, or nobody could read the answer."""
    try:
        _check(stored.decode() or "null")
        return msgspec.Raw(stored or b"null")
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return msgspec.Raw(msgspec.json.encode(stored.decode(errors="replace")))


def rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def tick_answer(tick: JobTick | None) -> JobTickAnswer | None:
    """Of a job or a workflow that is from a schedule."""
    return None if tick is None else JobTickAnswer(tick.schedule, rfc3339(tick.at_ms))


def optional_rfc3339(ms: int | None) -> str | None:
    return rfc3339(ms) if ms else None
