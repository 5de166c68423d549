"""The workflows of a namespace as one caller sees them: those whose jobs all go to its queues, and what it may submit,
within its quotas."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from ironforge.auth.caller import FOREIGN_KEY, Caller
from ironforge.auth.quota import NO_QUOTA
from ironforge.auth.quota_enforcer import QuotaEnforcer
from ironforge.errors import IdempotencyConflict
from ironforge.job.record import parse_id
from ironforge.store.contract import Most
from ironforge.store.workflows.contract import (
    ANY_WORKFLOW,
    Fork,
    Prepare,
    Prepared,
    SubmittedWorkflow,
    WorkflowFilter,
    WorkflowPage,
    WorkflowRow,
    Workflows,
    WorkflowSubmission,
    WorkflowView,
    no_such_workflow,
)
from ironforge.workflows.again import edited
from ironforge.workflows.errors import WorkflowNotFound
from ironforge.workflows.graph import Graph
from ironforge.workflows.states import NodeState, WorkflowStatus


class CallersWorkflows:
    """Implements `contract.Workflows` for one caller. One of whose jobs some go elsewhere is not there for it."""

    def __init__(self, workflows: Workflows, caller: Caller, quotas: QuotaEnforcer) -> None:
        self._workflows = workflows
        self._caller = caller
        self._quotas = quotas
        self._metered = caller.quota != NO_QUOTA or quotas.quota != NO_QUOTA

    async def submit(self, batch: Sequence[WorkflowSubmission], *, most: Most | None = None) -> list[SubmittedWorkflow]:
        most = self._most(most)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._without_foreign_ids())
            for item in batch:
                await self._admit(item.prepared, stack)
            return await self._workflows.submit(batch, most=most)

    async def view(self, workflow_id: bytes, *, results: bool = False) -> WorkflowView:
        view = await self._workflows.view(workflow_id, results=results)
        if not self._caller.sees(view.queues):
            raise no_such_workflow(workflow_id)
        return view

    async def row(self, workflow_id: bytes) -> WorkflowRow:
        row = await self._workflows.row(workflow_id)
        if not self._caller.sees(row.queues):
            raise no_such_workflow(workflow_id)
        return row

    async def page(
        self, wanted: WorkflowFilter = ANY_WORKFLOW, *, limit: int = 50, cursor: str | None = None
    ) -> WorkflowPage:
        page = await self._workflows.page(wanted, limit=limit, cursor=cursor)
        return page._replace(rows=[row for row in page.rows if self._caller.sees(row.queues)])

    async def pause(self, workflow_id: bytes) -> WorkflowStatus:
        await self._visible(workflow_id)
        return await self._workflows.pause(workflow_id)

    async def resume(self, workflow_id: bytes) -> WorkflowStatus:
        await self._visible(workflow_id)
        return await self._workflows.resume(workflow_id)

    async def cancel(self, workflow_id: bytes) -> WorkflowStatus:
        await self._visible(workflow_id)
        return await self._workflows.cancel(workflow_id)

    async def retry(self, workflow_id: bytes, *, most: Most | None = None) -> WorkflowStatus:
        await self._visible(workflow_id)
        most = self._most(most)
        if not self._metered:
            return await self._workflows.retry(workflow_id, most=most)
        nodes = (await self.view(workflow_id)).nodes
        again = sum(node.state is not NodeState.SUCCEEDED for node in nodes)
        async with self._quotas.retried(self._caller, again):
            return await self._workflows.retry(workflow_id, most=most)

    async def fork(
        self, workflow_id: bytes, fork: Fork, prepare: Prepare, *, most: Most | None = None
    ) -> SubmittedWorkflow:
        view, most = await self.view(workflow_id), self._most(most)
        document = view.document if fork.node is None else edited(view.document, fork.node, fork.payload)[0]
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._without_foreign_ids())
            await self._admit(prepare(document, Graph(document.nodes)), stack)
            return await self._workflows.fork(workflow_id, fork, prepare, most=most)

    async def _visible(self, workflow_id: bytes) -> None:
        if self._caller.queues is not None:
            await self.row(workflow_id)

    async def _admit(self, prepared: Prepared, stack: contextlib.AsyncExitStack) -> None:
        """Until the stack is closed. Raises Forbidden, QuotaExceeded."""
        for queue in prepared.queues:
            self._caller.require_queue(queue)
        if self._metered:
            await stack.enter_async_context(self._quotas.taken_in(self._caller, prepared))

    def _most(self, most: Most | None) -> Most | None:
        return self._quotas.most(self._caller) if most is None and self._metered else most

    @contextlib.asynccontextmanager
    async def _without_foreign_ids(self) -> AsyncIterator[None]:
        """A key may be that of a workflow that the caller may not see."""
        try:
            yield
        except IdempotencyConflict as conflict:
            if self._caller.queues is not None and not await self._sees(conflict.workflow_id):
                raise IdempotencyConflict(FOREIGN_KEY) from None
            raise

    async def _sees(self, workflow_id: str) -> bool:
        """Whether there is one of this id for the caller; empty: what has the key is none."""
        try:
            return bool(workflow_id) and bool(await self.row(parse_id(workflow_id)))
        except WorkflowNotFound:
            return False
