"""The commands about events, through the HTTP API."""

from __future__ import annotations

import json
from typing import Annotated, Final

import typer

from ironforge.cli import output
from ironforge.cli.generated_flags import AsJson, takes_settings
from ironforge.cli.jobs import connected, payload_of
from ironforge.job.checks import KEEP_SECONDS
from ironforge.settings import Settings
from ironforge.settings.declaration import Command

events: Final = typer.Typer(
    no_args_is_help=True, epilog=output.EXIT_CODES, help="Send the events that jobs wait for, and show them."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="the event, such as approved:42")]


@events.command("send", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def send(
    name: Name,
    payload: Annotated[
        str, typer.Argument(metavar="[PAYLOAD_JSON]", help="what waiting jobs get; `-` reads it from stdin")
    ] = "null",
    keep_seconds: Annotated[float, typer.Option(help="how long it stays for jobs that wait later")] = KEEP_SECONDS,
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Send an event: jobs that wait for it go on."""
    with connected(settings) as client:
        answer = client.send_event(name, payload_of(payload), keep_seconds=keep_seconds)
    words = "sent" if answer["first"] else "there is one of this name already, which stays: this one was not taken"
    output.report(answer, f"event {answer['name']}: {words}", as_json=as_json)


@events.command("show", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def show(name: Name, as_json: AsJson = False, *, settings: Settings) -> None:
    """Show an event that is kept."""
    with connected(settings) as client:
        found = client.event(name)
    if as_json:
        output.print_json(found)
        return
    output.line(json.dumps(found["payload"], ensure_ascii=False))
    output.say(f"event {found['name']} is kept for {output.until(found['kept_until'])}")
