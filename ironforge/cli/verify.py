"""`ironforge verify`: the promise, tried on the user's own server."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from ironforge.cli import output
from ironforge.cli.generated_flags import AsJson, takes_settings
from ironforge.settings import Settings
from ironforge.settings.declaration import Command

if TYPE_CHECKING:
    from ironforge.verify.findings import Verdict
    from ironforge.verify.load import Plan


@takes_settings(Command.VERIFY)
def verify(
    *,
    seconds: Annotated[float, typer.Option(min=1, max=86_400, help="time under load and faults")] = 30.0,
    rate: Annotated[int, typer.Option(min=1, max=20_000, help="jobs submitted a second")] = 500,
    node_processes: Annotated[int, typer.Option(min=1, max=32, help="nodes to start, and to hurt")] = 3,
    fault_every_seconds: Annotated[float, typer.Option(min=0, help="mean time between two faults; 0: none")] = 2.0,
    seed: Annotated[int | None, typer.Option(help="repeats the schedule of an earlier run")] = None,
    as_json: AsJson = False,
    settings: Settings,
) -> None:
    """Submit jobs, kill, pause and stop nodes of our own, and prove that nothing is lost or settled twice.

    In a namespace of its own on your server, empty again afterwards; no other is touched. Exit code 1: a promise broke.
    """
    import uvloop  # noqa: PLC0415

    from ironforge.cli.run import with_server  # noqa: PLC0415
    from ironforge.logs.setup import configure_logging  # noqa: PLC0415
    from ironforge.verify.load import Plan  # noqa: PLC0415

    # Jobs pile up here on purpose.
    settings = msgspec.structs.replace(with_server(settings), max_queue_length=0)
    configure_logging(msgspec.structs.replace(settings, log_level="error"))
    plan = Plan(random.randrange(2**31) if seed is None else seed, seconds, rate, node_processes, fault_every_seconds)

    output.say(f"seed {plan.seed}: {seconds:g} s at {rate} jobs/s on {node_processes} nodes")
    verdict = uvloop.run(_checked(settings, plan))
    if as_json:
        output.print_json({"seed": plan.seed, **msgspec.to_builtins(verdict)})
    else:
        _show(verdict)
    raise typer.Exit(1 if verdict.violations else 0)


async def _checked(settings: Settings, plan: Plan) -> Verdict:
    from ironforge.store.server_checks import verify as check_server  # noqa: PLC0415
    from ironforge.verify.run import verify as run  # noqa: PLC0415

    await check_server(settings)
    return await run(settings, plan, say=output.say)


def _show(found: Verdict) -> None:
    faults = ", ".join(f"{count} {name}" for name, count in sorted(found.faults.items()))
    judged = f"{found.recoveries_judged} of {found.recoveries}: those with no other fault near"
    rows = [
        ("jobs acknowledged", found.acknowledged),
        ("submissions without an answer", found.unanswered),
        ("faults", faults or "none"),
        ("ticks of schedules", f"{found.ticks_started} started a job, {found.ticks_skipped} were skipped for a reason"),
        ("lost", found.lost),
        ("settled twice", found.settled_twice),
        ("repeated runs", f"{found.repeated_runs} of at most {found.repeated_runs_bound}"),
        ("longest recovery", f"{found.longest_recovery_seconds:.1f} s"),
        ("of them judged", judged),
        ("nodes without a processor", f"{found.starved} times"),
        ("clock of the machine set", f"{found.clock_set} times"),
    ]
    output.out.print(output.table(("", "FOUND"), rows))
    for violation in found.violations[:20]:
        output.say(f"BROKEN: {violation.promise}: {violation.job} {violation.why}")
        for event in violation.evidence:
            output.say(f"   {msgspec.to_builtins(event)}")
    broken = len(found.violations)
    output.say(f"{broken} promises were broken" if broken else "every promise was kept")
