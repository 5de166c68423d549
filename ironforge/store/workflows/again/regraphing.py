"""What a workflow is made of in its next generation: as it was, with jobs of this generation for what is to run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ironforge.errors import IncompatibleRecord
from ironforge.store.steps.links import ShardLink
from ironforge.store.workflows.again.ended import EndedWorkflow
from ironforge.store.workflows.graph_fields import CALLBACKS, TAILS, constant_fields, runs, undo_field
from ironforge.store.workflows.nodes import NodeJobs, field_of, held_of, job_in, undo_number
from ironforge.store.workflows.staging import Fields
from ironforge.workflows.progress import Progress

# Fields that are read at once.
AT_ONCE: Final = 1_000


class Regraphing:
    """Of what was `seen`, as `progress` goes on from there."""

    def __init__(self, link: ShardLink, seen: EndedWorkflow, progress: Progress, shards: int) -> None:
        self._connection = link.connection
        self._key = link.keys.graph(seen.job.id.hex())
        self._seen = seen
        self._progress = progress
        generation = seen.head.generation + 1
        nodes = range(len(progress.graph))
        kept = {number: seen.newest.get(number, 0) for number in nodes if not runs(progress, number)}
        self._jobs = NodeJobs(seen.job.id, seen.document, progress.graph, shards, generation=generation, kept=kept)

    async def fields(self) -> Fields:
        """Raises IncompatibleRecord."""
        document, graph = self._seen.document, self._progress.graph
        made = constant_fields(document, graph, self._progress.ready)
        made += await self._of_nodes([number for number in range(len(graph)) if runs(self._progress, number)])
        made += await self._as_they_are([number for number in range(len(graph)) if not runs(self._progress, number)])
        made += await self._of_undoing([number for number, node in enumerate(graph.nodes) if node.compensate])
        outcomes = [*CALLBACKS]
        found = await self._read([*(CALLBACKS[outcome] for outcome in outcomes), TAILS])
        for outcome, (name, value) in zip(outcomes, found, strict=False):
            if value is not None:
                made.append((name, held_of(self._jobs.callback_anew(outcome, job_in(name, value)))))
        if (tails := found[-1][1]) is not None:
            made.append((TAILS, tails))
        return made

    async def _of_nodes(self, numbers: Sequence[int]) -> Fields:
        made: Fields = []
        found = await self._jobs_of(numbers)
        for number, plain, special in zip(numbers, found[::2], found[1::2], strict=True):
            name, value = plain if special[1] is None else special
            if value is None:
                raise IncompatibleRecord(f"the job of node {number} of workflow {self._seen.job.text_id} is gone")
            made.append(field_of(number, self._jobs.anew(number, job_in(name, value))))
        return made

    async def _as_they_are(self, numbers: Sequence[int]) -> Fields:
        """Jobs of nodes that keep their results: once these are undone they run again, by a later retry."""
        return [(name, value) for name, value in await self._jobs_of(numbers) if value is not None]

    async def _jobs_of(self, numbers: Sequence[int]) -> list[tuple[str, bytes | None]]:
        """Of each node the two fields that may have its job."""
        return await self._read([f"{letter}{number}" for number in numbers for letter in "rR"])

    async def _of_undoing(self, numbers: Sequence[int]) -> Fields:
        made: Fields = []
        for number, (name, value) in zip(numbers, await self._read([*map(undo_field, numbers)]), strict=True):
            if value is None:
                raise IncompatibleRecord(f"what undoes node {number} of {self._seen.job.text_id} is gone")
            made.append((name, held_of(self._jobs.anew(undo_number(number), job_in(name, value)))))
        return made

    async def _read(self, names: Sequence[str]) -> list[tuple[str, bytes | None]]:
        values: list[bytes | None] = []
        for start in range(0, len(names), AT_ONCE):
            values += await self._connection.call("HMGET", self._key, *names[start : start + AT_ONCE])
        return list(zip(names, values, strict=True))
