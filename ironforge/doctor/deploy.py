"""What a roll-out would leave lying: waiting jobs that the application, as it is now, could not run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from ironforge.doctor.finding import Finding, Level
from ironforge.errors import ConfigError, InvalidPayload, StoreError
from ironforge.formats.numbers import counted
from ironforge.handlers.forge import Forge
from ironforge.job.record import Job, JobState, format_id
from ironforge.settings import Settings
from ironforge.settings.namespaces import shares_of
from ironforge.store import StoreClient
from ironforge.store.contract import Inspector, JobFilter
from ironforge.store.server_checks import check_shards

# Of each state in each namespace: the answer must come while an operator waits.
JOBS_READ: Final = 20_000
PAGE: Final = 500
EXAMPLES: Final = 3
# The dead are told of, for they may be retried; they hold up no roll-out.
_STATES: Final[dict[JobState, Level]] = {JobState.QUEUED: "fail", JobState.SCHEDULED: "fail", JobState.DEAD: "warn"}


class Problem(NamedTuple):
    """The same for jobs alike: what is wrong, and what to do."""

    what: str
    fix: str


async def examine_deploy(forge: Forge, settings: Settings) -> list[Finding]:
    """Waiting jobs of each namespace that nodes of `forge` with these settings would not run, by what is wrong."""
    findings: list[Finding] = []
    shares = shares_of(settings)
    try:
        await check_shards(settings)
    except ConfigError as error:  # there jobs would be looked for where none are
        return [Finding("fail", "settings", str(error))]
    except StoreError as error:
        return [Finding("fail", "server", str(error))]
    for share in shares:
        own = msgspec.structs.replace(settings, namespace=share.namespace)
        store_client = StoreClient(own)
        try:
            for state in _STATES:
                found = await _of_state(store_client.inspector, state, forge, own)
                several = len(shares) > 1
                findings += [
                    one._replace(message=f"{share.namespace}: {one.message}") if several else one for one in found
                ]
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
            _STATES[state],
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


def _problems(job: Job, forge: Forge, settings: Settings) -> Iterator[tuple[Problem, str]]:
    """What is wrong, and what this job adds to it."""
    if settings.queues and job.queue not in settings.queues:
        what = f"of queue {job.queue!r}, which --queues does not name"
        yield Problem(what, "name all queues that nodes serve after the roll-out: --queues first,second"), ""
    if job.kind not in forge.kinds:
        what = f"of kind {job.kind!r}, which this application does not have"
        yield Problem(what, "keep its handler, or a node of the old version, until these have run; or cancel them"), ""
        return
    try:
        forge.handler(job.kind).binder.bind(job.payload)
    except InvalidPayload as error:
        what = f"of kind {job.kind!r} with a payload that its handler refuses"
        fix = "have the handler take such payloads, too, until these have run: give new fields a default"
        yield Problem(what, fix), f" ({str(error)[:200]})"
