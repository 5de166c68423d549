"""The calls of a handler's context that make steps, and those in which its job waits away from the node."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias

from ironforge.formats.duration import Duration
from ironforge.steps.names import checked_field, shown

Key: TypeAlias = str | int | None
# A child of `gather`: kind and payload, or these and the options of a submission.
ChildJob: TypeAlias = Sequence[Any]


class Stepping(Protocol):
    """The steps of one run."""

    def step(self, name: str, function: Callable[..., Any], key: Key, call: Callable[[], Any]) -> Any: ...

    def sleep(self, name: str, duration: Duration, key: Key) -> Any: ...

    def event(self, event: str, timeout: Duration | None, name: str | None, key: Key) -> Any: ...

    def gather(
        self, name: str, children: Iterable[ChildJob], *, return_exceptions: bool, max_parallel: int | None
    ) -> Any: ...


class StepCalls:
    """Where an event loop runs, what these answer is to be awaited; elsewhere (in threads and processes) they block.

    A run of which the node knows that it shall stop (timed out, cancelled, its lease lost) records nothing more: then
    each of them raises asyncio.CancelledError.
    """

    __slots__ = ()

    @property
    def _steps(self) -> Stepping:
        raise NotImplementedError

    @property
    def id(self) -> str:
        raise NotImplementedError

    def step(self, name: str, function: Callable[..., Any], /, *args: Any, key: Key = None, **kwargs: Any) -> Any:
        """What `function` returns for the arguments, recorded once: a later run of the job gets the recorded value, and
        does not call it. It may be asynchronous; one that is not runs in a thread where it would block an event loop.

        The value is recorded as JSON, at most 64 KiB, and comes back as the return annotation says, on the first run
        too. What it raises is not recorded. `key`: tells steps of one name apart, in a loop. Raises StepError.
        """
        return self._steps.step(name, function, key, functools.partial(function, *args, **kwargs))

    def step_key(self, name: str, key: Key = None) -> str:
        """The same in every run of the job: hand it to services that deduplicate. Raises InvalidStep."""
        return f"{self.id}/{shown(checked_field(name, key))}"

    def sleep(self, name: str, duration: Duration, *, key: Key = None) -> Any:
        """Seconds, or a timedelta, from when the first run comes by here. The job leaves its node meanwhile: it holds
        no slot, and no attempt is spent."""
        return self._steps.sleep(name, duration, key)

    def event(
        self, event: str, /, *, timeout_seconds: Duration | None = None, name: str | None = None, key: Key = None
    ) -> Any:
        """The JSON value that came with the event of this name, sent before or since; until then the job waits as in
        `sleep`. Raises EventTimeout when none came in time, in later runs too. `name`: of the step, else the event's.
        """
        return self._steps.event(event, timeout_seconds, name, key)

    def gather(
        self,
        name: str,
        children: Iterable[ChildJob],
        /,
        *,
        return_exceptions: bool = False,
        max_parallel: int | None = None,
    ) -> Any:
        """The results of these jobs, each a (kind, payload) or (kind, payload, options), in their order; the job waits
        for them as in `sleep`. They are submitted once, whatever becomes of this run. `max_parallel`: how many of them
        there are at once; the job runs again to submit the next ones, a tenth at a time.

        Raises ChildrenFailed when some are dead, cancelled or expired, once all have ended; with `return_exceptions`
        that stands in their places. Up to 4 MiB of results are a list, more of them an iterator.
        """
        return self._steps.gather(name, children, return_exceptions=return_exceptions, max_parallel=max_parallel)

    def map(
        self,
        name: str,
        kind: str,
        payloads: Iterable[Any],
        /,
        *,
        return_exceptions: bool = False,
        max_parallel: int | None = None,
        **options: Any,
    ) -> Any:
        """As `gather`, of a job of `kind` for each payload, all with the same options of a submission."""
        children = [(kind, payload, options) for payload in payloads]
        return self.gather(name, children, return_exceptions=return_exceptions, max_parallel=max_parallel)
