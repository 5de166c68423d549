"""What an application's nodes announce of its kinds, limits and schedules."""

from __future__ import annotations

from ironforge.errors import ConfigError, InvalidPayload
from ironforge.handlers.forge import Forge, Handler
from ironforge.job.definition import MAX_KINDS, Announcement, decode_definition
from ironforge.job.options import KindOptions
from ironforge.logs.setup import get_logger
from ironforge.schedules.definition import Schedule
from ironforge.schedules.in_code import announcement_of
from ironforge.settings import environment_name
from ironforge.workflows.definition import NodeOptions
from ironforge.workflows.graph import graph_of
from ironforge.workflows.jobs import MAP_KIND, NodeJob, jobs_of

_log = get_logger("ironforge.handlers")


def announcements_of(forge: Forge, version: str) -> list[Announcement]:
    """Of its kinds, and of the one that every node runs. `version`: the application's. Raises ConfigError when there
    are too many kinds, or jobs are to stay with a version and there is none."""
    if len(forge.kinds) > MAX_KINDS:
        raise ConfigError(
            f"this application registers {len(forge.kinds)} kinds, and a node announces {MAX_KINDS} at most: "
            "use one kind for jobs that the same handler runs, and tell them apart by their payloads"
        )
    handlers = [forge.handler(kind) for kind in forge.kinds]
    if not version and (staying := [each.kind for each in handlers if each.version_policy == "same"]):
        raise ConfigError(
            f"jobs of kind {staying[0]!r} stay with the version of the application that began them, and there is none: "
            f"set {environment_name('app_version')}"
        )
    own = Announcement.of(MAP_KIND, "", KindOptions(), None)
    return [*(_announcement(each, version) for each in handlers), own]


def limits_of(forge: Forge) -> list[Announcement]:
    return [Announcement.of_limit(name, limit) for name, limit in forge.limits.items()]


def schedules_of(forge: Forge) -> list[Announcement]:
    """Raises ConfigError for a payload that its handler refuses, which may have been registered after the schedule."""
    for name, schedule in forge.schedules.items():
        for job in _known_jobs(schedule):
            if job.kind not in forge.kinds:
                continue
            try:
                forge.handler(job.kind).binder.bind(job.payload)
            except InvalidPayload as error:
                raise ConfigError(f"schedule {name!r}: {error}") from None
    return [announcement_of(name, schedule, forge.kinds) for name, schedule in forge.schedules.items()]


def _known_jobs(schedule: Schedule) -> list[NodeJob]:
    """Those whose payload is known as it stands."""
    if schedule.job is not None:
        return [NodeJob(schedule.job.kind, bytes(schedule.job.payload), NodeOptions(), ())]
    if schedule.workflow is None:
        return []
    return [
        job
        for job in jobs_of(schedule.workflow, graph_of(schedule.workflow))
        if not job.references and job.kind != MAP_KIND
    ]


def _announcement(handler: Handler, version: str) -> Announcement:
    schema = handler.payload_schema()
    made = Announcement.of(handler.kind, version, handler.options, schema, handler.version_policy)
    if schema is not None and decode_definition(made.definition).schema is None:
        _log.warning("the schema of a payload is too large to announce: doors do not check it", kind=handler.kind)
    return made
