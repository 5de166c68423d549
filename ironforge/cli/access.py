"""The commands about who may do what: `keys …`, `quotas …`, `audit …`.

They ask the server itself, not the API: somebody has to make the first key, and only whoever runs the installation
has the address of the server and the pepper.
"""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol, TypeVar

import msgspec
import typer

from ironforge.auth.quota import NAMES, Quota
from ironforge.cli import output
from ironforge.cli.flags import AsJson, takes_settings
from ironforge.config import Settings, environment_name
from ironforge.errors import ConfigError
from ironforge.ranges import shown

if TYPE_CHECKING:
    from ironforge.auth.audit import AuditTrail
    from ironforge.auth.keyring import Keyring, Listed
    from ironforge.auth.quota_book import QuotaBook

SERVER: Final = ("redis_url", "namespace", "data_dir")

keys: Final = typer.Typer(no_args_is_help=True, epilog=output.EXIT_CODES, help="Make, list and revoke API keys.")
quotas: Final = typer.Typer(no_args_is_help=True, epilog=output.EXIT_CODES, help="Show and set a namespace's limits.")
audit: Final = typer.Typer(no_args_is_help=True, epilog=output.EXIT_CODES, help="Read and verify the audit trail.")

T = TypeVar("T")
Children = Literal["revoke", "keep"]


class _Closable(Protocol):
    async def close(self) -> None: ...


Opened = TypeVar("Opened", bound=_Closable)


@keys.command("create")
@takes_settings(*SERVER)
def create_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="who uses it; at most two keys of one name count")],
    scope: Annotated[list[str], typer.Option(help="what it may do; repeat it, or separate by commas")],
    queue: Annotated[list[str] | None, typer.Option(help="a queue it may use; repeat it; default: all")] = None,
    expires_seconds: Annotated[float | None, typer.Option(help="from now; default: never")] = None,
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Make an API key. It is shown this once."""
    _need_pepper(settings)
    scopes = [word for text in scope for word in text.split(",") if word]
    key, record = _with(
        lambda: _keyring(settings),
        lambda ring: ring.create(
            settings.namespace, name, scopes, queues=queue or None, expires_seconds=expires_seconds, made_by=_who()
        ),
    )
    _write_down(settings, "createKey", key.id)
    if as_json:
        output.print_json({"id": key.id, "key": key.text, "name": record.name, "scopes": list(record.scopes)})
    else:
        output.line(key.text)
        output.say(f"key {key.id} of namespace {settings.namespace}; it cannot be shown again")


@keys.command("list")
@takes_settings(*SERVER)
def list_keys(as_json: AsJson = False, *, settings: Settings) -> None:
    """List the keys of a namespace."""
    listed = _with(lambda: _keyring(settings), lambda ring: ring.listed(settings.namespace))
    if as_json:
        output.print_json({"keys": [_as_json(one) for one in listed]})
    elif listed:
        rows = [
            (
                one.record.id,
                one.record.name,
                ",".join(one.record.scopes),
                "all" if one.record.queues is None else ",".join(one.record.queues),
                _time(one.record.expires_ms) or "never",
                _time(one.used_ms) or "never",
            )
            for one in listed
        ]
        output.out.print(output.table(("ID", "NAME", "SCOPES", "QUEUES", "EXPIRES", "LAST USED"), rows))
    else:
        output.say(f"namespace {settings.namespace} has no keys: make one with `ironforge keys create`")


@keys.command("revoke")
@takes_settings(*SERVER)
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="as `ironforge keys list` shows it")],
    children: Annotated[
        Children, typer.Option(help="what becomes of the keys that it made, and that those made")
    ] = "revoke",
    *,
    settings: Settings,
) -> None:
    """Revoke a key, and those that come from it: they stop working within 15 seconds."""
    _need_pepper(settings)
    gone = _with(
        lambda: _keyring(settings),
        lambda ring: ring.revoke(settings.namespace, key_id, children=children == "revoke"),
    )
    _write_down(settings, "revokeKey", *gone)
    for one in gone:
        output.say(f"key {one} is revoked; it stops working within 15 seconds")


@quotas.command("show")
@takes_settings(*SERVER)
def show_quota(as_json: AsJson = False, *, settings: Settings) -> None:
    """Show the limits of a namespace."""
    quota = _with(lambda: _book(settings), lambda book: book.get(settings.namespace))
    _print_quota(settings.namespace, quota, as_json=as_json)


@quotas.command("set")
@takes_settings(*SERVER)
def set_quota(
    *,
    submissions_per_second: Annotated[float | None, typer.Option(help="jobs per second in the long run")] = None,
    burst: Annotated[int | None, typer.Option(help="jobs that may come at once; default: a second's worth")] = None,
    stored_jobs: Annotated[int | None, typer.Option(help="jobs that have not ended, and dead ones")] = None,
    stored_bytes: Annotated[int | None, typer.Option(help="memory of the server for the namespace")] = None,
    in_flight: Annotated[int | None, typer.Option(help="jobs that are queued or running")] = None,
    delay_seconds: Annotated[float | None, typer.Option(help="how far ahead a job may be scheduled")] = None,
    queues: Annotated[int | None, typer.Option(help="names of queues in use; default: as the settings say")] = None,
    settings: Settings,
) -> None:
    """Set the limits of a namespace: those given, and no others. They count within 15 seconds."""
    _need_pepper(settings)
    quota = Quota(
        submissions_per_second=submissions_per_second,
        burst=burst,
        stored_jobs=stored_jobs,
        stored_bytes=stored_bytes,
        in_flight=in_flight,
        delay_seconds=delay_seconds,
        queues=queues,
    )
    _with(lambda: _book(settings), lambda book: book.put(settings.namespace, quota))
    _write_down(settings, "setQuota", settings.namespace)
    _print_quota(settings.namespace, quota, as_json=False)


@audit.command("list")
@takes_settings(*SERVER)
def list_audit(
    limit: Annotated[int, typer.Option(help="newest entries to show", min=1, max=10_000)] = 100,
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Show who did what, newest first."""
    entries, _ = _with(lambda: _trail(settings), lambda trail: trail.newest(limit))
    if as_json:
        output.print_json({"entries": [{**msgspec.structs.asdict(one), "at": _time(one.at_ms)} for one in entries]})
    else:
        rows = [(one.number, _time(one.at_ms), one.who, one.action, one.target, one.request_id) for one in entries]
        output.out.print(output.table(("NO", "AT", "WHO", "ACTION", "TARGET", "REQUEST"), rows, right=("NO",)))


@audit.command("verify")
@takes_settings(*SERVER)
def verify_audit(as_json: AsJson = False, *, settings: Settings) -> None:
    """Check that every entry is where it was put and what it was. Keep the head elsewhere to compare it later."""
    _need_pepper(settings)
    verdict = _with(lambda: _trail(settings), lambda trail: trail.verify())
    if as_json:
        output.print_json(verdict._asdict())
    else:
        for problem in verdict.problems:
            output.say(problem)
        state = "has problems" if verdict.problems else "is whole"
        output.line(
            f"the trail of {settings.namespace} {state}: {verdict.entries} entries, head {verdict.head or '(none)'}"
        )
    if verdict.problems:
        raise typer.Exit(1)


def _with(opened: Callable[[], Opened], work: Callable[[Opened], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        one = opened()
        try:
            return await work(one)
        finally:
            await one.close()

    return asyncio.run(run())


def _need_pepper(settings: Settings) -> None:
    if not settings.key_pepper:
        raise ConfigError(
            f"{environment_name('key_pepper')} is not set: it must be the one that the API has "
            '(make the first one with python -c "import secrets; print(secrets.token_hex(32))")'
        )


def _server(settings: Settings) -> Settings:
    from ironforge.doctor import server_of  # noqa: PLC0415

    return server_of(settings)


def _keyring(settings: Settings) -> Keyring:
    from ironforge.auth.keyring import Keyring  # noqa: PLC0415

    return Keyring(_server(settings))


def _trail(settings: Settings) -> AuditTrail:
    from ironforge.auth.audit import AuditTrail  # noqa: PLC0415

    return AuditTrail(_server(settings))


def _book(settings: Settings) -> QuotaBook:
    from ironforge.auth.quota_book import QuotaBook  # noqa: PLC0415

    return QuotaBook(_server(settings))


def _write_down(settings: Settings, action: str, *targets: str) -> None:
    who = _who()

    async def append(trail: AuditTrail) -> None:
        for target in targets:
            await trail.append(who, action, target)

    _with(lambda: _trail(settings), append)


def _who() -> str:
    """Who runs the command, as the audit trail calls them; the environment may say anything, or nothing."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = str(os.getuid())
    return "cli:" + "".join(letter if letter.isprintable() else "?" for letter in name[:100])


def _print_quota(namespace: str, quota: Quota, *, as_json: bool) -> None:
    limits = {name: getattr(quota, name) for name in NAMES if getattr(quota, name) is not None}
    if as_json:
        output.print_json(limits)
    elif limits:
        rows = [(name, shown(value)) for name, value in limits.items()]
        output.out.print(output.table(("LIMIT", "VALUE"), rows, right=("VALUE",)))
    else:
        output.say(f"namespace {namespace} has no limits")


def _as_json(listed: Listed) -> dict[str, Any]:
    record = listed.record
    return {
        "id": record.id,
        "name": record.name,
        "scopes": list(record.scopes),
        "queues": None if record.queues is None else list(record.queues),
        "created_at": _time(record.created_ms),
        "expires_at": _time(record.expires_ms) or None,
        "last_used_at": _time(listed.used_ms) or None,
        "quota": msgspec.to_builtins(record.quota),
        "made_by": record.made_by,
    }


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")[:-6] + "Z" if ms else ""
