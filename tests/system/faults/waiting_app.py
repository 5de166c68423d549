"""A node program of jobs that wait. `NAMESPACE KIND POINT`: it kills itself in front of this command, or behind it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ironforge import Context, Forge
from ironforge.redis import scripts
from ironforge.redis.connection import Connection
from ironforge.runtime.node import run_node
from ironforge.settings import load

CHILDREN = 3
# In the order of what happens.
OF_ALL = ("wait:before", "wait:behind", "wake:before", "wake:behind", "fetch:behind", "settle:before", "settle:behind")
OF_CHILDREN = ("children:before", "children:behind", *OF_ALL, "child:before", "child:behind")
POINTS = {"sleep": OF_ALL, "event": OF_ALL, "children": OF_CHILDREN}
forge = Forge()


def note(what: str, context: Context) -> None:
    with Path(os.environ["LEDGERS"], sys.argv[1]).open("ab", buffering=0) as ledger:
        ledger.write(f"{what} {context.id} {context.fence} {os.getpid()}\n".encode())


@forge.job("sleep")
async def sleep(context: Context) -> None:
    await context.step("before", note, "before", context)
    await context.sleep("nap", 0.2)
    await context.step("after", note, "after", context)


@forge.job("event")
async def event(context: Context) -> Any:
    await context.step("before", note, "before", context)
    heard = await context.event("go")
    await context.step("after", note, "after", context)
    return heard


@forge.job("children")
async def children(context: Context) -> Any:
    await context.step("before", note, "before", context)
    found = await context.gather("pack", [("child", {"number": number}) for number in range(CHILDREN)])
    await context.step("after", note, "after", context)
    return found


@forge.job("child")
async def child(context: Context, number: int) -> int:
    note(f"child{number}", context)
    return number


class Victim:
    """Knows by its commands where the job of this kind is; `point` is one of those, and a side of it."""

    def __init__(self, kind: str, point: str) -> None:
        self._kind = kind
        self._command, _, self._side = point.partition(":")
        self._has_children = self._is_parked = self._is_back = False

    async def exchange(self, connection: Connection, commands: Sequence[bytes], **options: Any) -> list[Any]:
        name = self._name(commands)
        if self._side == "before" and name == self._command:
            os.kill(os.getpid(), signal.SIGKILL)
        replies = await exchange(connection, commands, **options)
        if self._is_done(name, replies):
            if self._side == "behind" and name == self._command:
                os.kill(os.getpid(), signal.SIGKILL)
            self._has_children |= name == "children"
            self._is_parked |= name == "wait"
            self._is_back |= name == "fetch"
        return replies

    def _name(self, commands: Sequence[bytes]) -> str:
        for script in (scripts.WAIT, scripts.CHILDREN, scripts.WAKE):
            if any(script.sha.encode() in each or script.text.encode() in each for each in commands):
                return script.name if self._is_parked or script is not scripts.WAKE else ""
        # Asked for before the job was parked, it comes after that.
        if any(b"XREADGROUP" in each for each in commands):
            return "fetch"
        if not any(b"MULTI" in each for each in commands):
            return ""
        return "settle" if self._is_back else "child" if self._has_children else ""

    def _is_done(self, name: str, replies: Sequence[Any]) -> bool:
        """Whether it did something."""
        last = replies[-1] if replies else None
        if any(isinstance(reply, Exception) for reply in replies):
            return False
        if name == "wake":
            return isinstance(last, list) and last[1] > 0
        return name != "fetch" or (self._is_parked and self._kind in repr(last))


exchange = Connection.exchange_packed

if __name__ == "__main__":
    namespace, *about = sys.argv[1:]
    if about:
        victim = Victim(*about)
        Connection.exchange_packed = (  # type: ignore[method-assign]
            lambda connection, commands, **options: victim.exchange(connection, commands, **options)  # noqa: PLW0108 - bound
        )
    sys.exit(run_node(forge, load(namespace=namespace)))
