"""A node program of workflows: each run of a node, or an item, is a line in the ledger. With `HEALED`, none fails."""

from __future__ import annotations

import os
import sys
from typing import Any

from ironforge import Context, Discard, Forge
from ironforge.runtime.node import run_node

LEDGER = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
forge = Forge()


def note(what: str, context: Context) -> None:
    os.write(LEDGER, f"{what} {context.id} {context.fence} {os.getpid()}\n".encode())


@forge.job("list")
async def make_list(count: int) -> dict[str, Any]:
    return {"items": [*range(count)]}


@forge.job("double")
async def double(payload: int, context: Context) -> int:
    note(str(payload), context)
    return 2 * payload


@forge.job("sum")
async def add(payload: list[int]) -> dict[str, int]:
    return {"count": len(payload), "sum": sum(payload)}


@forge.job("part")
async def part(context: Context, *, fails: bool) -> str:
    assert context.workflow is not None
    note(context.workflow.node, context)
    if fails and "HEALED" not in os.environ:
        raise Discard("it is to fail")
    return context.workflow.node


if __name__ == "__main__":
    sys.exit(run_node(forge))
