"""How the steps of a run reach the journal of its job, wherever the handler runs."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from ironforge.job.record import Job
from ironforge.steps.calls import ChildJob
from ironforge.steps.children import Window
from ironforge.steps.journal import Entry


class Journal(Protocol):
    """Where no event loop runs, what these answer is done once it is made, and may be sent to its end at once.

    Raises asyncio.CancelledError once the run shall stop, and StepError once it is over.
    """

    recorded: bool
    """Whether the run has recorded something, or may have."""

    def check(self) -> None:
        """Whether the run may go on with steps, as far as is known here."""

    def now_ms(self) -> float:
        """Unix time by the server that the journal is on, as far as it is known."""

    async def load(self) -> Mapping[str, Entry]:
        """All entries, by their names."""

    async def record(self, field: str, entry: Entry, value: bytes) -> Entry:
        """What stands in the journal then, as durable as the mode says. `value`: the entry, encoded."""

    async def submit(
        self, field: str, children: Sequence[ChildJob], window: Window | None, entry: Entry | None
    ) -> Entry:
        """Those children that are not submitted yet, by the entry of an earlier run. Then it is as `Children` says."""

    async def results(self, field: str, entry: Entry, first: int) -> list[Job]:
        """Some ended children from index `first` on."""

    async def resolve(self, value: Awaitable[Any]) -> Any:
        """What a step of a handler that has no event loop has returned."""
