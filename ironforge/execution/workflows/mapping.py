"""The kind that every node runs beside those of its application: a node of a workflow that maps a list.

Its job submits a job for each item and waits for them, as any handler may. So an item that has ended stays done,
whatever becomes of a run of it.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, overload

import msgspec

from ironforge.errors import Discard, InvalidJob
from ironforge.execution.outcome import Attempt
from ironforge.execution.steps.gathering import encoded_results
from ironforge.handlers.binding import Binder
from ironforge.handlers.forge import Handler
from ironforge.handlers.payload_errors import Shape
from ironforge.job.checks import MAX_RESULT_BYTES
from ironforge.job.context import Context
from ironforge.job.options import JobOptions
from ironforge.job.retry import Backoff
from ironforge.job.tracebacks import UnusableResult
from ironforge.steps.calls import ChildJob
from ironforge.steps.errors import ChildrenFailed, StepError
from ironforge.workflows.errors import Unresolved
from ironforge.workflows.jobs import ITEMS_STEP, MAP_KIND, MapPayload
from ironforge.workflows.payloads import items_of, resolved, with_results

# Lists that are kept for the next run: one with `max_parallel` runs once for each tenth of it.
LISTS_KEPT: Final = 4
_NAMED: Final = 5
_ELSEWHERE: Final = f"jobs of kind {MAP_KIND} are nodes of workflows: submit a workflow with a node that has a map"
_decode: Final = msgspec.json.Decoder(MapPayload).decode


class Items(Sequence[ChildJob]):
    """The jobs of a map, each made when it is asked for."""

    def __init__(self, payload: MapPayload, results: Mapping[str, bytes | None]) -> None:
        """Raises Unresolved."""
        options = {} if payload.options is None else msgspec.structs.asdict(payload.options)
        self.max_parallel = payload.max_parallel
        self.needed = payload.needed
        self._kind = payload.kind
        self._options = {name: value for name, value in options.items() if value is not None}
        self._template = with_results(bytes(payload.payload), results)
        self._items = items_of(payload.over, results)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> ChildJob: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[ChildJob]: ...

    def __getitem__(self, index: int | slice) -> ChildJob | Sequence[ChildJob]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        try:
            payload = resolved(self._template, {}, self._items[index])
        except Unresolved as error:
            raise Unresolved(f"item {index}, {error.place}", error.why) from None
        return self._kind, msgspec.Raw(payload), self._options


class _Kept(NamedTuple):
    job_id: bytes
    revivals: int


class Maps:
    """Runs the jobs of maps on one node."""

    backoff = Backoff()

    def __init__(self) -> None:
        self._lists: OrderedDict[_Kept, Items] = OrderedDict()

    @property
    def handler(self) -> Handler:
        binder = Binder(lambda _: {}, None, Shape())
        return Handler(
            kind=MAP_KIND,
            function=self.run,
            executor="async",
            binder=binder,
            provided={},
            options=JobOptions(),
            backoff=self.backoff,
        )

    async def run(self, context: Context, attempt: Attempt) -> Any:
        """As the endpoint of a handler."""
        items = await self._items(attempt)
        read = functools.partial(encoded_results, most_bytes=MAX_RESULT_BYTES)
        try:
            found = await attempt.steps_of(context).children(ITEMS_STEP, items, items.max_parallel, read)
        except ChildrenFailed as error:
            raise Discard(_failed(error, len(items))) from None
        except InvalidJob as error:
            raise StepError(f"item {error.index} cannot be submitted: {error}") from None
        if found is None and items.needed:
            size = f"the results of the {len(items)} items have more than {MAX_RESULT_BYTES} bytes together"
            raise UnusableResult(f"result_too_large: {size}: have each return a reference")
        return None if found is None else msgspec.Raw(found)

    async def _items(self, attempt: Attempt) -> Items:
        key = _Kept(attempt.job.id, attempt.job.revivals)
        items = self._lists.pop(key, None)
        if items is None:
            if attempt.read_results is None:
                raise Discard(_ELSEWHERE)
            items = Items(_decode(attempt.job.payload), await attempt.read_results())
        self._lists[key] = items
        while len(self._lists) > LISTS_KEPT:
            self._lists.popitem(last=False)
        return items


def _failed(error: ChildrenFailed, count: int) -> str:
    named = "; ".join(
        f"item {one.index}, job {one.job_id}, is {one.status}" + (one.reason and f": {one.reason}")
        for one in error.failed[:_NAMED]
    )
    more = " …" if len(error.failed) > _NAMED else ""
    have = "has" if len(error.failed) == 1 else "have"
    return f"{len(error.failed)} of the {count} items {have} no result: {named}{more}"
