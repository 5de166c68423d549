"""Having a workflow that has ended go on from what did not succeed: under its id, in another generation.

What it is made of then is staged first; one script puts it in place if the workflow still is as it was seen. So of
several who try, one has it go on, and the others are told.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ironforge.errors import IncompatibleRecord, InvalidState, StoreUnavailable
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import encode, format_id, new_id
from ironforge.redis.connection import Command
from ironforge.redis.family_keys import results_of
from ironforge.redis.outages import translating_errors
from ironforge.redis.scripts import RESTART_WORKFLOW
from ironforge.settings import Settings
from ironforge.store.contract import Most
from ironforge.store.producer.refusals import refusal
from ironforge.store.steps.links import Call, ShardLink, store_once
from ironforge.store.workflows.again.ended import EndedWorkflow, read_ended
from ironforge.store.workflows.again.regraphing import Regraphing
from ironforge.store.workflows.again.revival import Back, Revival
from ironforge.store.workflows.again.superseding import Superseding
from ironforge.store.workflows.coordinator import summary_of
from ironforge.store.workflows.graph_fields import size_of
from ironforge.store.workflows.staging import UNSTAGED, Fields, parts_of, stage
from ironforge.workflows.again import retried
from ironforge.workflows.program import encode_progress
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import NodeState

MOST_GENERATIONS: Final = 65_535
# Each is another look: a job that was to come back had left the dead letter meanwhile.
TRIES: Final = 5
# The field of the graph that says which call wrote it.
WRITTEN_BY: Final = "f"


class _Restart(NamedTuple):
    """`progress`: as it goes on from what was `seen`; `back`: jobs of nodes that come back from the dead letter."""

    seen: EndedWorkflow
    progress: Progress
    back: list[Back]

    @property
    def generation(self) -> int:
        return self.seen.head.generation + 1

    @property
    def gone(self) -> list[bytes]:
        """Names of the ends that are not kept."""
        states = enumerate(self.progress.states)
        kept = self.seen.members([number for number, state in states if state.has_ended and state != NodeState.SKIPPED])
        names = {name.encode() for name in kept.values()}
        return [name for name in self.seen.results if name not in names]


class Retrying:
    """In one shard of so many."""

    def __init__(self, settings: Settings, link: ShardLink, shards: int, superseding: Superseding) -> None:
        self._settings = settings
        self._link = link
        self._shards = shards
        self._revival = Revival(link, shards)
        self._superseding = superseding

    async def retry(self, workflow: bytes, most: Most) -> None:
        """Raises WorkflowNotFound, InvalidState, QuotaExceeded, StoreUnavailable."""
        for _ in range(TRIES):
            seen = await read_ended(self._settings, *self._link[:2], workflow, "retried")
            if seen.head.generation == MOST_GENERATIONS:
                why = f"it was retried {MOST_GENERATIONS} times: fork it instead"
                raise InvalidState(why, workflow_status=seen.progress.status)
            restart = _Restart(seen, retried(seen.progress), [])
            back = await self._revival.of(seen, restart.progress)
            for each in back:
                restart.progress.start(each.number)
            restart = restart._replace(back=back)
            superseded = await self._superseding.of(seen, restart.progress, [each.number for each in back])
            reply = await self._restart(restart, most)
            if reply == 0:
                raise await self._too_late(workflow)
            if reply == 1:
                await self._superseding.see_off(superseded)
                return
        raise StoreUnavailable(f"jobs of workflow {format_id(workflow)} moved {TRIES} times meanwhile; try again")

    async def _restart(self, restart: _Restart, most: Most) -> Any:
        """As the script says it; None: what was to come back has moved."""
        staged, seen = new_id(restart.seen.job.id[-1]), restart.seen
        regraphing = Regraphing(self._link, seen, restart.progress, self._shards)
        try:
            fields: Fields = [*await regraphing.fields(), (WRITTEN_BY, staged)]
        except IncompatibleRecord as error:
            raise InvalidState(f"it cannot be retried, as {error}: submit it again", state=seen.job.ended) from None
        await stage(self._link, staged, parts_of(fields))
        call = self._call(restart, staged, len(fields), most)
        try:
            reply = await self._send(call._replace(size=size_of(fields)))
        finally:
            await self._link.connection.call("UNLINK", self._link.keys.graph(staged.hex()))
        if not isinstance(reply, list):
            return reply
        if reply[0] == b"back":
            return None
        raise StoreUnavailable(UNSTAGED) if reply[0] == b"unstaged" else refusal(reply) or AssertionError(reply)

    async def _send(self, call: Call) -> Any:
        """Once more where no answer came: the second time it says what the first one did."""
        with translating_errors():
            try:
                return await store_once(self._link, call)
            except StoreUnavailable as error:
                if error.code != "storage_unavailable":
                    raise
                return await store_once(self._link, call)

    def _call(self, restart: _Restart, staged: bytes, fields: int, most: Most) -> Call:
        keys, seen, progress = self._link.keys, restart.seen, restart.progress
        workflow = seen.job.id
        digits = workflow.hex()
        names = RESTART_WORKFLOW.keys(
            keys,
            waiting=keys.waiting("workflow"),
            staged=keys.graph(staged.hex()),
            graph=keys.graph(digits),
            progress=keys.progress(digits),
            order=keys.order(digits),
            results=results_of(keys, workflow),
        )
        alive = seen.job.retried(now_ms(), reset_retry_count=True)
        cells = encode_progress(progress, restart.generation)
        item = workflow + f"b0.{restart.generation}".encode()
        about: Command = (keys.signals, workflow, staged, fields, seen.record, seen.bucket, encode(alive))
        lists: list[Command] = [summary_of(seen.job).queues, restart.gone, progress.compensation.succeeded]
        lists.append([word for each in restart.back for word in each.words])
        words = [word for each in lists for word in (len(each), *each)]
        arguments = [*about, f"w:{alive.stream}", cells, item, most.queues, *words]
        return Call(RESTART_WORKFLOW, names, arguments, len(progress.states), 0)

    async def _too_late(self, workflow: bytes) -> InvalidState:
        """Raises WorkflowNotFound where it has gone."""
        try:
            seen = await read_ended(self._settings, *self._link[:2], workflow, "retried")
        except InvalidState as running:
            return running
        why = f"workflow {format_id(workflow)} was retried by another call meanwhile, and has ended again"
        return InvalidState(why, workflow_status=seen.progress.status)
