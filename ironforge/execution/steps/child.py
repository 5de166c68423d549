"""How the steps of a handler in a child process reach the journal of its job: by asking the node, which has it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from ironforge.execution.conclusion import awaited
from ironforge.execution.process_frames import MAX_FRAME_BYTES, Answer, Ask, PackedChild
from ironforge.execution.steps.children import parts_of
from ironforge.formats.timestamps import now_ms
from ironforge.job.json_values import encode_payload
from ironforge.job.options import JobKeywords, check_names, options_of
from ironforge.job.record import Job
from ironforge.job.tracebacks import RemoteFailure
from ironforge.steps import errors
from ironforge.steps.calls import ChildJob
from ironforge.steps.children import Window
from ironforge.steps.errors import OVER, InvalidStep, StepError
from ironforge.steps.journal import Entry

# In one frame, with what is around them.
MAX_CHILDREN_BYTES: Final = MAX_FRAME_BYTES // 2


class ChildJournal:
    """Implements `execution.steps.journal.Journal`. `ask` blocks."""

    recorded = False  # which the node knows better

    def __init__(self, ask: Callable[[Ask], Answer]) -> None:
        self._ask = ask
        self._is_over = False

    def close(self) -> None:
        """The run is over."""
        self._is_over = True

    def check(self) -> None:
        if self._is_over:
            raise InvalidStep(OVER)

    def now_ms(self) -> float:
        return now_ms()

    async def load(self) -> Mapping[str, Entry]:
        return self._told(Ask("load")).entries

    async def record(self, field: str, entry: Entry, _: bytes) -> Entry:
        return self._told(Ask("record", field, entry)).entry or entry

    async def submit(
        self, field: str, children: Sequence[ChildJob], window: Window | None, entry: Entry | None
    ) -> Entry:
        packed = tuple(_packed(child, index) for index, child in enumerate(children))
        if sum(len(payload) for _, payload, _ in packed) > MAX_CHILDREN_BYTES:
            words = f"its children have more than {MAX_CHILDREN_BYTES} bytes of payloads together"
            raise InvalidStep(f"{words}, and this handler runs in a process: submit references, or run it elsewhere")
        told = self._told(Ask("submit", field, entry, children=packed, window=window))
        assert told.entry is not None
        return told.entry

    async def results(self, field: str, entry: Entry, first: int) -> list[Job]:
        return list(self._told(Ask("results", field, entry, first)).jobs)

    async def resolve(self, value: Awaitable[Any]) -> Any:
        return asyncio.run(awaited(value))

    def _told(self, ask: Ask) -> Answer:
        self.check()
        answer = self._ask(ask)
        if answer.error is not None:
            raise _raised(*answer.error)
        return answer


def _packed(child: ChildJob, index: int) -> PackedChild:
    kind, payload, options = parts_of(child, index)
    if not isinstance(kind, str):
        raise InvalidStep(f"child {index}: a handler in a process names kinds, it was given {kind!r:.60}")
    check_names("a child", options, JobKeywords)
    return kind, encode_payload(payload), options_of(options)


def _raised(name: str, message: str, trace: str) -> Exception:
    """What the node raised: as the handler may catch it, where it is of steps."""
    cls = getattr(errors, name.removeprefix(f"{errors.__name__}."), None)
    if isinstance(cls, type) and issubclass(cls, StepError) and cls.__init__ is StepError.__init__:
        return cls(message)
    return RemoteFailure(name, message, trace)
