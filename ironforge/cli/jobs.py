"""The commands about jobs: `submit`, `jobs …`, `dlq …`. All of them go through the HTTP API, as any service does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from ironforge.cli import output
from ironforge.cli.generated_flags import AsJson, takes_settings
from ironforge.cli.job_flags import takes_job_options
from ironforge.client.api_url import api_url
from ironforge.errors import InvalidPayload, InvalidState, JobNotFound
from ironforge.formats.numbers import counted
from ironforge.job.options import JobKeywords
from ironforge.logs.unknown_kinds import WITHOUT
from ironforge.settings import Settings
from ironforge.settings.declaration import Command

if TYPE_CHECKING:
    from ironforge.client.client import AsyncClient, Client

# Ctrl-C ends the waiting; a limit shorter than the longest timeout of a job would only surprise.
WAIT_SECONDS: Final = 30 * 86_400.0
PAGE: Final = 500
RETRIES_AT_ONCE: Final = 16

jobs: Final = typer.Typer(no_args_is_help=True, epilog=output.EXIT_CODES, help="List, show, cancel and retry jobs.")
dlq: Final = typer.Typer(
    no_args_is_help=True, epilog=output.EXIT_CODES, help="List and retry the jobs that gave up (the dead letter)."
)

JobId = Annotated[str, typer.Argument(metavar="ID", help="the id that `ironforge submit` printed")]
Kind = Annotated[str | None, typer.Option(help="only jobs of this kind")]
Queue = Annotated[str | None, typer.Option(help="only jobs of this queue")]
Limit = Annotated[int, typer.Option(help="jobs on one page")]
Cursor = Annotated[str | None, typer.Option(help="`next` of the page before")]
Reset = Annotated[
    bool,
    typer.Option(
        "--reset-retry-count/--keep-retry-count",
        help="all its retries again, or one more attempt only",
    ),
]


Query = dict[str, str | int | None]
Ask = Callable[..., dict[str, Any]]


def connected(settings: Settings) -> Client:
    from ironforge.client.client import Client  # noqa: PLC0415

    return Client(api_url(settings))


@takes_settings(Command.CLIENT)
@takes_job_options
def submit(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="what to run, such as email.send")],
    payload: Annotated[
        str,
        typer.Argument(metavar="[PAYLOAD_JSON]", help="the handler's arguments as JSON; `-` reads them from stdin"),
    ] = "null",
    *,
    options: JobKeywords,
    idempotency_key: Annotated[str | None, typer.Option(help="submit once only, however often this runs")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="until it ended; exit 0 only if it completed")] = False,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """Submit a job. Prints its id; with --wait, the job as it ended."""
    with connected(settings) as client:
        accepted = client.submit(kind, payload_of(payload), idempotency_key=idempotency_key, **options)
        _accepted(client, accepted, wait=wait, as_json=as_json)


@jobs.command("list", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def list_jobs(
    *,
    state: Annotated[
        str | None,
        typer.Option(help="scheduled, queued, running, waiting, completed, cancelled or dead"),
    ] = None,
    kind: Kind = None,
    queue: Queue = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """List jobs, a page at a time."""
    with connected(settings) as client:
        query = {"state": state, "kind": kind, "queue": queue, "limit": limit, "cursor": cursor}
        _page(client.jobs, query, as_json=as_json)


@jobs.command("show", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def show(job_id: JobId, as_json: AsJson = False, *, settings: Settings) -> None:
    """Show one job: its state, payload, result, steps and errors."""
    with connected(settings) as client:
        _job(client.get(job_id, steps=True), as_json=as_json)


@jobs.command("cancel", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def cancel(job_id: JobId, as_json: AsJson = False, *, settings: Settings) -> None:
    """Cancel a job: one that waits will never run, one that runs is stopped by its node."""
    with connected(settings) as client:
        job = client.cancel(job_id)
    done = "its node has been told to stop it" if job["status"] == "running" else "cancelled"
    output.report(job, f"{job['id']}: {done}", as_json=as_json)


@jobs.command("retry", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def retry(job_id: JobId, reset: Reset = True, as_json: AsJson = False, *, settings: Settings) -> None:
    """Put a dead job back into its queue."""
    _retry_one(settings, job_id, reset=reset, as_json=as_json)


@dlq.command("list", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def list_dead(
    *,
    kind: Kind = None,
    queue: Queue = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """List the jobs that gave up, the newest first."""
    with connected(settings) as client:
        _page(client.dlq, {"kind": kind, "queue": queue, "limit": limit, "cursor": cursor}, as_json=as_json)


@dlq.command("retry", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def retry_dead(
    job_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="one job, instead of --all")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="every job that fits --kind and --queue")] = False,
    kind: Kind = None,
    queue: Queue = None,
    reset: Reset = True,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """Put one dead job, or all of them, back into their queues."""
    if (job_id is None) != everything:
        raise typer.BadParameter("give the id of a job, or --all")
    if job_id is not None:
        if kind or queue:
            raise typer.BadParameter("--kind and --queue go with --all")
        _retry_one(settings, job_id, reset=reset, as_json=as_json)
        return
    retried, skipped = asyncio.run(_retry_all(api_url(settings), kind, queue, reset=reset))
    if as_json:
        output.print_json({"retried": retried, "skipped": skipped})
    else:
        output.say(counted(retried, "job") + " queued again" + (f", {skipped} had already left" if skipped else ""))


def _retry_one(settings: Settings, job_id: str, *, reset: bool, as_json: bool) -> None:
    with connected(settings) as client:
        job = client.retry(job_id, reset_retry_count=reset)
    output.report(job, f"{job['id']}: queued again", as_json=as_json)


async def _retry_all(url: str, kind: str | None, queue: str | None, *, reset: bool) -> tuple[int, int]:
    """How many are retried, and how many were not there any more."""
    from ironforge.client.client import AsyncClient  # noqa: PLC0415

    async with AsyncClient(url) as client:
        # All ids first: a job that fails again at once must not be met a second time.
        found = [job["id"] async for job in client.iter_jobs(state="dead", kind=kind, queue=queue, limit=PAGE)]
        retried = 0
        for start in range(0, len(found), RETRIES_AT_ONCE):
            some = found[start : start + RETRIES_AT_ONCE]
            retried += sum(await asyncio.gather(*(_was_retried(client, job_id, reset=reset) for job_id in some)))
    return retried, len(found) - retried


async def _was_retried(client: AsyncClient, job_id: str, *, reset: bool) -> bool:
    try:
        await client.retry(job_id, reset_retry_count=reset)
    except (JobNotFound, InvalidState):
        return False
    return True


def payload_of(text: str) -> msgspec.Raw:
    """The bytes as they were given: a number with many digits must arrive as it is."""
    content = sys.stdin.buffer.read() if text == "-" else text.encode(errors="surrogateescape")
    from ironforge.api.parsing.strict_json import InvalidJson, canonical  # noqa: PLC0415

    try:
        canonical(content)
    except InvalidJson as error:
        if error.code not in ("invalid_json", "body_required"):
            place = "payload" if (error.field or "[").startswith("[") else "payload."
            words = f"{place}{error}" if error.field else str(error).replace("the body", place, 1)
            raise InvalidPayload(words, field=error.field) from None
        problem = str(error).removeprefix("the body is not valid JSON: ")
        raise InvalidPayload(
            f'the payload is not JSON: {problem}. Quote it for the shell, as in \'{{"to": "you@example.com"}}\''
        ) from None
    return msgspec.Raw(content)


def _page(ask: Ask, query: Query, *, as_json: bool) -> None:
    page = ask(**query)
    if as_json:
        output.print_json(page)
        return
    if not page["jobs"]:
        page = _filled(ask, query, page)
    if not page["jobs"]:
        output.say("no jobs")
        return
    output.out.print(output.jobs_table(page["jobs"]))
    if _filled(ask, {**query, "limit": 1}, {**page, "jobs": []})["jobs"]:
        output.say(f"there are more: --cursor {page['next']}")


def _filled(ask: Ask, query: Query, page: dict[str, Any]) -> dict[str, Any]:
    """The first page after `page` that has jobs, for one may be empty before the end; or the last one."""
    while not page["jobs"] and page["next"]:
        page = ask(**{**query, "cursor": page["next"]})
    return page


def _job(job: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(job)
    else:
        output.out.print(output.job_details(job))


def _accepted(client: Client, accepted: dict[str, Any], *, wait: bool, as_json: bool) -> None:
    for kind in () if as_json and not wait else accepted.get("unknown_kinds", ()):
        output.say(f"kind {kind} is not known: {WITHOUT}")
    if not wait:
        if as_json:
            output.print_json(accepted)
        else:
            output.line(accepted["id"])
    if accepted["deduplicated"] and not as_json:
        output.say(f"{accepted['id']} was there already and holds the unique key: no second job was made")
    if not wait:
        return
    if not as_json:
        output.say(f"waiting for the end of {accepted['id']}")
    job = client.wait(accepted["id"], WAIT_SECONDS)
    _job(job, as_json=as_json)
    if job["status"] != "completed":
        output.say(f"{job['id']} did not complete: it is {job['status']}")
        raise typer.Exit(1)
