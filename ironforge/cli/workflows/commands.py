"""The commands about workflows, through the HTTP API."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ironforge.cli import output
from ironforge.cli.generated_flags import AsJson, takes_settings
from ironforge.cli.jobs import Cursor, connected, payload_of
from ironforge.logs.unknown_kinds import WITHOUT
from ironforge.settings import Settings
from ironforge.settings.declaration import Command

if TYPE_CHECKING:
    from ironforge.client.client import Client
    from ironforge.workflows.definition import Workflow

workflows: Final = typer.Typer(
    no_args_is_help=True,
    epilog=output.EXIT_CODES,
    help="Submit workflows, draw them, cancel, pause, resume, retry and fork them.",
)

ENDED: Final = frozenset({"completed", "failed", "cancelled"})

WorkflowId = Annotated[str, typer.Argument(metavar="ID", help="the id that `ironforge workflows submit` printed")]
Watch = Annotated[
    bool, typer.Option("--watch", help="every second until it has ended, or Ctrl-C; as JSON: a line each")
]


@workflows.command("submit", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def submit(
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="TOML or JSON, as `POST /workflows` takes it; `-` reads JSON from stdin"),
    ],
    *,
    idempotency_key: Annotated[str | None, typer.Option(help="submit once only, however often this runs")] = None,
    watch: Watch = False,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """Submit a workflow. Prints its id; with --watch, its graph until it ended, and exit 0 only if it completed."""
    document = read_workflow(path)
    with connected(settings) as client:
        accepted = client.submit_workflow(document, idempotency_key=idempotency_key)
        _accepted(client, accepted, watch=watch, as_json=as_json)


@workflows.command("list", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def list_workflows(
    *,
    status: Annotated[str | None, typer.Option(help="running, paused, completed, failed or cancelled")] = None,
    name: Annotated[str | None, typer.Option(help="only workflows of this name")] = None,
    limit: Annotated[int, typer.Option(help="workflows on one page")] = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """List workflows, the newest first."""
    from ironforge.cli.workflows import views  # noqa: PLC0415

    with connected(settings) as client:
        query = {"status": status, "name": name, "limit": limit, "cursor": cursor}
        page = client.workflows(**query)
        while not (as_json or page["workflows"]) and page["next"]:
            page = client.workflows(**{**query, "cursor": page["next"]})
    if as_json:
        output.print_json(page)
        return
    if page["workflows"]:
        output.out.print(views.listed(page["workflows"]))
    else:
        output.say("no workflows")
    if page["next"]:
        output.say(f"more with --cursor {page['next']}")


@workflows.command("show", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def show(
    workflow_id: WorkflowId,
    *,
    results: Annotated[bool, typer.Option("--results", help="also what its nodes have returned")] = False,
    watch: Watch = False,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """Draw the graph of a workflow, with how far each node is."""
    with connected(settings) as client:
        _show(client, workflow_id, results=results, watch=watch, as_json=as_json)


@workflows.command("cancel", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def cancel(workflow_id: WorkflowId, as_json: AsJson = False, *, settings: Settings) -> None:
    """Cancel a workflow: nothing of it starts any more, and what runs is stopped."""
    with connected(settings) as client:
        answer = client.cancel_workflow(workflow_id)
    is_over = answer["status"] in ENDED
    output.report(answer, f"{workflow_id}: {'cancelled' if is_over else 'what runs is being stopped'}", as_json=as_json)


@workflows.command("pause", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def pause(workflow_id: WorkflowId, as_json: AsJson = False, *, settings: Settings) -> None:
    """Pause a workflow: no node starts any more, what runs goes on."""
    with connected(settings) as client:
        answer = client.pause_workflow(workflow_id)
    output.report(answer, f"{workflow_id}: paused", as_json=as_json)


@workflows.command("resume", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def resume(workflow_id: WorkflowId, as_json: AsJson = False, *, settings: Settings) -> None:
    """Have the nodes of a paused workflow start again."""
    with connected(settings) as client:
        answer = client.resume_workflow(workflow_id)
    output.report(answer, f"{workflow_id}: {answer['status']}", as_json=as_json)


@workflows.command("retry", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def retry(workflow_id: WorkflowId, as_json: AsJson = False, *, settings: Settings) -> None:
    """Have a failed or cancelled workflow go on from the nodes that did not succeed."""
    with connected(settings) as client:
        answer = client.retry_workflow(workflow_id)
    output.report(answer, f"{workflow_id}: {answer['status']} again", as_json=as_json)


@workflows.command("fork", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def fork(
    workflow_id: WorkflowId,
    node: Annotated[
        str | None,
        typer.Argument(
            metavar="[NODE]", help="runs again, with all that waits for it; default: what a retry would run"
        ),
    ] = None,
    payload: Annotated[
        str | None,
        typer.Argument(metavar="[PAYLOAD_JSON]", help="of this node instead of its own; `-` reads it from stdin"),
    ] = None,
    *,
    idempotency_key: Annotated[str | None, typer.Option(help="fork once only, however often this runs")] = None,
    watch: Watch = False,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """Start another workflow with the results of one that has ended, from a node on. Prints its id."""
    said: dict[str, Any] = {} if payload is None else {"payload": payload_of(payload)}
    with connected(settings) as client:
        accepted = client.fork_workflow(workflow_id, node, idempotency_key=idempotency_key, **said)
        _accepted(client, accepted, watch=watch, as_json=as_json)


def _accepted(client: Client, accepted: dict[str, Any], *, watch: bool, as_json: bool) -> None:
    for kind in () if as_json and not watch else accepted.get("unknown_kinds", ()):
        output.say(f"kind {kind} is not known: {WITHOUT}")
    if watch:
        _show(client, accepted["id"], results=False, watch=True, as_json=as_json, has_to_complete=True)
    elif as_json:
        output.print_json(accepted)
    else:
        output.line(accepted["id"])


def _show(
    client: Client,
    workflow_id: str,
    *,
    results: bool,
    watch: bool,
    as_json: bool,
    has_to_complete: bool = False,
) -> None:
    from ironforge.cli.workflows import views  # noqa: PLC0415

    read = partial(client.workflow, workflow_id, results=results)
    if watch:
        found = output.watch(read, views.shown, as_json=as_json, is_last=lambda one: one["status"] in ENDED)
    else:
        found = read()
        if as_json:
            output.print_json(found)
        else:
            output.out.print(views.shown(found), soft_wrap=True)
    if results and not as_json:
        for line in views.results(found):
            output.line(line)
    if has_to_complete and found["status"] != "completed":
        output.say(f"{workflow_id} did not complete: it is {found['status']}")
        raise typer.Exit(1)


def read_workflow(path: Path) -> Workflow:
    """Raises InvalidJob with the place of what is wrong."""
    from ironforge.cli.documents import read_document  # noqa: PLC0415
    from ironforge.workflows.decoding import decode_workflow  # noqa: PLC0415
    from ironforge.workflows.definition import MAX_DOCUMENT_VALUES  # noqa: PLC0415

    return decode_workflow(read_document(path, "a workflow", "invalid_workflow", most=MAX_DOCUMENT_VALUES))
