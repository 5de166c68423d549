"""Schedules that an application defines, of its own handlers or of kinds that others run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

from ironforge.errors import ConfigError, InvalidJob, UnknownKind
from ironforge.handlers.extensions import Extensions, Function
from ironforge.handlers.names import name_of
from ironforge.schedules.checks import check_schedule_name
from ironforge.schedules.definition import Schedule
from ironforge.schedules.keywords import JobStart, PolicyKeywords, ScheduleKeywords, Start, schedule_of, start_of
from ironforge.store import Submission
from ironforge.workflows.definition import Workflow


class Scheduling(Extensions):
    def __init__(self) -> None:
        super().__init__()
        self._schedules: dict[str, Schedule] = {}

    def cron(
        self, *lines: str, name: str | None = None, payload: object = None, **given: Unpack[PolicyKeywords]
    ) -> Callable[[Function], Function]:
        """Have a handler run at the times that these lines name, as `schedule` does. It stands above `@forge.job`, also
        several times. `name`: of the schedule; None: that of the kind. Raises ConfigError for anything wrong.
        """
        if wrong := [line for line in lines if not isinstance(line, str)]:
            raise ConfigError(f'@forge.cron takes cron lines, not {wrong[0]!r}: write @forge.cron("0 9 * * *")')

        def register(function: Function) -> Function:
            place = f"@forge.cron above the @forge.job of {name_of(function)}"
            self._define(place, name, lambda: self._job(function, payload), {"cron": lines, **given})
            return function

        return register

    def schedule(
        self,
        name: str,
        kind: str | Callable[..., Any] | None = None,
        payload: object = None,
        /,
        *,
        workflow: Workflow | Mapping[str, Any] | None = None,
        **given: Unpack[ScheduleKeywords],
    ) -> None:
        """Define a schedule, which nodes announce as they start. It submits a job of this kind, or of this handler,
        with the options of `submit`, or instead a workflow, as `dag` makes it or as HTTP takes it: by `cron`, a line or
        several, or every `every_seconds`. Raises ConfigError for anything wrong, with the field.
        """

        def start() -> Start:
            if kind is not None and workflow is None:
                return self._job(kind, payload)
            return start_of(None if kind is None else str(kind), payload, workflow)

        self._define(f"schedule {name!r}", name, start, given)

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """By name, in the order of their definition."""
        return self._schedules

    def prepare(self, kind: str | Callable[..., Any], payload: object = None, /) -> Submission:
        raise NotImplementedError

    def _job(self, kind: str | Callable[..., Any], payload: object) -> JobStart:
        job = self.prepare(kind, payload).job
        return JobStart(job.kind, job.payload)

    def _define(self, place: str, name: str | None, start: Callable[[], Start], given: Mapping[str, Any]) -> None:
        self._check_open(place)
        try:
            started = start()
            name = check_schedule_name(started.kind if name is None and isinstance(started, JobStart) else name or "")
            made = schedule_of(started, given)
        except (InvalidJob, UnknownKind) as error:
            raise ConfigError(f"{place}: {error}") from None
        if name in self._schedules:
            raise ConfigError(f"{place}: schedule {name!r} is defined twice: give one of them another name")
        self._schedules[name] = made
