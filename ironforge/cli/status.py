"""The commands that look at an installation: `stats`, `nodes`, `doctor`, `version`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import typer
from rich.console import Group
from rich.table import Table

from ironforge.cli import output
from ironforge.cli.direct import server_of
from ironforge.cli.generated_flags import AsJson, takes_settings
from ironforge.cli.jobs import connected
from ironforge.formats.numbers import counted
from ironforge.settings import Settings
from ironforge.settings.declaration import Command
from ironforge.version import VERSION

LEVEL_STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@takes_settings(Command.CLIENT)
def stats(
    watch: Annotated[bool, typer.Option("--watch", help="every second until Ctrl-C; as JSON: a line each")] = False,
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Show how many jobs wait and run, by queue and priority, and how fast they go."""
    with connected(settings) as client:
        if watch:
            output.watch(client.stats, _stats, as_json=as_json)
        elif as_json:
            output.print_json(client.stats())
        else:
            output.out.print(_stats(client.stats()))


@takes_settings(Command.CLIENT)
def nodes(as_json: AsJson = False, *, settings: Settings) -> None:
    """List the nodes that hold a lease, what they serve and how much they run; with --json also which jobs."""
    with connected(settings) as client:
        answer = client.nodes()
    if as_json:
        output.print_json(answer)
    elif answer["nodes"]:
        rows = [
            (
                node["name"],
                ",".join(node["queues"]),
                f"{node['running']}/{node['concurrency'] or '?'}",
                f"{node['lease_seconds_left']:.1f}s",
                node["version"],
                node["since"] or "",
            )
            for node in answer["nodes"]
        ]
        columns = ("NODE", "QUEUES", "RUNNING", "LEASE", "VERSION", "SINCE")
        output.out.print(output.table(columns, rows, right=("RUNNING", "LEASE")))
    else:
        output.say("no node is running: start one with `ironforge node APP`")


@takes_settings(Command.DOCTOR)
def doctor(
    deploy: Annotated[
        str | None,
        typer.Option("--deploy", metavar="APP", help="only say which waiting jobs this application could not run"),
    ] = None,
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Examine settings, server and data, and say how to repair what is wrong. Asks the server itself, not the API."""
    from ironforge.cli.application import load_application  # noqa: PLC0415
    from ironforge.doctor import examine, examine_deploy  # noqa: PLC0415

    own = server_of(settings)
    findings = asyncio.run(examine(own) if deploy is None else examine_deploy(load_application(deploy), own))
    if as_json:
        output.print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            output.out.print(
                output.cell(f"{finding.level:<5}", LEVEL_STYLES[finding.level]),
                output.cell(f"{finding.check}: {finding.message}"),
                soft_wrap=True,
            )
            if finding.fix:
                output.out.print("      ->", output.cell(finding.fix), soft_wrap=True)
    failed = [finding for finding in findings if finding.level == "fail"]
    if failed:
        raise typer.Exit(3 if failed[0].check == "server" else 1)


def version() -> None:
    """Print the version."""
    output.line(VERSION)


def _stats(answer: dict[str, Any]) -> Group:
    rows = [
        (
            stream["queue"],
            stream["priority"],
            stream["queued"],
            stream["running"],
            output.duration(stream["oldest_age_seconds"]),
        )
        for stream in answer["queues"]
        if stream["queued"] or stream["running"] or stream["priority"] == "medium"
    ]
    columns = ("QUEUE", "PRIORITY", "QUEUED", "RUNNING", "OLDEST")
    streams = output.table(columns, rows, right=("QUEUED", "RUNNING", "OLDEST"))
    found = (("paused", answer["paused"]), *_waits(answer), *_parked(answer), *_schedules(answer))
    paused = [output.cell(f"{what}: {', '.join(names)}", "yellow") for what, names in found if names]
    if answer["totals"] is None:
        return Group(streams, *paused, "", "totals are not shown: this key is limited to some queues")
    return Group(streams, *paused, "", _counters(answer))


def _waits(answer: dict[str, Any]) -> tuple[tuple[str, list[str]], ...]:
    """Why jobs wait, where that is more than their turn: words, and names of what is concerned."""
    declined, limited = (
        [f"{each[why]} of {each['queue']}/{each['priority']}" for each in answer["queues"] if each[why]]
        for why in ("declined", "limited")
    )
    return (
        ("no running node serves queue", answer["unserved"]["queues"]),
        ("no running node runs kind", answer["unserved"]["kinds"]),
        ("declined, and waiting for a node that may run them", declined),
        ("no running node has the version that began jobs of", _versions(answer["unserved"]["versions"])),
        ("kept out by a limit", limited),
    )


def _versions(told: list[dict[str, Any]]) -> list[str]:
    return [f"{each['kind']} in version {each['version']} ({counted(each['jobs'], 'job')})" for each in told]


def _parked(answer: dict[str, Any]) -> tuple[tuple[str, list[str]], ...]:
    """Jobs in state waiting."""
    told = answer["waiting"]
    if not told or not told["total"]:
        return ()
    words = {"sleep": "a time", "event": "an event", "children": "their children"}
    said = [f"{told[what]} for {for_}" for what, for_ in words.items() if told[what]]
    if told["workflow"]:
        said.append(f"{counted(told['workflow'], 'workflow')} under way")
    return ((f"{counted(told['total'], 'job')} in state waiting", said),)


def _schedules(answer: dict[str, Any]) -> tuple[tuple[str, list[str]], ...]:
    told = answer["schedules"]
    if not told or not told["total"]:
        return ()
    said = [f"{told[word]} {word}" for word in ("paused", "broken", "overdue") if told[word]]
    if told["next_in_seconds"] is not None:
        said.append(f"next tick in {output.duration(told['next_in_seconds'])}")
    return ((counted(told["total"], "schedule"), said or ["no tick is to come"]),)


def _counters(answer: dict[str, Any]) -> Table:
    rates, totals = answer["rates"] or {}, answer["totals"]
    now = {"scheduled": answer["scheduled"], "waiting": answer["waiting"]["total"], "dead": answer["dlq_depth"]}
    names = ("submitted", "completed", "failed", "retried", "cancelled", "expired", "dead", "scheduled", "waiting")
    rows = [
        (
            name,
            now.get(name, ""),
            totals.get(name, ""),
            f"{rates[name]:.1f}" if name in rates else "",
        )
        for name in names
    ]
    return output.table(("JOBS", "NOW", "IN TOTAL", "PER SECOND"), rows, right=("NOW", "IN TOTAL", "PER SECOND"))
