"""The commands about a queue as a whole: `queues pause` and `queues resume`, through the HTTP API."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from ironforge.cli import output
from ironforge.cli.generated_flags import AsJson, takes_settings
from ironforge.cli.jobs import connected
from ironforge.settings import Settings
from ironforge.settings.declaration import Command

queues: Final = typer.Typer(no_args_is_help=True, epilog=output.EXIT_CODES, help="Pause and resume queues.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="the queue; it need not have had a job yet")]


@queues.command("pause", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def pause(name: Name, as_json: AsJson = False, *, settings: Settings) -> None:
    """Have nodes take no job of a queue: jobs are still accepted, and those that run go on."""
    _change(settings, name, paused=True, as_json=as_json)


@queues.command("resume", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def resume(name: Name, as_json: AsJson = False, *, settings: Settings) -> None:
    """Have nodes take jobs of a queue again."""
    _change(settings, name, paused=False, as_json=as_json)


def _change(settings: Settings, name: str, *, paused: bool, as_json: bool) -> None:
    with connected(settings) as client:
        answer = client.pause_queue(name) if paused else client.resume_queue(name)
    state = "is paused" if answer["paused"] else "is not paused"
    output.report(answer, f"queue {answer['queue']} {state}", as_json=as_json)
