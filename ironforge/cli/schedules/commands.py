"""The commands about schedules, through the HTTP API."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ironforge.cli import output
from ironforge.cli.generated_flags import AsJson, takes_settings
from ironforge.cli.job_flags import takes_job_options
from ironforge.cli.jobs import Cursor, connected, payload_of
from ironforge.cli.schedules import views
from ironforge.cli.schedules.flags import takes_schedule
from ironforge.cli.workflows.commands import read_workflow
from ironforge.errors import InvalidJob
from ironforge.job.options import JobKeywords
from ironforge.settings import Settings
from ironforge.settings.declaration import Command

schedules: Final = typer.Typer(
    no_args_is_help=True, epilog=output.EXIT_CODES, help="Define, preview, pause and trigger schedules."
)

_NEXT_SHOWN: Final = 5
_PAST_SHOWN: Final = 5

Name = Annotated[str, typer.Argument(metavar="NAME", help="the schedule, such as report.nightly")]
Etag = Annotated[str | None, typer.Option(help="as `show --json` has it: only if it is still the same")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would be done, and do nothing")]


@schedules.command("list", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def list_schedules(
    *,
    source: Annotated[str | None, typer.Option(help="only of this one; empty: those that were put by hand")] = None,
    limit: Annotated[int, typer.Option(help="schedules on one page")] = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """List the schedules, with when each ticks next."""
    with connected(settings) as client:
        page = client.schedules(source=source, limit=limit, cursor=cursor)
    if as_json:
        output.print_json(page)
        return
    if page["schedules"]:
        output.out.print(views.listed(page["schedules"]))
    elif not page["next"]:
        output.say("no schedules")
    if page["next"]:
        output.say(f"more with --cursor {page['next']}")


@schedules.command("show", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def show(name: Name, as_json: AsJson = False, *, settings: Settings) -> None:
    """Show a schedule, its next ticks and what became of the last ones."""
    with connected(settings) as client:
        found = client.schedule(name)
        if as_json:
            output.print_json(found)
            return
        views.print_schedule(found)
        if found["next_at"]:
            output.out.print(views.next_ticks(client.next_ticks(name, n=_NEXT_SHOWN)["next"]))
        if past := client.schedule_history(name, limit=_PAST_SHOWN)["ticks"]:
            output.out.print(views.history(past))


@schedules.command("put", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
@partial(takes_job_options, without="run_at")
@takes_schedule
def put(
    name: Name,
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="what to run, such as report.build; or --workflow")
    ] = None,
    payload: Annotated[
        str,
        typer.Argument(metavar="[PAYLOAD_JSON]", help="the handler's arguments as JSON; `-` reads them from stdin"),
    ] = "null",
    *,
    workflow: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TOML or JSON, as `ironforge workflows submit` takes it; `-` reads JSON"),
    ] = None,
    schedule: dict[str, Any],
    options: JobKeywords,
    source: Annotated[str, typer.Option(help="what owns it, and alone may change it; default: nothing does")] = "",
    etag: Etag = None,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """Define a schedule, or define it anew: when it ticks, by --cron or --every-seconds, and what it starts."""
    with connected(settings) as client:
        answer = client.put_schedule(
            name,
            kind=kind,
            payload=None if payload == "null" else payload_of(payload),
            workflow=None if workflow is None else read_workflow(workflow),
            source=source,
            etag=etag,
            **schedule,
            **options,
        )
    if not as_json:
        views.warn(answer)
    output.report(answer, views.in_a_line(answer), as_json=as_json)


@schedules.command("apply", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def apply(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="TOML or JSON, such as shop.toml")
    ],
    *,
    source: Annotated[str, typer.Option(help="what owns them; default: as the file says, else its name")] = "",
    dry_run: DryRun = False,
    delete_all: Annotated[bool, typer.Option("--delete-all", help="of the source; for a file that has none")] = False,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """Make the schedules of a source those of a file: creates, changes and deletes; leaves those of others alone."""
    from ironforge.cli.schedules.file import changes, read_schedules  # noqa: PLC0415

    given = read_schedules(path)
    source = source or given.source
    if not (given.schedules or delete_all or dry_run):
        message = (
            f"{path} has no schedules, so all of source {source} would be deleted: give --delete-all if they should"
        )
        raise InvalidJob(message, code="invalid_schedule")
    with connected(settings) as client:
        answer = client.apply_schedules(source, given.schedules, dry_run=dry_run)
        shown = answer["changed"] if dry_run and not as_json else ()
        differences = {name: changes(client.schedule(name)["schedule"], given.schedules[name]) for name in shown}
    done = ", ".join(f"{len(names)} {what}" for what, names in answer.items() if what in views.APPLIED)
    if not as_json:
        views.print_applied(answer, differences)
        views.warn(answer)
    output.report(answer, f"source {source}: {done}{' (nothing is done yet)' if dry_run else ''}", as_json=as_json)


@schedules.command("next", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def show_next(
    name: Name,
    *,
    n: Annotated[int, typer.Option("-n", help="how many, at most 1000")] = 10,
    after: Annotated[str | None, typer.Option(help="a time with a zone; default: now")] = None,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """Show when it ticks next, by the clock of its zone, and what a change of that clock does to it."""
    with connected(settings) as client:
        found = client.next_ticks(name, n=n, after=after)
    if as_json:
        output.print_json(found)
    elif found["next"]:
        output.out.print(views.next_ticks(found["next"]))
        if found.get("truncated"):  # an API of the version before does not say
            output.say(f"to find more takes too long at once: go on with --after {found['next'][-1]['at']}")
    else:
        output.say(f"{name} does not tick again")


@schedules.command("history", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def history(
    name: Name,
    *,
    limit: Annotated[int, typer.Option(help="rows on one page")] = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """Show what became of its last ticks: each started a job, or was skipped for a reason."""
    with connected(settings) as client:
        page = client.schedule_history(name, limit=limit, cursor=cursor)
    if as_json:
        output.print_json(page)
        return
    if page["ticks"]:
        output.out.print(views.history(page["ticks"]))
    else:
        output.say(f"{name} has not ticked yet")
    if page["next"]:
        output.say(f"more with --cursor {page['next']}")


@schedules.command("pause", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def pause(
    name: Name,
    *,
    note: Annotated[str, typer.Option(help="why")] = "",
    until: Annotated[str | None, typer.Option(help="a time with a zone; default: until it is resumed")] = None,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """Skip its ticks, until a time or until it is resumed."""
    with connected(settings) as client:
        answer = client.pause_schedule(name, note=note, until=until)
    output.report(answer, f"{name}: {views.pause(answer['paused'])}", as_json=as_json)


@schedules.command("resume", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def resume(name: Name, as_json: AsJson = False, *, settings: Settings) -> None:
    """Let it tick again."""
    with connected(settings) as client:
        answer = client.resume_schedule(name)
    output.report(answer, views.in_a_line(answer), as_json=as_json)


@schedules.command("trigger", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def trigger(name: Name, as_json: AsJson = False, *, settings: Settings) -> None:
    """Start its job or workflow now, also while it is paused. Prints the id."""
    with connected(settings) as client:
        answer = client.trigger_schedule(name)
    skipped = answer["outcome"] == "skipped"
    what = "workflow" if answer["workflow_id"] else "job"
    words = f"{name} starts nothing: {views.reason(answer['reason'])}" if skipped else f"{name} starts a {what}"
    output.report(answer, words, as_json=as_json)
    if skipped:
        raise typer.Exit(output.CONFLICT)
    if not as_json:
        output.line(answer["job_id"] or answer["workflow_id"])


@schedules.command("backfill", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def backfill(
    name: Name,
    *,
    start: Annotated[str, typer.Option("--from", help="a time with a zone; a tick at this time counts")],
    end: Annotated[str, typer.Option("--to", help="a time with a zone; a tick at this time does not count")],
    per_second: Annotated[float, typer.Option(help="jobs or workflows that start in a second")] = 1.0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """Start its job or workflow for each of its ticks in a time that is over, or that it was not there."""
    with connected(settings) as client:
        answer = client.backfill_schedule(name, start, end, per_second=per_second, dry_run=dry_run)
    if not as_json and answer["ticks"]:
        output.out.print(views.backfilled(answer["ticks"]))
    output.report(answer, views.backfill_words(answer["ticks"], per_second, dry_run=dry_run), as_json=as_json)


@schedules.command("delete", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def delete(name: Name, *, etag: Etag = None, as_json: AsJson = False, settings: Settings) -> None:
    """Delete a schedule with its history; what it started goes on."""
    with connected(settings) as client:
        answer = client.delete_schedule(name, etag=etag)
    if not as_json:
        views.warn(answer)
    output.report(answer, f"schedule {name} is deleted", as_json=as_json)
