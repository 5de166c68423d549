"""The commands that keep running: `dev`, `api`, `node`, and the child processes of the latter two."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import msgspec
import typer

from ironforge.addresses.server_url import DEFAULT_URL, without_password
from ironforge.cli import output
from ironforge.cli.generated_flags import takes_settings
from ironforge.client.api_url import api_url
from ironforge.errors import InvalidPayload
from ironforge.process.ending import end_in_time
from ironforge.process.first_process import leave_first_process
from ironforge.process.handler_environment import tell_handlers
from ironforge.settings import Settings, environment_of, load
from ironforge.settings.declaration import Command

if TYPE_CHECKING:
    from ironforge.handlers.forge import Forge

Application = Annotated[
    str,
    typer.Argument(metavar="APP", help="module:attribute of the Forge; attribute: `forge` when left out"),
]
NoNode = Annotated[bool, typer.Option("--no-node", help="the API alone: jobs wait for the next start")]
NoAuth = Annotated[
    bool,
    typer.Option("--i-understand-no-auth", help="listen on an address that other machines can reach"),
]
EXAMPLES: Final = "ironforge.examples.app:forge"
# Of an application, as `dev` begins.
SCHEDULES_TOLD: Final = 5
MAIL: Final = """{"kind": "email.send", "payload": {"to": "you@example.com"}}"""
# -P: what lies in the current folder must not replace modules of Python while the child starts.
_CHILD: Final = (sys.executable, "-P", "-m", "ironforge")


@takes_settings(Command.DEV)
def dev(
    app: Application = EXAMPLES,
    no_node: NoNode = False,
    no_auth: NoAuth = False,
    *,
    settings: Settings,
) -> None:
    """Run everything in one process: an embedded server, the HTTP API, and a node with the handlers of APP.

    With a redis-url no server is started. Ctrl-C ends it after running jobs; a second one requeues them at once.
    """
    from ironforge.cli.application import load_application  # noqa: PLC0415
    from ironforge.execution import isolation  # noqa: PLC0415
    from ironforge.logs.setup import configure_logging  # noqa: PLC0415
    from ironforge.runtime.dev import serve_dev  # noqa: PLC0415

    leave_first_process()
    tell_handlers(os.environ, settings)
    forge = None if no_node else load_application(app)
    configure_logging(settings)

    def on_ready(url: str) -> None:
        example = _example(forge) if forge is not None or app != EXAMPLES else MAIL
        handlers = "none, jobs wait for the next start" if no_node else app
        _welcome(url, [f"  Handlers:     {handlers}", *_schedules(forge)], example, settings)

    served = serve_dev(forge, settings, allow_public=no_auth, on_ready=on_ready)
    raise typer.Exit(end_in_time(isolation.run(served)))


@takes_settings(Command.API)
def api(no_auth: NoAuth = False, *, settings: Settings) -> None:
    """Run the HTTP API alone, in one or more processes on one port; nodes run elsewhere, on the same Redis or Valkey.

    With several processes, one that dies is started again while the others go on.
    """

    leave_first_process()
    if settings.processes == 1:
        _serve_api(settings, no_auth=no_auth)
    from ironforge.logs.setup import configure_logging  # noqa: PLC0415
    from ironforge.runtime.api_server import run_api_processes  # noqa: PLC0415

    settings = with_server(settings)
    configure_logging(settings)
    os.environ.update(environment_of(settings))
    command = [*_CHILD, "api-child", *(["--i-understand-no-auth"] if no_auth else [])]
    raise typer.Exit(asyncio.run(run_api_processes(command, settings, allow_public=no_auth)))


@takes_settings("http_port")
def api_child(no_auth: NoAuth = False, *, settings: Settings) -> None:
    """One process of `ironforge api`; its settings come in its environment, its port is the parent's choice."""
    _serve_api(settings, no_auth=no_auth)


def _serve_api(settings: Settings, *, no_auth: bool) -> NoReturn:
    import uvloop  # noqa: PLC0415

    from ironforge.logs.setup import configure_logging  # noqa: PLC0415
    from ironforge.process.garbage import loaded_set_apart  # noqa: PLC0415
    from ironforge.runtime.dev import serve_api  # noqa: PLC0415

    configure_logging(settings)
    with loaded_set_apart():
        code = uvloop.run(serve_api(with_server(settings), allow_public=no_auth))
    raise typer.Exit(end_in_time(code))


@takes_settings(Command.NODE, without_api=True)
def node(app: Application, *, settings: Settings) -> None:
    """Run the handlers of APP in one or more processes, and restart those that die."""
    from ironforge.logs.setup import configure_logging  # noqa: PLC0415
    from ironforge.runtime.process_manager import run_processes  # noqa: PLC0415

    leave_first_process()
    settings = with_server(settings)
    configure_logging(settings)
    tell_handlers(os.environ, settings)
    command = [*_CHILD, "node-child", app]
    # What is wrong with APP is said once, not once by each process; in a process, because it may have side effects.
    if settings.processes > 1 and (code := subprocess.run([*command, "--check"], check=False).returncode):  # noqa: S603
        raise typer.Exit(code if code > 0 else 1)
    raise typer.Exit(asyncio.run(run_processes(command, settings)))


def node_child(app: Application, check: Annotated[bool, typer.Option("--check")] = False) -> None:
    """One process of `ironforge node`; its settings come in its environment. `check` only loads APP."""
    from ironforge.cli.application import load_application  # noqa: PLC0415
    from ironforge.runtime.node import run_node  # noqa: PLC0415

    forge = load_application(app)
    raise typer.Exit(0 if check else run_node(forge, with_server(load())))


def with_server(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, redis_url=settings.redis_url or DEFAULT_URL)


def _example(forge: Forge | None) -> str:
    """A submission that this application can run as it stands, where it has such a kind."""
    kinds = () if forge is None else forge.kinds
    for kind in kinds:
        assert forge is not None
        example = MAIL if kind == "email.send" else f'{{"kind": "{kind}"}}'
        with contextlib.suppress(InvalidPayload):
            forge.handler(kind).binder.bind(msgspec.json.encode(msgspec.json.decode(example).get("payload")))
            return example
    return f'{{"kind": "{next(iter(kinds), "KIND")}", "payload": …}}'


def _schedules(forge: Forge | None) -> list[str]:
    from ironforge.schedules.words import words  # noqa: PLC0415

    known = {} if forge is None else forge.schedules
    more = [f"                and {len(known) - SCHEDULES_TOLD} more"] if len(known) > SCHEDULES_TOLD else []
    told = itertools.islice(known.items(), SCHEDULES_TOLD)
    return [f"  Schedule:     {name}, {words(schedule)}" for name, schedule in told] + more


def _welcome(url: str, application: list[str], example: str, settings: Settings) -> None:
    data = (
        without_password(settings.redis_url)
        if settings.redis_url
        else f"{Path(settings.data_dir).absolute()} (kept until you delete it)"
    )
    lines = [
        "",
        f"  IronForge is ready at {url}",
        "",
        "  Submit a job:",
        f"    curl {url}/jobs -H 'Content-Type: application/json' \\",
        f"      -d '{example}'",
        *(
            ["  Every call needs a key (-H 'Authorization: Bearer …'): ironforge keys create NAME --scope …"]
            if settings.auth == "on"
            else []
        ),
        f"  Look at it:   curl {url}/queues/stats   (or: ironforge stats{_url_flag(url)})",
        *application,
        f"  Data:         {data}",
        "  Ctrl-C ends it; jobs that wait run at the next start.",
        "",
    ]
    for line in lines:
        output.line(line)


def _url_flag(url: str) -> str:
    # The terminal where it is typed may have none of this one's environment, and this one may have a URL of its own.
    return "" if url == api_url(load()) == api_url(Settings()) else f" --url {url}"
