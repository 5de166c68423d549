"""`ironforge audit …`, and what other commands put on record themselves."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import msgspec
import typer

from ironforge.cli import output
from ironforge.cli.direct import need_pepper, shown_time, with_opened
from ironforge.cli.generated_flags import AsJson, takes_settings
from ironforge.errors import ConfigError, StoreError
from ironforge.settings import Settings
from ironforge.settings.declaration import Command

if TYPE_CHECKING:
    from ironforge.auth.audit import AuditTrail

audit: Final = typer.Typer(no_args_is_help=True, epilog=output.EXIT_CODES, help="Read and verify the audit trail.")

T = TypeVar("T")


@audit.command("list")
@takes_settings(Command.SERVER)
def list_audit(
    limit: Annotated[int, typer.Option(help="newest entries to show", min=1, max=10_000)] = 100,
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Show who did what, newest first."""
    entries, _ = _with_trail(settings, lambda trail: trail.newest(limit))
    if as_json:
        output.print_json(
            {"entries": [{**msgspec.structs.asdict(one), "at": shown_time(one.at_ms)} for one in entries]}
        )
    else:
        rows = [(one.number, shown_time(one.at_ms), one.who, one.action, one.target, one.request_id) for one in entries]
        output.out.print(output.table(("NO", "AT", "WHO", "ACTION", "TARGET", "REQUEST"), rows, right=("NO",)))


@audit.command("verify")
@takes_settings(Command.SERVER)
def verify_audit(
    head: Annotated[
        str | None, typer.Option(metavar="HEAD", help="what an earlier run printed and you kept outside the server")
    ] = None,
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Check that every entry is where it was put and what it was. Keep the head that it prints outside the server.

    Without --head a trail cannot be told from one whose end was cut off, nor an empty one from one that was deleted.
    """
    from ironforge.auth.audit import Head  # noqa: PLC0415

    need_pepper(settings)
    anchor = None if head is None else Head.read(head)
    if head is not None and anchor is None:
        raise ConfigError(
            f"--head {head[:100]!r} is no head: give it as an earlier run printed it, <number>:<64 digits>"
        )
    verdict = _with_trail(settings, lambda trail: trail.verify(anchor))
    problems = verdict.problems or (
        [] if verdict.entries else ["the trail is empty, or was deleted: --head would tell"]
    )
    if as_json:
        output.print_json({**verdict._asdict(), "problems": problems, "anchored": anchor is not None})
    else:
        for problem in problems:
            output.say(problem)
        state = "has problems" if problems else "is whole"
        output.line(
            f"the trail of {settings.namespace} {state}: {verdict.entries} entries, head {verdict.head or '(none)'}"
        )
        if not problems and anchor is None:
            output.say("whether its end was cut off can only be told with --head and the head of an earlier run")
    if problems:
        raise typer.Exit(1)


def write_down(settings: Settings, action: str, *targets: str) -> bool:
    """Whether it is in the audit trail now; it is said when not: what has been done cannot be taken back."""
    who = caller_name()

    async def append(trail: AuditTrail) -> None:
        for target in targets:
            await trail.append(who, action, target)

    try:
        _with_trail(settings, append)
    except StoreError as error:
        output.say(f"it is done, but not in the audit trail, which cannot be written: {error}")
        return False
    return True


def caller_name() -> str:
    """The user of the command, as the audit trail names them; the environment may say anything, or nothing."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = str(os.getuid())
    return "cli:" + "".join(letter if letter.isprintable() else "?" for letter in name[:100])


def _with_trail(settings: Settings, work: Callable[[AuditTrail], Coroutine[Any, Any, T]]) -> T:
    from ironforge.auth.audit import AuditTrail  # noqa: PLC0415

    return with_opened(AuditTrail, settings, work)
