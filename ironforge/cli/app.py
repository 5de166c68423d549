"""Puts the commands together, and turns every way in which one can go wrong into a message and an exit code.

A traceback is for the author of a bug: users get one line, and the traceback when they ask for it.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Final

import typer

from ironforge import errors
from ironforge.cli import access, audit, documentation, events, jobs, kinds, limits, queues, run, status, verify
from ironforge.cli.output import CONFLICT, EXIT_CODES, say
from ironforge.cli.schedules.commands import schedules
from ironforge.cli.workflows.commands import workflows
from ironforge.schedules.errors import ScheduleConflict, ScheduleNotFound
from ironforge.steps.errors import EventNotFound
from ironforge.workflows.errors import WorkflowNotFound

# The first that fits counts.
_CODES: Final = (
    (
        (
            *(errors.JobNotFound, errors.KeyNotFound, errors.KindNotFound, errors.LimitNotFound),
            *(ScheduleNotFound, EventNotFound, WorkflowNotFound),
        ),
        4,
    ),
    (
        (errors.InvalidState, errors.IdempotencyConflict, errors.Duplicate, errors.TooManyKeys, ScheduleConflict),
        CONFLICT,
    ),
    (errors.StoreUnavailable, 3),
    ((errors.ConfigError, errors.InvalidJob, errors.UnknownKind), 2),
)
FAILED: Final = 1
UNREACHABLE: Final = 3

app: Final = typer.Typer(
    name="ironforge",
    help="IronForge runs jobs that must not be lost. Start with `ironforge dev`.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (run.dev, run.api, run.node, jobs.submit):
    app.command(epilog=EXIT_CODES)(_command)
app.add_typer(jobs.jobs, name="jobs")
app.add_typer(jobs.dlq, name="dlq")
app.add_typer(queues.queues, name="queues")
app.add_typer(kinds.kinds, name="kinds")
app.add_typer(limits.limits, name="limits")
app.add_typer(schedules, name="schedules")
app.add_typer(events.events, name="events")
app.add_typer(workflows, name="workflows")
app.add_typer(access.keys, name="keys")
app.add_typer(access.quotas, name="quotas")
app.add_typer(audit.audit, name="audit")
for _command in (status.stats, status.nodes, status.doctor, verify.verify, documentation.docs, status.version):
    app.command(epilog=EXIT_CODES)(_command)
app.command("node-child", hidden=True)(run.node_child)
app.command("api-child", hidden=True)(run.api_child)


def main() -> None:
    """Run the command line of this process; ends it with the exit code."""
    try:
        app()
    except Exception as error:  # noqa: BLE001 - the last one to see it
        sys.exit(explain(error))


def explain(error: Exception) -> int:
    """Tell the user about an error; the exit code for it."""
    if os.environ.get("IRONFORGE_LOG_LEVEL") == "debug":
        say("".join(traceback.format_exception(error)).rstrip())
    if not isinstance(error, errors.IronForgeError):
        say(f"ironforge: unexpected {type(error).__name__}: {error}")
        say("This is a bug in IronForge; set IRONFORGE_LOG_LEVEL=debug to see where it happened.")
        return FAILED
    say(f"ironforge: {error}")
    for classes, code in _CODES:
        if isinstance(error, classes):
            return code
    # Imported only now: a command that talked to the API has it already.
    from ironforge.client.transport import ApiUnreachable  # noqa: PLC0415

    return UNREACHABLE if isinstance(error, ApiUnreachable) else FAILED
