"""What a roll-out would leave lying: waiting jobs that the application, as it is now, could not run, and schedules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ironforge.doctor.finding import Finding, Level
from ironforge.errors import ConfigError, InvalidPayload, StoreError
from ironforge.formats.numbers import counted
from ironforge.handlers.forge import Forge
from ironforge.job.record import Job, JobState, format_id
from ironforge.settings import Settings
from ironforge.settings.namespaces import of_namespace, shares_of
from ironforge.store import StoreClient
from ironforge.store.contract import Inspector, JobFilter
from ironforge.store.schedules.contract import CODE, Schedules, ScheduleView
from ironforge.store.server_checks import check_shards

# Of each state in each namespace: the answer must come while an operator waits.
JOBS_READ: Final = 20_000
PAGE: Final = 500
SCHEDULES_READ: Final = 100_000
EXAMPLES: Final = 3
# The dead are told of, for they may be retried; they hold up no roll-out.
_STATES: Final[dict[JobState, Level]] = {
    JobState.QUEUED: "fail",
    JobState.SCHEDULED: "fail",
    JobState.WAITING: "fail",
    JobState.DEAD: "warn",
}


class Problem(NamedTuple):
    """The same for jobs alike: what is wrong, and what to do. `level`: None as the state of the jobs says."""

    what: str
    fix: str
    level: Level | None = None


async def examine_deploy(forge: Forge, settings: Settings) -> list[Finding]:
    """Of each namespace: waiting jobs that nodes of `forge` with these settings would not run, by what is wrong, and
    schedules that would not be as its code says."""
    findings: list[Finding] = []
    shares = shares_of(settings)
    try:
        await check_shards(settings)
    except ConfigError as error:  # there jobs would be looked for where none are
        return [Finding("fail", "settings", str(error))]
    except StoreError as error:
        return [Finding("fail", "server", str(error))]
    for share in shares:
        own = of_namespace(settings, share.namespace)
        store_client = StoreClient(own)
        try:
            found = [each for state in _STATES for each in await _of_state(store_client.inspector, state, forge, own)]
            found += await _of_schedules(store_client.schedules, forge)
            several = len(shares) > 1
            findings += [one._replace(message=f"{share.namespace}: {one.message}") if several else one for one in found]
        except StoreError as error:
            return [Finding("fail", "server", str(error))]
        finally:
            await store_client.close()
    return findings


async def _of_state(inspector: Inspector, state: JobState, forge: Forge, settings: Settings) -> list[Finding]:
    counts: dict[Problem, int] = {}
    examples: dict[Problem, list[str]] = {}
    read, cursor = 0, None
    while True:
        page = await inspector.jobs(JobFilter(state), limit=PAGE, cursor=cursor)
        read += len(page.jobs)
        for view in page.jobs:
            for problem, words in _problems(view.job, forge, settings):
                counts[problem] = counts.get(problem, 0) + 1
                shown = examples.setdefault(problem, [])
                if len(shown) < EXAMPLES:
                    shown.append(f"{format_id(view.job.id)}{words}")
        cursor = page.cursor
        if cursor is None or read >= JOBS_READ:
            break
    findings = [
        Finding(
            problem.level or _STATES[state],
            "deploy",
            f"{counted(count, f'{state} job')} {problem.what}: {'; '.join(examples[problem])}",
            problem.fix,
        )
        for problem, count in counts.items()
    ]
    if cursor is not None:
        message = f"only {read} {state} jobs were looked at, and there are more"
        findings.append(Finding("warn", "deploy", message))
    return findings or [Finding("ok", "deploy", f"{counted(read, f'{state} job')} could run")]


async def _of_schedules(schedules: Schedules, forge: Forge) -> list[Finding]:
    names = [*forge.schedules, *(name for name in await schedules.names() if name not in forge.schedules)]
    views = await schedules.views(names[:SCHEDULES_READ])
    found = [(view.name, problem) for view in views if (problem := _problem_of(view, forge)) is not None]
    return [Finding("warn", "deploy", f"schedule {name} {problem.what}", problem.fix) for name, problem in found]


def _problem_of(view: ScheduleView, forge: Forge) -> Problem | None:
    stored, alone = view.stored, "so its nodes leave that one alone"
    if view.name not in forge.schedules:
        if stored is None or stored.source != CODE or stored.gone or stored.schedule.job.kind not in forge.kinds:
            return None
        what = "is in the code of nodes, and not in that of this application: it pauses as the last of them ends"
        return Problem(what, "keep it in the code, or delete it after the roll-out")
    if stored is None:
        what = f"of this application is there and cannot be read here, {alone}: {view.problem}"
        return Problem(what, "upgrade, or delete it")
    if stored.source == CODE:
        return None
    whose = f"of source {stored.source!r}" if stored.source else "put by hand"
    return Problem(
        f"of this application is there, {whose}, {alone}", "delete it, or give that of the application another name"
    )


def _problems(job: Job, forge: Forge, settings: Settings) -> Iterator[tuple[Problem, str]]:
    """What is wrong, and what this job adds to it."""
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
        forge.handler(job.kind).binder.bind(job.payload)
    except InvalidPayload as error:
        what = f"of kind {job.kind!r} with a payload that its handler refuses"
        fix = "have the handler take such payloads, too, until these have run: give new fields a default"
        yield Problem(what, fix), f" ({str(error)[:200]})"
