"""Why jobs that wait could not be run by the application as it is now, and how that is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from ironforge.doctor.finding import Finding, Level
from ironforge.errors import InvalidPayload
from ironforge.formats.numbers import counted
from ironforge.handlers.forge import Forge
from ironforge.job.record import Job
from ironforge.settings import Settings
from ironforge.workflows.jobs import MAP_KIND, MapPayload

EXAMPLES: Final = 3


class Problem(NamedTuple):
    """The same for jobs alike: what is wrong, and what to do. `level`: None as the state of the jobs says."""

    what: str
    fix: str
    level: Level | None = None


class Tally:
    """How many have which problem, with some of them."""

    def __init__(self) -> None:
        self._counts: dict[Problem, int] = {}
        self._examples: dict[Problem, list[str]] = {}

    def note(self, problem: Problem, example: str) -> None:
        self._counts[problem] = self._counts.get(problem, 0) + 1
        shown = self._examples.setdefault(problem, [])
        if len(shown) < EXAMPLES:
            shown.append(example)

    def findings(self, noun: str, level: Level) -> list[Finding]:
        """`level`: where a problem has none of its own."""
        return [
            Finding(
                problem.level or level,
                "deploy",
                f"{counted(count, noun)} {problem.what}: {'; '.join(self._examples[problem])}",
                problem.fix,
            )
            for problem, count in self._counts.items()
        ]


def problems_of(job: Job, forge: Forge, settings: Settings) -> Iterator[tuple[Problem, str]]:
    """What is wrong, and what this job adds to it."""
    job, is_payload_known = _as_it_runs(job)
    if settings.queues and job.queue not in settings.queues:
        what = f"of queue {job.queue!r}, which --queues does not name"
        yield Problem(what, "name all queues that nodes serve after the roll-out: --queues first,second"), ""
    if job.kind not in forge.kinds:
        what = f"of kind {job.kind!r}, which this application does not have"
        yield Problem(what, "keep its handler, or a node of the old version, until these have run; or cancel them"), ""
        return
    if forge.handler(job.kind).version_policy == "same" and job.app_version not in ("", settings.app_version):
        what = f"of kind {job.kind!r}, begun by version {job.app_version} of the application, which they stay with"
        fix = "keep a node of that version until these have run, or let any version take those that wait: "
        fix += f"ironforge kinds release {job.kind} --version {job.app_version}"
        yield Problem(what, fix, "warn"), ""
    try:
        if is_payload_known:
            forge.handler(job.kind).binder.bind(job.payload)
    except InvalidPayload as error:
        what = f"of kind {job.kind!r} with a payload that its handler refuses"
        fix = "have the handler take such payloads, too, until these have run: give new fields a default"
        yield Problem(what, fix), f" ({str(error)[:200]})"


def _as_it_runs(job: Job) -> tuple[Job, bool]:
    """What an application has to have, and whether what its handler gets is known by now: of a map, which any node
    runs, that of its items; results are put into the payload of a node where it runs."""
    if job.kind == MAP_KIND:
        try:
            return msgspec.structs.replace(job, kind=msgspec.json.decode(job.payload, type=MapPayload).kind), False
        except msgspec.MsgspecError:
            return job, False
    return job, job.parent is None or not job.parent.sources
