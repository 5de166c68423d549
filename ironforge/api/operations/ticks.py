"""The operations on the ticks of a schedule: those to come, those that were, and what it starts out of turn."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from aiohttp import web

from ironforge.api.operations.schedules import name_in, note_queue
from ironforge.api.parsing.large_bodies import LARGE_BODIES
from ironforge.api.responses import answer
from ironforge.api.routes import TARGETS, operation
from ironforge.api.schemas.schedule_views import backfilled_tick, next_tick, past_tick, trigger_answer, zone_of
from ironforge.api.schemas.schedules import (
    MAX_NEXT,
    MAX_PER_SECOND,
    MIN_PER_SECOND,
    BackfillAnswer,
    BackfillRequest,
    HistoryAnswer,
    HistoryQuery,
    NextAnswer,
    NextQuery,
    TriggerAnswer,
)
from ironforge.api.scope import RequestScope
from ironforge.errors import InvalidJob
from ironforge.formats.timestamps import now_ms
from ironforge.job.checks import check_duration, check_moment, check_whole
from ironforge.schedules.checks import check_in_range
from ironforge.schedules.ticks import looked_for, ticks
from ironforge.store.schedules.contract import readable


@operation("get", "/schedules/{schedule}/next", access="jobs:read", answers={200: NextAnswer}, refusals=(404, 409))
async def list_next_ticks(request: web.Request, scope: RequestScope, query: NextQuery) -> web.Response:
    """When a schedule ticks next, whether it is paused or not."""
    check_whole("n", query.n, 1, MAX_NEXT)
    after_ms = now_ms() if query.after is None else round(_moment("after", query.after).timestamp() * 1000)
    name = name_in(request)
    stored = readable(await scope.schedules.get(name))
    # Of a line that seldom fires this takes a while.
    found = partial(looked_for, ticks(stored.schedule, after_ms), query.n)
    those, is_whole = await request.app[LARGE_BODIES].in_thread(found)
    return answer(NextAnswer([next_tick(name, stored, tick) for tick in those], not is_whole))


@operation("get", "/schedules/{schedule}/history", access="jobs:read", answers={200: HistoryAnswer}, refusals=(404,))
async def list_past_ticks(request: web.Request, scope: RequestScope, query: HistoryQuery) -> web.Response:
    """What became of the ticks of a schedule, the latest first."""
    name, cursors = name_in(request), scope.services.cursors
    purpose = ("history", scope.caller.queue_names, name)
    last = cursors.open(query.cursor, *purpose)
    in_zone = zone_of(await scope.schedules.get(name))
    rows = [past_tick(past, in_zone) for past in await scope.schedules.history(name)]
    places = [f"{row.at} {row.outcome} {row.reason} {row.job_id or row.workflow_id}" for row in rows]
    # What fell out of the history meanwhile was at its end.
    start = 0 if last is None else places.index(last) + 1 if last in places else len(rows)
    following = start + query.limit
    seal = cursors.seal(places[following - 1] if following < len(rows) else None, *purpose)
    return answer(HistoryAnswer(rows[start:following], seal))


@operation(
    "post",
    "/schedules/{schedule}/trigger",
    access="schedules:admin",
    answers={200: TriggerAnswer},
    refusals=(404, 409, 422, 429),
    audited=True,
)
async def trigger_schedule(request: web.Request, scope: RequestScope) -> web.Response:
    """Start the job or workflow of a schedule now, as a tick would."""
    name = name_in(request)
    note_queue(request, scope, await scope.schedules.get(name))
    return answer(trigger_answer(await scope.schedules.trigger(name)))


@operation(
    "post",
    "/schedules/{schedule}/backfill",
    access="schedules:admin",
    answers={200: BackfillAnswer},
    refusals=(404, 409, 422, 429),
    example={"from": "2030-01-01T00:00:00Z", "to": "2030-01-08T00:00:00Z", "per_second": 2, "dry_run": True},
    audited=True,
)
async def backfill_schedule(request: web.Request, scope: RequestScope, body: BackfillRequest) -> web.Response:
    """Start a job or a workflow for each tick of a schedule in a time that is over, or to come."""
    name, start, end = name_in(request), _moment("from", body.start), _moment("to", body.end)
    check_duration("per_second", body.per_second, MIN_PER_SECOND, MAX_PER_SECOND)
    if end <= start:
        hint = "give a later one"
        message = f"to {end.isoformat()} is not after from, {start.isoformat()}: {hint}"
        raise InvalidJob(message, code="out_of_range", field="to", hint=hint)
    view = await scope.schedules.get(name)
    note_queue(request, scope, view)
    found = await scope.schedules.backfill(name, start, end, per_second=body.per_second, dry_run=body.dry_run)
    if body.dry_run:
        request[TARGETS] = []
    in_zone = zone_of(view)
    is_workflow = view.stored is not None and view.stored.schedule.workflow is not None
    shown = [
        backfilled_tick(at_ms, None if body.dry_run else started, is_workflow, in_zone) for at_ms, started in found
    ]
    return answer(BackfillAnswer(body.dry_run, shown))


def _moment(field: str, text: str) -> datetime:
    """Raises InvalidJob."""
    return check_in_range(field, check_moment(field, text))
