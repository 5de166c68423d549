"""The commands about kinds: `kinds` lists them, `kinds show` shows one, `kinds release` lets go of jobs, through the
HTTP API."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
import typer

from ironforge.cli import output
from ironforge.cli.generated_flags import AsJson, takes_settings
from ironforge.cli.jobs import Cursor, connected
from ironforge.formats.numbers import counted
from ironforge.settings import Settings
from ironforge.settings.declaration import Command

kinds: Final = typer.Typer(
    epilog=output.EXIT_CODES, help="List the kinds that nodes announced, show one, release jobs from a version."
)


@kinds.callback(invoke_without_command=True)
@takes_settings(Command.CLIENT)
def list_kinds(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(help="kinds on one page")] = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """List the kinds that nodes announced: which run them, and what they fix for their jobs."""
    if context.invoked_subcommand is not None:
        return
    with connected(settings) as client:
        page = client.kinds(limit=limit, cursor=cursor)
    if as_json:
        output.print_json(page)
        return
    rows = [
        (kind["kind"], kind["nodes"] or "none", kind["version"], kind["announced_at"], _options(kind["defaults"]))
        for kind in page["kinds"]
    ]
    output.out.print(output.table(("KIND", "NODES", "VERSION", "ANNOUNCED", "DEFAULTS"), rows, right=("NODES",)))
    if page["next"]:
        output.say(f"more with --cursor {page['next']}")


@kinds.command("show", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def show(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="such as email.send")],
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Show a kind: its versions, the one that counts first, with the nodes that run them, defaults and schema."""
    with connected(settings) as client:
        found = client.kind(kind)
    if as_json:
        output.print_json(found)
        return
    output.line(f"{found['kind']}: {'live' if found['live'] else 'no node runs it'}")
    for version in found["versions"]:
        output.line(f"version {version['version'] or '(none)'}, announced {version['announced_at']}")
        output.line(f"  nodes: {', '.join(version['nodes']) or 'none'}")
        output.line(f"  defaults: {_options(version['defaults']) or 'none'}")
        if version["version_policy"] != "any":
            output.line(f"  version policy: {version['version_policy']}")
        output.line(f"  schema: {msgspec.json.encode(version['schema']).decode()}")


@kinds.command("release", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def release(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="such as order.fulfil")],
    *,
    version: Annotated[str, typer.Option("--version", help="of the application, which began the jobs")],
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """Have any version of the application go on with jobs that wait for a node with the version that began them."""
    released, more = 0, True
    with connected(settings) as client:
        while more:
            answer = client.release_kind(kind, version)
            released, more = released + answer["released"], answer["more"]
    if as_json:
        output.print_json({"kind": kind, "version": version, "released": released})
    else:
        output.say(f"{counted(released, 'job')} of kind {kind} released from version {version}")


def _options(defaults: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} ({output.field(value)})" if isinstance(value, list | dict) else f"{name}={value}"
        for name, value in defaults.items()
    )
