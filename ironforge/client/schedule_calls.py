"""The calls of the Python client that are about schedules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, Unpack

import msgspec

from ironforge.client.limit_calls import JSON, Answer, LimitCalls
from ironforge.job.json_values import encode
from ironforge.job.options import in_words_of_json
from ironforge.schedules.checks import check_schedule_name
from ironforge.schedules.keywords import ScheduleKeywords, body_of, start_of
from ironforge.workflows.definition import Workflow


class ScheduleCalls(LimitCalls[Answer], Generic[Answer]):
    """Whatever way they are run."""

    def schedules(self, source: str | None = None, *, limit: int | None = None, cursor: str | None = None) -> Answer:
        """One page, `{"schedules", "next"}`, each as `schedule` shows it; of one source, or of all."""
        query = {"source": source, "limit": limit, "cursor": cursor}
        return self._answer(self._http.call("GET", "/schedules", query=query))

    def schedule(self, name: str) -> Answer:
        """`{"name", "schedule", "words", "source", "by", "paused", "next_at", "etag", "warnings", …}`. Raises
        ScheduleNotFound."""
        return self._answer(self._http.call("GET", _path(name)))

    def put_schedule(
        self,
        name: str,
        *,
        kind: str | None = None,
        payload: object = None,
        workflow: Workflow | Mapping[str, Any] | None = None,
        source: str = "",
        etag: str | None = None,
        **given: Unpack[ScheduleKeywords],
    ) -> Answer:
        """Define a schedule, or define it anew: when it ticks, and the job or the workflow that it submits then. As
        `schedule`. `workflow`: instead of a kind, as `submit_workflow` takes it.

        `etag`: that of the schedule as it was seen; "": there must be none yet. Raises InvalidJob for one that is not
        right, ScheduleChanged, ScheduleConflict for one of another source, SerializationError before anything is sent.
        """
        body = body_of(start_of(kind, payload, workflow), given)
        query, headers = {"source": source or None}, {**JSON, **_condition(etag)}
        return self._answer(self._http.call("PUT", _path(name), query=query, body=body, headers=headers))

    def apply_schedules(
        self, source: str, schedules: Mapping[str, Mapping[str, Any]], *, dry_run: bool = False
    ) -> Answer:
        """`{"created", "changed", "unchanged", "deleted", "warnings"}`, names each: has these, by name as the API takes
        them, and no others be the schedules of the source. Raises as `put_schedule` does, then nothing is changed."""
        body = encode({"schedules": schedules}, "body")
        query = {"source": source, "dry_run": "true" if dry_run else None}
        return self._answer(self._http.call("PUT", "/schedules", query=query, body=body, headers=JSON))

    def delete_schedule(self, name: str, *, etag: str | None = None) -> Answer:
        """`{"name", "deleted"}`: what it started goes on. Raises ScheduleNotFound, ScheduleChanged."""
        return self._answer(self._http.call("DELETE", _path(name), headers=_condition(etag)))

    def next_ticks(self, name: str, n: int = 10, *, after: datetime | str | None = None) -> Answer:
        """`{"next": [{"at", "local", "note"}]}`: when it ticks after that moment, or from now on. Raises
        ScheduleNotFound."""
        query = {"n": n, "after": in_words_of_json(after)}
        return self._answer(self._http.call("GET", f"{_path(name)}/next", query=query))

    def schedule_history(self, name: str, *, limit: int | None = None, cursor: str | None = None) -> Answer:
        """One page, `{"ticks", "next"}`, of what became of its ticks, the latest first. Raises ScheduleNotFound."""
        query = {"limit": limit, "cursor": cursor}
        return self._answer(self._http.call("GET", f"{_path(name)}/history", query=query))

    def pause_schedule(self, name: str, note: str = "", until: datetime | str | None = None) -> Answer:
        """Its ticks are skipped until then, or until it is resumed. As `schedule` shows it. Raises ScheduleNotFound."""
        body = msgspec.json.encode({"note": note, "until": in_words_of_json(until)})
        return self._answer(self._http.call("POST", f"{_path(name)}/pause", body=body, headers=JSON))

    def resume_schedule(self, name: str) -> Answer:
        """It ticks again. As `schedule` shows it. Raises ScheduleNotFound."""
        return self._answer(self._http.call("POST", f"{_path(name)}/resume"))

    def trigger_schedule(self, name: str) -> Answer:
        """`{"outcome", "reason", "job_id", "workflow_id"}`: its job or workflow starts now, as at a tick. Raises
        ScheduleNotFound and what submitting it raises."""
        return self._answer(self._http.call("POST", f"{_path(name)}/trigger"))

    def backfill_schedule(
        self,
        name: str,
        start: datetime | str,
        end: datetime | str,
        *,
        per_second: float = 1.0,
        dry_run: bool = False,
    ) -> Answer:
        """`{"dry_run", "ticks": [{"at", "job_id", "workflow_id"}]}`: its job or workflow starts for each of its ticks
        from `start` on and before `end`, so many a second. Raises ScheduleNotFound and what these submissions raise."""
        times = {"from": in_words_of_json(start), "to": in_words_of_json(end)}
        body = encode({**times, "per_second": per_second, "dry_run": dry_run}, "backfill")
        return self._answer(self._http.call("POST", f"{_path(name)}/backfill", body=body, headers=JSON))


def _path(name: str) -> str:
    """Checked here, because what is no name could become another path."""
    return f"/schedules/{check_schedule_name(name)}"


def _condition(etag: str | None) -> dict[str, str]:
    if etag is None:
        return {}
    return {"If-Match": f'"{etag}"'} if etag else {"If-None-Match": "*"}
