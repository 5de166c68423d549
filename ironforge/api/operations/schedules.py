"""The operations on schedules: what they say, and whether they tick."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import partial
from typing import Final

import msgspec
from aiohttp import hdrs, web

from ironforge.api.parsing import bodies
from ironforge.api.parsing.large_bodies import LARGE_BODIES
from ironforge.api.problems import ApiProblem
from ironforge.api.responses import answer
from ironforge.api.routes import QUEUES, TARGETS, Content, operation
from ironforge.api.schemas.schedule_views import schedule_answer
from ironforge.api.schemas.schedules import (
    AppliedAnswer,
    ApplyParts,
    ApplyQuery,
    ApplyRequest,
    DeletedSchedule,
    PauseRequest,
    ScheduleAnswer,
    SchedulePage,
    SchedulesQuery,
    SourceQuery,
    WarningAnswer,
)
from ironforge.api.scope import RequestScope
from ironforge.auth.caller import MAX_QUEUES
from ironforge.errors import InvalidJob
from ironforge.formats.numbers import shown
from ironforge.formats.timestamps import now_ms
from ironforge.job.checks import check_name, check_note, check_until
from ironforge.job.mismatch import within
from ironforge.job.options import JobOptions
from ironforge.schedules.checks import check_schedule_name
from ironforge.schedules.decoding import decode_schedule
from ironforge.schedules.definition import Schedule
from ironforge.schedules.errors import ScheduleNotFound
from ironforge.store.schedules.contract import CODE, ScheduleView, jobs_of, queues_of

# How many are looked at for one page of those of one source.
_MOST_LOOKED_AT: Final = 5_000
_EXAMPLE: Final = {
    "cron": ["0 8,9 * * 1-5"],
    "timezone": "Europe/Berlin",
    "job": {"kind": "report.build", "payload": {"month": "2030-01"}},
}
_ETAG: Final = {"headers": {"ETag": {"schema": {"type": "string"}, "description": "`etag`, in quotes"}}}


@operation("get", "/schedules", access="jobs:read", answers={200: SchedulePage})
async def list_schedules(_request: web.Request, scope: RequestScope, query: SchedulesQuery) -> web.Response:
    """List the schedules."""
    cursors, source = scope.services.cursors, None if query.source is msgspec.UNSET else query.source
    purpose = ("schedules", scope.caller.queue_names, source)
    last = cursors.open(query.cursor, *purpose)
    names = await scope.schedules.names()
    start = 0 if last is None else bisect_right(names, last)
    found: list[ScheduleView] = []
    most = min(len(names), start + _MOST_LOOKED_AT)
    while start < most and len(found) < query.limit:
        views = await scope.schedules.views(names[start : start + query.limit])
        start += query.limit
        found += [view for view in views if source is None or (view.stored and view.stored.source) == source]
    page = found[: query.limit]
    last = page[-1].name if len(found) > query.limit else names[start - 1] if start < len(names) else None
    return answer(SchedulePage([shown_schedule(scope, view) for view in page], cursors.seal(last, *purpose)))


@operation(
    "put",
    "/schedules",
    access="schedules:admin",
    answers={200: AppliedAnswer},
    refusals=(409, 422, 429),
    body={bodies.JSON: Content(ApplyRequest, {"example": {"schedules": {"report.nightly": _EXAMPLE}}})},
    audited=True,
    most_bytes=bodies.MAX_BATCH_BYTES,
)
async def apply_schedules(
    request: web.Request, scope: RequestScope, query: ApplyQuery, body: ApplyParts
) -> web.Response:
    """Have these and no others be the schedules of a source."""
    if not query.source:
        hint = "name what owns them, such as the file that they stand in"
        raise ApiProblem("invalid_parameter", f"source is empty: {hint}", field="source", hint=hint)
    source, by = _checked_source(query.source), scope.caller.identity
    wanted = await request.app[LARGE_BODIES].in_thread(partial(_schedules_in, body))
    done = await scope.schedules.apply(source, wanted, by=by, dry_run=query.dry_run)
    request[TARGETS] = [] if query.dry_run else [*done.created, *done.changed, *done.deleted]
    warnings = [
        msgspec.structs.replace(warning, field=f"schedules.{name}.{warning.field}")
        for name, schedule in wanted.items()
        for warning in _warnings(scope, schedule)
    ]
    return answer(AppliedAnswer(*done, warnings))


@operation(
    "get",
    "/schedules/{schedule}",
    access="jobs:read",
    answers={200: ScheduleAnswer},
    refusals=(404,),
    describes=_ETAG,
)
async def get_schedule(request: web.Request, scope: RequestScope) -> web.Response:
    """Look up a schedule."""
    return _stands(request, scope, await scope.schedules.get(name_in(request)))


@operation(
    "put",
    "/schedules/{schedule}",
    access="schedules:admin",
    answers={200: ScheduleAnswer, 201: ScheduleAnswer},
    refusals=(409, 422, 429),
    example=_EXAMPLE,
    audited=True,
    conditional=True,
    most_bytes=bodies.MAX_BODY_BYTES,
    decode=decode_schedule,
    describes=_ETAG,
)
async def put_schedule(request: web.Request, scope: RequestScope, query: SourceQuery, body: Schedule) -> web.Response:
    """Define a schedule, or define it anew."""
    name, source = name_in(request), _checked_source(query.source)
    try:
        before = (await scope.schedules.get(name)).etag
    except ScheduleNotFound:
        before = ""
    expected = _expected(request, before)
    view = await scope.schedules.put(name, body, source=source, by=scope.caller.identity, expected=expected)
    return _stands(request, scope, view, 200 if before else 201)


@operation(
    "delete",
    "/schedules/{schedule}",
    access="schedules:admin",
    answers={200: DeletedSchedule},
    refusals=(404, 409),
    audited=True,
    conditional=True,
)
async def delete_schedule(request: web.Request, scope: RequestScope) -> web.Response:
    """Delete a schedule, with its history."""
    name = name_in(request)
    before = await scope.schedules.get(name)
    note_queue(request, scope, before)
    await scope.schedules.delete(name, expected=_expected(request, before.etag))
    warnings = []
    if before.stored is not None and before.stored.source == CODE:
        detail = (
            f"the next node that starts with schedule {name} in its code makes it anew: pause it, or take it out there"
        )
        warnings.append(WarningAnswer("defined_in_code", "source", detail))
    return answer(DeletedSchedule(name, deleted=True, warnings=warnings))


@operation(
    "post",
    "/schedules/{schedule}/pause",
    access="schedules:admin",
    answers={200: ScheduleAnswer},
    refusals=(404, 409),
    example={"note": "their database is slow", "until": "2030-01-31T12:00:00Z"},
    audited=True,
    describes=_ETAG,
)
async def pause_schedule(request: web.Request, scope: RequestScope, body: PauseRequest) -> web.Response:
    """Skip the ticks of a schedule."""
    until_ms = 0 if body.until is None else check_until("until", body.until)
    note, by = check_note(body.note), scope.caller.identity
    return _stands(request, scope, await scope.schedules.pause(name_in(request), note, by=by, until_ms=until_ms))


@operation(
    "post",
    "/schedules/{schedule}/resume",
    access="schedules:admin",
    answers={200: ScheduleAnswer},
    refusals=(404, 409),
    audited=True,
    describes=_ETAG,
)
async def resume_schedule(request: web.Request, scope: RequestScope) -> web.Response:
    """Let a paused schedule tick again."""
    return _stands(request, scope, await scope.schedules.resume(name_in(request)))


def name_in(request: web.Request) -> str:
    """Raises InvalidJob."""
    return check_schedule_name(request.match_info["schedule"])


def _schedules_in(body: ApplyParts) -> dict[str, Schedule]:
    """Raises InvalidJob."""
    found = {}
    for name, text in body.schedules.items():
        try:
            found[name] = decode_schedule(text)
        except InvalidJob as error:
            raise within(f"schedules.{name}", error) from None
    return found


def _checked_source(source: str) -> str:
    """Raises InvalidJob."""
    if source == CODE:
        hint = "give another one, or none"
        raise ApiProblem("invalid_parameter", f"source {CODE} is that of handlers: {hint}", field="source", hint=hint)
    return source and check_name("source", source, "invalid_parameter")


def _expected(request: web.Request, before: str) -> str | None:
    """What the store is to expect by the conditions of the request, of a schedule whose ETag is `before` (empty: there
    is none). None: there are no conditions."""
    if hdrs.IF_NONE_MATCH in request.headers:
        if hdrs.IF_MATCH in request.headers or request.headers[hdrs.IF_NONE_MATCH] != "*":
            hint = "give If-None-Match: * for one that is not there yet, or If-Match with the ETag that it has"
            raise ApiProblem("invalid_parameter", f"If-None-Match: {hint}", field="If-None-Match", hint=hint)
        return ""
    if hdrs.IF_MATCH not in request.headers:
        return None
    tags = [tag.strip() for text in request.headers.getall(hdrs.IF_MATCH) for tag in text.split(",")]
    return before if before and {"*", f'"{before}"'} & {*tags} else tags[0] or "none"


def note_queue(request: web.Request, scope: RequestScope, view: ScheduleView) -> None:
    """For the audit trail: where its jobs go; of more queues than a key may have, none."""
    if view.stored is not None:
        queues = queues_of(view.stored.schedule, scope.services.kinds.known)
        request[QUEUES] = queues if len(queues) <= MAX_QUEUES else ()


def _stands(request: web.Request, scope: RequestScope, view: ScheduleView, status: int = 200) -> web.Response:
    note_queue(request, scope, view)
    return answer(shown_schedule(scope, view), status, ETag=f'"{view.etag}"')


def shown_schedule(scope: RequestScope, view: ScheduleView) -> ScheduleAnswer:
    """As it stands, with what may not be as it was meant."""
    return schedule_answer(view, list(_warnings(scope, view.stored.schedule)) if view.stored else [])


def _warnings(scope: RequestScope, schedule: Schedule) -> Iterator[WarningAnswer]:
    kinds = scope.services.kinds
    for kind, queue, field in jobs_of(schedule, kinds.known):
        if not kinds.is_served(kind, queue):
            detail = f"no node runs kind {kind} and takes jobs from queue {queue} now: start one, or they wait for it"
            yield WarningAnswer("kind_not_served", field, detail)
    kept = _kept_seconds(scope, schedule)
    window = schedule.catch_up.window_seconds
    if schedule.catch_up.policy != "none" and window > kept:
        detail = (
            f"a tick may be {shown(window)} s late, and an ended job can be looked up for {shown(kept)} s: what became "
            "of a late one may be gone before you look; give a shorter window, or retain_seconds"
        )
        yield WarningAnswer("window_beyond_retention", "catch_up.window_seconds", detail)
    if schedule.catch_up.policy == "all" and schedule.overlap not in ("queue_all", "allow"):
        detail = (
            f"late ticks fire together, so with overlap {schedule.overlap} few of their jobs run: give queue_all, "
            "which runs one after the other, or allow"
        )
        yield WarningAnswer("late_ticks_overlap", "overlap", detail)
    if schedule.end is not None and schedule.end.timestamp() * 1000 <= now_ms():
        yield WarningAnswer("ended", "end", f"it ticks no more, as its end {schedule.end.isoformat()} is over")


def _kept_seconds(scope: RequestScope, schedule: Schedule) -> float:
    """How long what it starts can be looked up once that has ended."""
    options: JobOptions | None = schedule.job
    fixed = None
    if schedule.workflow is not None:
        options = schedule.workflow.options
    elif schedule.job is not None and (known := scope.services.kinds.known(schedule.job.kind)):
        fixed = known.definition.defaults.get("retain_seconds")
    said = None if options is None else options.retain_seconds
    return next(each for each in (said, fixed, scope.services.retention_seconds) if each is not None)
