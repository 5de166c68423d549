"""What a roll-out would leave lying: waiting jobs that the application, as it is now, could not run, and schedules."""

from __future__ import annotations

from typing import Final

from ironforge.doctor.deploy_nodes import nodes_to_come
from ironforge.doctor.deploy_problems import Problem, Tally, problems_of
from ironforge.doctor.finding import Finding, Level
from ironforge.errors import ConfigError, StoreError
from ironforge.formats.numbers import counted
from ironforge.handlers.forge import Forge
from ironforge.job.record import JobState
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
# The dead are told of, for they may be retried; they hold up no roll-out.
_STATES: Final[dict[JobState, Level]] = {
    JobState.QUEUED: "fail",
    JobState.SCHEDULED: "fail",
    JobState.WAITING: "fail",
    JobState.DEAD: "warn",
}


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
            found += await nodes_to_come(forge, own)
            found += await _of_schedules(store_client.schedules, forge)
            several = len(shares) > 1
            findings += [one._replace(message=f"{share.namespace}: {one.message}") if several else one for one in found]
        except StoreError as error:
            return [Finding("fail", "server", str(error))]
        finally:
            await store_client.close()
    return findings


async def _of_state(inspector: Inspector, state: JobState, forge: Forge, settings: Settings) -> list[Finding]:
    tally = Tally()
    read, cursor = 0, None
    while True:
        page = await inspector.jobs(JobFilter(state), limit=PAGE, cursor=cursor)
        read += len(page.jobs)
        for view in page.jobs:
            for problem, words in problems_of(view.job, forge, settings):
                tally.note(problem, f"{view.job.text_id}{words}")
        cursor = page.cursor
        if cursor is None or read >= JOBS_READ:
            break
    findings = tally.findings(f"{state} job", _STATES[state])
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
        if stored is None or stored.source != CODE or stored.gone or not {*stored.schedule.kinds} & {*forge.kinds}:
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
