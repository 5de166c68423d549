"""Schedules that an application defines, of its own handlers or of kinds that others run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

from ironforge.errors import ConfigError, InvalidJob, UnknownKind
from ironforge.handlers.extensions import Extensions, Function
from ironforge.handlers.names import name_of
from ironforge.schedules.checks import check_schedule_name
from ironforge.schedules.definition import Schedule
from ironforge.schedules.keywords import PolicyKeywords, ScheduleKeywords, schedule_of
from ironforge.store import Submission


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
            self._define(place, name, function, payload, {"cron": lines, **given})
            return function

        return register

    def schedule(
        self,
        name: str,
        kind: str | Callable[..., Any],
        payload: object = None,
        /,
        **given: Unpack[ScheduleKeywords],
    ) -> None:
        """Define a schedule, which nodes announce as they start. It submits a job of this kind, or of this handler, by
        `cron`, a line or several, or every `every_seconds`; with the options of `submit`. Raises ConfigError for
        anything wrong, with the field.
        """
        self._define(f"schedule {name!r}", name, kind, payload, given)

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """By name, in the order of their definition."""
        return self._schedules

    def prepare(self, kind: str | Callable[..., Any], payload: object = None, /) -> Submission:
        raise NotImplementedError

    def _define(
        self, place: str, name: str | None, kind: str | Callable[..., Any], payload: object, given: Mapping[str, Any]
    ) -> None:
        self._check_open(place)
        try:
            job = self.prepare(kind, payload).job
            name = check_schedule_name(job.kind if name is None else name)
            made = schedule_of(job.kind, job.payload, given)
        except (InvalidJob, UnknownKind) as error:
            raise ConfigError(f"{place}: {error}") from None
        if name in self._schedules:
            raise ConfigError(f"{place}: schedule {name!r} is defined twice: give one of them another name")
        self._schedules[name] = made
