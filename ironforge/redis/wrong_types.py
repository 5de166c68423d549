"""Keys that hold something of another type than ours, and how to find them.

Such a key is an outage of what needs it: scripts look before they write, nodes wait with what they cannot do, and
nothing is written over, because it may be somebody's data.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from ironforge.redis.connection import Command, Connection
from ironforge.redis.key_spec import KeySpace, KeySpec

SCAN: Final = 1_000
# A server may hold millions of other keys: what is not found within these rounds is met by what needs it.
ROUNDS: Final = 100


class WrongType(NamedTuple):
    key: str
    found: str
    spec: KeySpec


async def wrong_types(connection: Connection, keys: KeySpace) -> list[WrongType]:
    """Sorted by name. Raises what redis-py raises."""
    named = {keys.prefix + word for word in keys.specs()}
    named.update([key async for key in keys_of(connection, keys.prefix)])
    ours = [(key, spec) for key in sorted(named) if (spec := keys.spec_of(key))]
    problems: list[WrongType] = []
    for start in range(0, len(ours), SCAN):
        part = ours[start : start + SCAN]
        asked: list[Command] = [["TYPE", key] for key, _ in part]
        for (key, spec), reply in zip(part, await connection.pipeline(asked), strict=True):
            kind = reply.decode()
            if kind not in ("none", spec.type):
                problems.append(WrongType(key, kind, spec))
    return problems


async def keys_of(connection: Connection, start: str) -> AsyncIterator[str]:
    """The names of keys that begin so, some perhaps twice. Raises what redis-py raises."""
    cursor = b"0"
    for _ in range(ROUNDS):
        cursor, found = await connection.call("SCAN", cursor, "MATCH", _literal(start) + "*", "COUNT", SCAN)
        for key in found:
            yield key.decode(errors="replace")
        if cursor == b"0":
            return


def _literal(text: str) -> str:
    """For a pattern of SCAN."""
    return "".join(f"\\{letter}" if letter in "*?[]\\^" else letter for letter in text)
