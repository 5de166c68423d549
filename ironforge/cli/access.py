"""The commands about who may do what: `keys …`, `quotas …`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar, get_args, get_type_hints

import msgspec
import typer

from ironforge.auth import AUDIT_FAILED
from ironforge.auth.quota import NAMES, Quota
from ironforge.cli import output
from ironforge.cli.audit import caller_name, write_down
from ironforge.cli.direct import need_pepper, shown_time, with_opened
from ironforge.cli.generated_flags import AsJson, flag, takes_settings, with_flags
from ironforge.formats.numbers import shown
from ironforge.settings import Settings
from ironforge.settings.declaration import Command

if TYPE_CHECKING:
    from ironforge.auth.api_keys import ApiKeys, KeyRecord, Listed
    from ironforge.auth.quota_store import QuotaStore

keys: Final = typer.Typer(no_args_is_help=True, epilog=output.EXIT_CODES, help="Make, list and revoke API keys.")
quotas: Final = typer.Typer(no_args_is_help=True, epilog=output.EXIT_CODES, help="Show and set a namespace's limits.")

Children = Literal["revoke", "keep"]
T = TypeVar("T")


def _takes_quota(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command a flag for each limit; its own parameter `quota` receives what they say."""
    limits = get_type_hints(Quota, include_extras=True)
    flags = [flag(name, *_limit(limits[name])) for name in NAMES]
    return with_flags(command, "quota", flags, lambda given: Quota(**given))


def _limit(declared: Any) -> tuple[Any, str]:
    """Type and words of a limit."""
    given, meta = get_args(declared)
    return get_args(given)[0], meta.extra["meaning"]


@keys.command("create")
@takes_settings(Command.SERVER)
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
    need_pepper(settings)
    scopes = [word for text in scope for word in text.split(",") if word]
    key, record = _with_keys(
        settings,
        lambda ring: ring.create(
            settings.namespace,
            name,
            scopes,
            queues=queue or None,
            expires_seconds=expires_seconds,
            made_by=caller_name(),
        ),
    )
    audited = write_down(settings, "createKey", key.id)
    if as_json:
        shown = {**_limits(record), "key": key.text}
        output.print_json(shown if audited else {**shown, "audit": AUDIT_FAILED})
    else:
        output.line(key.text)
        output.say(f"key {key.id} of namespace {settings.namespace}; it cannot be shown again")


@keys.command("list")
@takes_settings(Command.SERVER)
def list_keys(as_json: AsJson = False, *, settings: Settings) -> None:
    """List the keys of a namespace."""
    listed = _with_keys(settings, lambda ring: ring.listed(settings.namespace))
    if as_json:
        output.print_json({"keys": [_as_json(one) for one in listed]})
    elif listed:
        rows = [
            (
                one.record.id,
                one.record.name,
                ",".join(one.record.scopes),
                "all" if one.record.queues is None else ",".join(one.record.queues),
                shown_time(one.record.expires_ms) or "never",
                shown_time(one.used_ms) or "never",
            )
            for one in listed
        ]
        output.out.print(output.table(("ID", "NAME", "SCOPES", "QUEUES", "EXPIRES", "LAST USED"), rows))
    else:
        output.say(f"namespace {settings.namespace} has no keys: make one with `ironforge keys create`")


@keys.command("revoke")
@takes_settings(Command.SERVER)
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="as `ironforge keys list` shows it")],
    children: Annotated[
        Children, typer.Option(help="what becomes of the keys that it made, and that those made")
    ] = "revoke",
    *,
    settings: Settings,
) -> None:
    """Revoke a key, and those that come from it: they stop working within 15 seconds."""
    need_pepper(settings)
    gone = _with_keys(settings, lambda ring: ring.revoke(settings.namespace, key_id, children=children == "revoke"))
    write_down(settings, "revokeKey", *gone)
    for one in gone:
        output.say(f"key {one} is revoked; it stops working within 15 seconds")
    put = _schedules_by_key(settings)
    for one in gone:
        for name in put.get(one, ()):
            output.say(f"schedule {name} was put with it, and goes on: `ironforge schedules pause {name}` stops it")


@quotas.command("show")
@takes_settings(Command.SERVER)
def show_quota(as_json: AsJson = False, *, settings: Settings) -> None:
    """Show the limits of a namespace."""
    quota = _with_quotas(settings, lambda store: store.get(settings.namespace))
    _print_quota(settings.namespace, quota, as_json=as_json)


@quotas.command("set")
@takes_settings(Command.SERVER)
@_takes_quota
def set_quota(*, quota: Quota, settings: Settings) -> None:
    """Set the limits of a namespace: those given, and no others. They count within 15 seconds."""
    need_pepper(settings)
    _with_quotas(settings, lambda store: store.put(settings.namespace, quota))
    write_down(settings, "setQuota", settings.namespace)
    _print_quota(settings.namespace, quota, as_json=False)


def _with_keys(settings: Settings, work: Callable[[ApiKeys], Coroutine[Any, Any, T]]) -> T:
    from ironforge.auth.api_keys import ApiKeys  # noqa: PLC0415

    return with_opened(ApiKeys, settings, work)


def _schedules_by_key(settings: Settings) -> Mapping[str, list[str]]:
    from ironforge.auth.callers_schedules import by_key  # noqa: PLC0415
    from ironforge.store import StoreClient  # noqa: PLC0415

    return with_opened(StoreClient, settings, lambda store_client: by_key(store_client.schedules))


def _with_quotas(settings: Settings, work: Callable[[QuotaStore], Coroutine[Any, Any, T]]) -> T:
    from ironforge.auth.quota_store import QuotaStore  # noqa: PLC0415

    return with_opened(QuotaStore, settings, work)


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
        **_limits(record),
        "created_at": shown_time(record.created_ms),
        "last_used_at": shown_time(listed.used_ms) or None,
        "made_by": record.made_by,
    }


def _limits(record: KeyRecord) -> dict[str, Any]:
    """Which key it is, and what it may do."""
    return {
        "id": record.id,
        "name": record.name,
        "scopes": list(record.scopes),
        "queues": None if record.queues is None else list(record.queues),
        "expires_at": shown_time(record.expires_ms) or None,
        "quota": msgspec.to_builtins(record.quota),
    }
