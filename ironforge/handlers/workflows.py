"""Submission of workflows from an application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ironforge.handlers.binding import Binder
from ironforge.handlers.scheduling import Scheduling
from ironforge.handlers.submission import Submitter
from ironforge.job.checked_options import CheckedOptions
from ironforge.job.json_values import encode
from ironforge.store.workflows.preparing import Own
from ironforge.workflows.decoding import decode_workflow
from ironforge.workflows.definition import Workflow


class _Registered(Protocol):
    """What is asked here of a handler."""

    @property
    def at_door(self) -> CheckedOptions: ...

    @property
    def binder(self) -> Binder: ...


class SubmitsWorkflows(Scheduling):
    _door: Submitter
    _handlers: Mapping[str, _Registered]

    async def submit_workflow(
        self,
        workflow: Workflow | Mapping[str, Any],
        /,
        *,
        idempotency_key: str | None = None,
        id: str | None = None,  # noqa: A002 - as `submit` calls it
    ) -> str:
        """Submit a workflow, as `dag` makes it or as HTTP takes it; its id. What a kind fixes for its jobs holds for
        its nodes too; no middleware for submissions is called. A given `id` makes the call safe to repeat.

        Raises InvalidJob with the place of what is wrong, SerializationError, IdempotencyConflict, StoreUnavailable.
        """
        if not isinstance(workflow, Workflow):
            workflow = decode_workflow(encode(workflow, "workflow"))
        return await self._door.submit_workflow(workflow, self._own, idempotency_key, id)

    def _own(self, kind: str) -> Own | None:
        handler = self._handlers.get(kind)
        return None if handler is None else Own(handler.at_door, handler.binder.bind)
