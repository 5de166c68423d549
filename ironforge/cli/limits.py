"""The commands about limits, through the HTTP API."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import typer

from ironforge.cli import output
from ironforge.cli.generated_flags import AsJson, takes_settings
from ironforge.cli.jobs import connected
from ironforge.errors import InvalidJob
from ironforge.formats.numbers import counted
from ironforge.formats.numbers import shown as number
from ironforge.job.limits import OnFailure, Rate, WhenFull
from ironforge.settings import Settings
from ironforge.settings.declaration import Command

limits: Final = typer.Typer(no_args_is_help=True, epilog=output.EXIT_CODES, help="Define, show and override limits.")

_RATE: Final = re.compile(r"([0-9]+)(?:/([0-9.]+)s?)?")

Name = Annotated[str, typer.Argument(metavar="NAME", help="the limit, such as stripe")]
Key = Annotated[str, typer.Option(help="of the limit; default: the one of jobs that name none")]
Concurrency = Annotated[int | None, typer.Option(help="most jobs of a key that run at once")]
RateFlag = Annotated[str | None, typer.Option("--rate", help="units that may start, such as 100/1s or 20/60s")]
Burst = Annotated[int, typer.Option(help="units that may start at once; default: a tenth of a second's")]


@limits.command("list", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def list_limits(as_json: AsJson = False, *, settings: Settings) -> None:
    """List the limits, with what holds now."""
    with connected(settings) as client:
        found = client.limits()
    if as_json:
        output.print_json(found)
        return
    rows = [(one["name"], _words(one["effective"]), _override(one["override"])) for one in found["limits"]]
    output.out.print(output.table(("LIMIT", "HOLDS", "OVERRIDDEN"), rows))


@limits.command("show", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def show(
    name: Name,
    key: Annotated[str | None, typer.Option(help="also how this key stands; empty: the one of jobs without")] = None,
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Show a limit, and with --key who runs and waits under it."""
    with connected(settings) as client:
        found = client.limit(name, key=key)
    if as_json:
        output.print_json(found)
        return
    _print(found)
    if found["key"]:
        _print_key(found["key"], rated=found["effective"].get("rate") is not None)


@limits.command("put", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def put(  # noqa: PLR0917 - one for each flag
    name: Name,
    concurrency: Concurrency = None,
    rate: RateFlag = None,
    burst: Burst = 0,
    when_full: Annotated[WhenFull, typer.Option(help="what becomes of a job that finds it full")] = "wait",
    fifo: Annotated[bool, typer.Option("--fifo", help="strictly one after the other; needs --concurrency 1")] = False,
    on_failure: Annotated[OnFailure | None, typer.Option(help="of a fifo limit, when its job fails")] = None,
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Define a limit, or define it anew."""
    order: Literal["", "fifo"] = "fifo" if fifo else ""
    with connected(settings) as client:
        answer = client.put_limit(
            name,
            concurrency=concurrency,
            rate=_rate(rate, burst),
            when_full=when_full,
            order=order,
            on_failure=on_failure or "",
        )
    _report(answer, as_json=as_json)


@limits.command("override", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def override(  # noqa: PLR0917 - one for each flag
    name: Name,
    concurrency: Concurrency = None,
    rate: RateFlag = None,
    burst: Burst = 0,
    until: Annotated[str | None, typer.Option(help="a time with a zone; default: until it is taken back")] = None,
    note: Annotated[str, typer.Option(help="why")] = "",
    clear: Annotated[bool, typer.Option("--clear", help="take it back")] = False,
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Say what holds instead of the definition, also after nodes start anew; --clear takes it back."""
    if clear == (concurrency is not None or rate is not None):
        raise InvalidJob("give --concurrency, --rate, or both, or --clear alone", code="invalid_limit")
    with connected(settings) as client:
        answer = client.override_limit(name, concurrency=concurrency, rate=_rate(rate, burst), until=until, note=note)
    _report(answer, as_json=as_json)


@limits.command("resume", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def resume(name: Name, key: Key = "", as_json: AsJson = False, *, settings: Settings) -> None:
    """Let a key go on that waits for a dead job, or that a handler stopped."""
    with connected(settings) as client:
        answer = client.resume_limit(name, key=key)
    output.report(
        answer,
        f"{name} {key or '(no key)'} goes on; it waited for {counted(answer['released'], 'dead job')}",
        as_json=as_json,
    )


@limits.command("delete", epilog=output.EXIT_CODES)
@takes_settings(Command.CLIENT)
def delete(name: Name, as_json: AsJson = False, *, settings: Settings) -> None:
    """Take a limit back: jobs that use it run as if they did not."""
    with connected(settings) as client:
        answer = client.delete_limit(name)
    output.report(answer, f"limit {name} is deleted", as_json=as_json)


def _rate(text: str | None, burst: int) -> Rate | None:
    if text is None:
        if burst:
            raise InvalidJob("--burst belongs to --rate: give that too", code="invalid_limit")
        return None
    found = _RATE.fullmatch(text)
    try:
        return Rate(int(found[1]), float(found[2] or 1), burst) if found else _refuse(text)
    except ValueError:
        return _refuse(text)


def _refuse(text: str) -> Rate:
    raise InvalidJob(f"--rate {text!r} is not UNITS/SECONDS, such as 100/1s", code="invalid_limit")


def _report(answer: dict[str, Any], *, as_json: bool) -> None:
    words = f"limit {answer['name']}: {_words(answer['effective'])}"
    output.report(answer, words, as_json=as_json)


def _print(found: dict[str, Any]) -> None:
    output.line(f"{found['name']}: {_words(found['effective'])}")
    if found["override"]:
        output.line(f"  defined: {_words(found['limit'])}")
        output.line(f"  overridden: {_override(found['override'])}")


def _print_key(key: dict[str, Any], *, rated: bool) -> None:
    output.line(f"  key: {key['key'] or '(none)'}")
    for what in ("running", "waiting", "remaining"):
        if key[what] is not None:
            output.line(f"  {what}: {key[what]}")
    if rated:
        output.line(f"  rate is as if unused in: {output.until(key['resets_at'])}")
    for what, words in (("next_at", "next in"), ("stopped_until", "stopped for")):
        if key[what] is not None:
            output.line(f"  {words}: {output.until(key[what])}")
    if key["probing"]:
        output.line("  one job goes first, since its target throttled")
    for holder in key["holders"] or ():
        output.line(f"  held by {holder['id']} for {output.age(holder['since'])}")


def _words(limit: dict[str, Any]) -> str:
    said = [] if limit.get("concurrency") is None else [f"{limit['concurrency']} at once"]
    if rate := limit.get("rate"):
        said.append(f"{rate['units']} in {number(rate['per_seconds'])} s")
        said += [f"burst {rate['burst']}"] if rate["burst"] else []
    said += [limit[name] for name in ("when_full", "order", "on_failure") if limit.get(name)]
    return ", ".join(said)


def _override(override: dict[str, Any] | None) -> str:
    if override is None:
        return ""
    end = f"until {override['until']}" if override["until"] else "until it is taken back"
    return ", ".join(filter(None, [_words(override), end, override["note"]]))
