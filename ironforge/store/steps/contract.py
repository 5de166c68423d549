"""What nodes and doors ask of the store about steps, waits and events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from ironforge.job.record import Job, encode
from ironforge.steps import journal
from ironforge.steps.children import Window
from ironforge.steps.journal import Entry, EntryKind
from ironforge.steps.waits import ParentRef
from ironforge.store.contract import Submission


class NewStep(NamedTuple):
    """A step to record: the stream and entry that its job was delivered with, the job's id and fence, the name of the
    entry as `journal.field_of` has it, and the encoded entry. `begins`: False when the journal is known to name this
    run as the last one that has recorded something."""

    stream: str
    entry: bytes
    job_id: bytes
    fence: int
    field: str
    value: bytes
    begins: bool = True


class NewWait(NamedTuple):
    """A delivered job that goes to wait: `record` is stored instead of the delivered one, and says for what.

    `field`, `value`: its entry in the journal, kept as it stands when it is there already. `fence` of the run. `event`:
    its name; of children of which more are to be submitted, `Wait.low` in digits.
    """

    stream: str
    entry: bytes
    job_id: bytes
    record: bytes
    mark: str
    field: str
    value: bytes
    fence: int
    for_: str
    event: str
    until_ms: int

    @classmethod
    def of(cls, stream: str, entry: bytes, job: Job, started_ms: int) -> NewWait:
        """`job`: as it is to be stored, with its `wait`; `started_ms`: since when it waits."""
        wait, fence = job.wait, job.fence - 1
        assert wait is not None
        value = journal.encode(Entry(EntryKind.WAIT, b"", started_ms, wait.until_ms, fence))
        event = str(wait.low) if wait.low else wait.event
        what = wait.name, value, fence, wait.for_, event, wait.until_ms
        return cls(stream, entry, job.id, encode(job), job.mark, *what)


class StepWork(Protocol):
    """What a node does with the steps of jobs that it runs. Raises LeaseLost as `Consumer` does."""

    async def record_steps(self, batch: Sequence[NewStep]) -> list[bytes | None]:
        """What stands in the journals then, in this order: the entries given, or one that was there already, which
        counts instead; None: the run is over, for its job was rewritten or has ended, and nothing was recorded.

        While one call is on its way those that come gather for the next one. Waits while memory is full.
        """

    async def journal(self, stream: str, job_id: bytes) -> Mapping[str, Entry]:
        """Of a job that was delivered from this stream, by the names of entries. Raises IncompatibleRecord when one
        cannot be read."""

    async def results_for(self, stream: str, parent: ParentRef) -> Mapping[str, bytes | None]:
        """What the job of a node that was delivered from this stream gets of others: their results as JSON, by their
        ids; None: it has ended and did not succeed. Raises Unresolved when they are too large together,
        IncompatibleRecord when nothing is known of the end of one."""

    async def park_waiting(self, batch: Sequence[NewWait]) -> None:
        """Out of their streams, until what they wait for is there; then they are requeued by what promotes due jobs."""


class ParentRun(NamedTuple):
    """A run of a job that submits children: the stream and entry that it was delivered with, and its record."""

    stream: str
    entry: bytes
    job: Job

    @property
    def place(self) -> str:
        """Where it runs, as the index says it."""
        return f"{self.stream}:{self.entry.decode()}"


class NewChildren(NamedTuple):
    """All children of a step, so many. `make` gives the submission of the one with this index, for those that go now;
    its id is another one. `window`: how many may be open at once."""

    size: int
    make: Callable[[int], Submission]
    window: Window | None = None


class Children(Protocol):
    """Children of jobs that a node runs. `field`: of their entry in the journal of the parent, as `journal.field_of`
    has it."""

    async def submit(self, run: ParentRun, field: str, children: NewChildren, entry: Entry | None) -> Entry:
        """Submit those of a step that are missing. Gives the entry as the journal has it then: one of kind WAIT is to
        be waited for, of one that is WAITED there are all results.

        `entry` as it was when the run began; None: there was none. Where no more may be open, the entry says that some
        are missing, and the next run goes on behind them. When the parent has come back from the dead letter, those
        that did not complete in its former life are submitted again.

        Raises InvalidStep, StepError when the job was told to stop, LeaseLost, and what a submission raises: those
        before it are submitted then, and the next run goes on behind them.
        """

    async def results(self, run: ParentRun, field: str, entry: Entry, first: int, most: int) -> list[Job]:
        """Records of children that have ended, without payload, from this index on; fewer than `most` where they are
        large, but one at least."""


class Event(NamedTuple):
    """`payload` is JSON. It is kept until `until_ms`, Unix time."""

    name: str
    payload: bytes
    until_ms: int


class Events(Protocol):
    """Events of a namespace. Neither call checks the name."""

    async def send(self, name: str, payload: bytes, keep_ms: int) -> bool:
        """Whether it is the first of its name, and counts; else nothing changes. Returns after the write met the
        durability mode. Raises StoreUnavailable."""

    async def get(self, name: str) -> Event | None: ...
