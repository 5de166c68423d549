"""The shop of the examples, whose calls to others take a while and are lines in a ledger, and orders in
parts."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ironforge import Context
from ironforge.examples import app
from ironforge.runtime.node import run_node

LEDGER = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
CALL_SECONDS = 0.15
forge = app.forge


def noted(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """One line as it begins, and one as it ends."""

    @functools.wraps(call)
    async def with_notes(*about: Any) -> Any:
        note(call.__name__, about)
        await asyncio.sleep(CALL_SECONDS)
        return await call(*about)

    return with_notes


def note(what: str, about: Any) -> None:
    """It is in the file even if this process is killed in the next moment."""
    os.write(LEDGER, msgspec.json.encode([what, *about]) + b"\n")


for name in ("charge_card", "pay_back", "ship"):
    setattr(app, name, noted(getattr(app, name)))


@forge.job("order.pack")
async def fulfil_in_parts(context: Context, order: str, parts: int) -> dict[str, Any]:
    charge = await context.step("charge", app.charge_card, order, 1999, context.step_key("charge"))
    approval = await context.event(f"approved:{order}")
    packed = await context.gather("pack", [("part.pack", {"order": order, "part": part}) for part in range(parts)])
    parcel = await context.step("ship", app.ship, order)
    return {"key": charge["key"], "approved_by": approval["by"], "packed": packed, "parcel": parcel}


@forge.job("part.pack", max_retries=0)
async def pack(order: str, part: int) -> int:
    note("pack", (order, part))
    await asyncio.sleep(CALL_SECONDS)
    return part


if __name__ == "__main__":
    sys.exit(run_node(forge))
