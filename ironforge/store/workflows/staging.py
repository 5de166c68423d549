"""Writing what a workflow is made of in parts, where it is too large for one script. What was staged goes by itself,
unless the script that comes last finds all of it and keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from ironforge.redis.scripts import STAGE_WORKFLOW
from ironforge.store.steps.links import ShardLink

Fields: TypeAlias = list[tuple[str, bytes]]

# Of one part that is staged: some milliseconds of the server.
PART_FIELDS: Final = 1_000
# Of the graphs of one call, unless one alone has more; what is larger is staged.
FIELDS_AT_ONCE: Final = 4_000
BYTES_AT_ONCE: Final = 4 * 1024 * 1024
STAGED_SECONDS: Final = 600
UNSTAGED: Final = "what was staged of the workflow has gone before it was submitted: submit it again"


def parts_of(fields: Fields) -> list[Fields]:
    parts: list[Fields] = [[]]
    size = 0
    for field in fields:
        size += len(field[1])
        if parts[-1] and (len(parts[-1]) >= PART_FIELDS or size > BYTES_AT_ONCE):
            parts.append([])
            size = len(field[1])
        parts[-1].append(field)
    return parts


async def stage(link: ShardLink, workflow: bytes, parts: Sequence[Fields]) -> None:
    """Raises what the connection raises."""
    keys, connection, _ = link
    name = workflow.hex()
    names = STAGE_WORKFLOW.keys(keys, graph=keys.graph(name), progress=keys.progress(name))
    for part in parts:
        words = [word for field in part for word in field]
        await connection.run(STAGE_WORKFLOW, names, [STAGED_SECONDS, *words])
