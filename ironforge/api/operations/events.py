"""The operations on events, which jobs wait for."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from ironforge.api.parsing import bodies
from ironforge.api.problems import ApiProblem
from ironforge.api.responses import answer
from ironforge.api.routes import TARGETS, operation
from ironforge.api.schemas.events import EventAnswer, EventRequest, SentEvent
from ironforge.api.schemas.views import rfc3339, stored_json
from ironforge.api.scope import RequestScope
from ironforge.job.checks import check_event_name, check_event_payload, check_keep
from ironforge.steps.errors import EventNotFound

_PATH: Final = "/events/{event}"


@operation(
    "post",
    _PATH,
    access="events:send",
    answers={200: SentEvent, 201: SentEvent},
    refusals=(429,),
    example={"payload": {"by": "ada"}, "keep_seconds": 86_400},
    audited=True,
    most_bytes=bodies.MAX_BODY_BYTES,
)
async def send_event(request: web.Request, scope: RequestScope, body: EventRequest) -> web.Response:
    """Send an event: jobs that wait for it go on."""
    name = _name(request)
    keep_ms, payload = check_keep(body.keep_seconds), check_event_payload(bytes(body.payload))
    first = await scope.events.send(name, payload, keep_ms)
    if not first:
        request[TARGETS] = []  # nothing was done
    return answer(SentEvent(name, first), 201 if first else 200)


@operation("get", _PATH, access="jobs:read", answers={200: EventAnswer}, refusals=(404,))
async def get_event(request: web.Request, scope: RequestScope) -> web.Response:
    """Look up an event."""
    name = _name(request)
    event = await scope.events.get(name)
    if event is None:
        raise EventNotFound(f"there is no event {name}: it was not sent, or it is not kept any more")
    return answer(EventAnswer(name, stored_json(event.payload), rfc3339(event.until_ms)))


def _name(request: web.Request) -> str:
    if request.rel_url.raw_path.count("/") > _PATH.count("/"):
        hint = "write %2F for each / in the name"
        raise ApiProblem(
            "invalid_event", f"the path goes on behind the name of the event: {hint}", field="name", hint=hint
        )
    return check_event_name(request.match_info["event"])
