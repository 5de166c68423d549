"""The calls of the Python client that are about events."""

from __future__ import annotations

from typing import Generic
from urllib.parse import quote

from ironforge.client.limit_calls import JSON, Answer
from ironforge.client.schedule_calls import ScheduleCalls
from ironforge.formats.duration import Duration
from ironforge.job.checks import KEEP_SECONDS, check_event_name, check_event_payload, check_keep
from ironforge.job.json_values import encode


class EventCalls(ScheduleCalls[Answer], Generic[Answer]):
    """Whatever way they are run."""

    def send_event(self, name: str, payload: object = None, *, keep_seconds: Duration = KEEP_SECONDS) -> Answer:
        """`{"name", "first"}`: jobs that wait for it go on, also those that come to wait within `keep_seconds`. `first`
        false: there is an event of this name, which stays, and this one was not taken. Raises InvalidJob,
        SerializationError before anything is sent."""
        body = b'{"payload":%b,"keep_seconds":%b}' % (
            check_event_payload(encode(payload, "payload")),
            encode(check_keep(keep_seconds) / 1000, "keep_seconds"),
        )
        return self._answer(self._http.call("POST", _path(name), body=body, headers=JSON))

    def event(self, name: str) -> Answer:
        """`{"name", "payload", "kept_until"}`. Raises EventNotFound."""
        return self._answer(self._http.call("GET", _path(name)))


def _path(name: str) -> str:
    """Checked here, because what is no name could become another path."""
    return f"/events/{quote(check_event_name(name), safe='')}"
