"""What doors ask of the store about workflows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from ironforge.job.checked_options import CheckedOptions
from ironforge.job.record import format_id
from ironforge.job.tick import JobTick
from ironforge.store.contract import Most
from ironforge.workflows.definition import Workflow
from ironforge.workflows.errors import WorkflowNotFound
from ironforge.workflows.graph import Graph
from ironforge.workflows.jobs import NodeJob
from ironforge.workflows.progress import Outcome
from ironforge.workflows.states import NodeState, WorkflowStatus

# Results of more bytes than these are left out of a view, unless they are asked for.
SHOWN_RESULT_BYTES: Final = 65_536


class Prepared(NamedTuple):
    """A workflow as a door makes it ready. `graph`: of the document, as `check_workflow` gives it. `jobs` of its nodes,
    by number, and their `options`, with what the workflow and their kinds say. `queues`: all that its jobs go to,
    sorted. `by`: who submits it, for those who look. `undoing`: options of what undoes nodes, by their number;
    `callbacks`: of what is told of an end, by outcome; what is not given is as the workflow says."""

    document: Workflow
    graph: Graph
    jobs: Sequence[NodeJob]
    options: Sequence[CheckedOptions]
    queues: tuple[str, ...]
    by: str = ""
    undoing: Mapping[int, CheckedOptions] = MappingProxyType({})
    callbacks: Mapping[Outcome, CheckedOptions] = MappingProxyType({})


# Makes a changed document ready, as for a submission. Raises InvalidJob.
Prepare = Callable[[Workflow, Graph], Prepared]


class WorkflowSubmission(NamedTuple):
    """One workflow to accept. `id`: a UUIDv7 that the caller makes; with an idempotency key its last byte is
    `tail_of(key)`. `fingerprint`: any bytes that identify the content, for that key. `tick`: of the schedule that it is
    from.

    With the same id, or the same key and content, it is the same workflow, whether it was there already or not.
    """

    id: bytes
    prepared: Prepared
    idempotency_key: str | None = None
    fingerprint: bytes = b""
    tick: JobTick | None = None


class SubmittedWorkflow(NamedTuple):
    """`replayed`: it was there already, under this id, and this is how it is now."""

    id: bytes
    status: WorkflowStatus = "running"
    replayed: bool = False


class CompensationView(NamedTuple):
    """How far the undoing of a node is: `pending` while others come first, `skipped` where one of these could not be.
    `job_id` once that is submitted; `reason`: why it could not be undone."""

    state: NodeState
    job_id: bytes | None = None
    reason: str = ""


class ItemCounts(NamedTuple):
    """Of the items of a map, how many there are, have ended, and have failed. `failed` None: too many have ended, or
    too large ones, to tell."""

    total: int
    ended: int
    failed: int | None


class NodeView(NamedTuple):
    """A node as it stands. `job_id` once its job is submitted; whether that waits or runs, the job itself says.
    `result`: JSON, of one that succeeded; None also where it is left out for its size: `truncated`. `reason`: why it
    failed, was cancelled or skipped. Times are Unix ms; 0: not yet. `items`: of a map that runs. `compensation`: of one
    that is to be undone, or was."""

    id: str
    kind: str
    state: NodeState
    job_id: bytes | None = None
    result: bytes | None = None
    truncated: bool = False
    reason: str = ""
    started_ms: int = 0
    ended_ms: int = 0
    items: ItemCounts | None = None
    compensation: CompensationView | None = None


class WorkflowView(NamedTuple):
    """`reason`: why it failed or was cancelled, or was paused as it had been damaged. `nodes` by number, as the
    document has them; of one that lost its document there are none. `queues`: all that its jobs go to.
    `generation`: how often it was retried. `tick`: of the schedule that it is from."""

    id: bytes
    name: str
    status: WorkflowStatus
    created_ms: int
    ended_ms: int
    reason: str
    document: Workflow
    nodes: Sequence[NodeView]
    queues: tuple[str, ...] = ()
    by: str = ""
    generation: int = 0
    tick: JobTick | None = None


class WorkflowFilter(NamedTuple):
    """Which workflows to list; None: whatever it is."""

    status: WorkflowStatus | None = None
    name: str | None = None


ANY_WORKFLOW: Final = WorkflowFilter()


class WorkflowRow(NamedTuple):
    """`nodes`: how many it has; `left`: of how many the end is still to come. `queues`: all that its
    jobs go to. `tick`: of the schedule that it is from."""

    id: bytes
    name: str
    status: WorkflowStatus
    created_ms: int
    ended_ms: int
    reason: str
    nodes: int
    left: int
    queues: tuple[str, ...] = ()
    by: str = ""
    tick: JobTick | None = None


class Fork(NamedTuple):
    """From the node of this id on (None: from those that did not succeed); `payload`: JSON, of that node instead of its
    own. `id`, `idempotency_key` and `fingerprint` as in `WorkflowSubmission`; the last byte of the id is that of the
    forked workflow."""

    id: bytes
    node: str | None = None
    payload: bytes | None = None
    idempotency_key: str | None = None
    fingerprint: bytes = b""


class WorkflowPage(NamedTuple):
    """The newest first. `cursor` is None at the end. A page may be short or empty before it: filters look at a bounded
    number."""

    rows: list[WorkflowRow]
    cursor: str | None


class WorkflowDoor(Protocol):
    """Workflows of a namespace, in all shards. Every method raises StoreUnavailable; those that name a workflow raise
    WorkflowNotFound."""

    async def submit(self, batch: Sequence[WorkflowSubmission], *, most: Most | None = None) -> list[SubmittedWorkflow]:
        """Each for itself, in the order given; returns after the writes met the durability mode. Raises for the first
        that is refused: IdempotencyConflict, QuotaExceeded, InvalidJob for a payload without the key that its kind
        takes from it. Those before it may be accepted then, and it can be repeated."""

    async def view(self, workflow_id: bytes, *, results: bool = False) -> WorkflowView:
        """`results`: also large ones, as many as 64 MiB of records have."""

    async def row(self, workflow_id: bytes) -> WorkflowRow:
        """As in a page: without its nodes."""

    async def page(
        self, wanted: WorkflowFilter = ANY_WORKFLOW, *, limit: int = 50, cursor: str | None = None
    ) -> WorkflowPage:
        """Raises ValueError when `cursor` is not one this store gave out."""


class Steering(Protocol):
    async def pause(self, workflow_id: bytes) -> WorkflowStatus:
        """What runs goes on, and nothing starts. Raises InvalidState once it has ended."""

    async def resume(self, workflow_id: bytes) -> WorkflowStatus:
        """Raises InvalidState once it has ended."""

    async def cancel(self, workflow_id: bytes) -> WorkflowStatus:
        """Nothing of it starts any more, and what runs is told to stop: `running` until that has ended. Raises
        InvalidState once it has ended."""


class SteeredWorkflows(WorkflowDoor, Steering, Protocol):
    """What doors ask of workflows that have not ended."""


class Restarting(Protocol):
    async def retry(self, workflow_id: bytes, *, most: Most | None = None) -> WorkflowStatus:
        """Of one that failed or was cancelled: from the nodes that did not succeed, and all that waits for these.
        Raises InvalidState for any other."""

    async def fork(
        self, workflow_id: bytes, fork: Fork, prepare: Prepare, *, most: Most | None = None
    ) -> SubmittedWorkflow:
        """Another workflow with the same document and the results that this one has, from a node on. Raises
        InvalidState for one that has not ended, InvalidJob, IdempotencyConflict, QuotaExceeded."""


class Workflows(SteeredWorkflows, Restarting, Protocol):
    """All that doors ask."""


def no_such_workflow(workflow_id: bytes) -> WorkflowNotFound:
    return WorkflowNotFound(f"there is no workflow {format_id(workflow_id)}: never submitted, or past its retention")
