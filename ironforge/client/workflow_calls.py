"""The calls of the Python client that are about workflows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Generic

import msgspec

from ironforge.client.event_calls import EventCalls
from ironforge.client.limit_calls import Answer
from ironforge.client.polling import until_ended
from ironforge.client.requests import id_path, keyed
from ironforge.formats.duration import Duration, seconds_of
from ironforge.job.json_values import encode, encode_payload
from ironforge.workflows.decoding import encode_workflow
from ironforge.workflows.definition import Workflow

ENDED: Final = frozenset({"completed", "failed", "cancelled"})


class WorkflowCalls(EventCalls[Answer], Generic[Answer]):
    """Whatever way they are run."""

    def submit_workflow(self, workflow: Workflow | Mapping[str, Any], *, idempotency_key: str | None = None) -> Answer:
        """`{"id", "name", "status", "nodes"}`. `workflow`: as `dag` makes it, or as HTTP takes it. Raises InvalidJob
        with the place of what is wrong, SerializationError before anything is sent.

        Without an `idempotency_key` one is made, so that a repetition after a lost answer submits nothing twice.
        """
        body = encode_workflow(workflow) if isinstance(workflow, Workflow) else encode(workflow, "workflow")
        return self._answer(self._http.call("POST", "/workflows", body=body, headers=keyed(idempotency_key)))

    def workflows(self, **query: str | int | None) -> Answer:
        """One page, `{"workflows", "next"}`, the newest first; filters: status, name; limit; cursor is `next` of the
        page before."""
        return self._answer(self._http.call("GET", "/workflows", query=query))

    def workflow(self, workflow_id: str, *, results: bool = False) -> Answer:
        """`{"id", "name", "status", "nodes": [{"id", "status", "job_id", "result", …}], "workflow", …}`; with `results`
        also those of more than 64 KiB. Raises WorkflowNotFound."""
        query = {"results": "true"} if results else None
        return self._answer(self._http.call("GET", _path(workflow_id), query=query))

    def cancel_workflow(self, workflow_id: str) -> Answer:
        """`{"id", "status"}`: nothing of it starts any more, and what runs is told to stop. Raises WorkflowNotFound,
        InvalidState for one that has ended."""
        return self._act(workflow_id, "cancel")

    def pause_workflow(self, workflow_id: str) -> Answer:
        """`{"id", "status"}`: no node starts until it is resumed; what runs goes on. Raises as `cancel_workflow`."""
        return self._act(workflow_id, "pause")

    def resume_workflow(self, workflow_id: str) -> Answer:
        """`{"id", "status"}`. Raises as `cancel_workflow`."""
        return self._act(workflow_id, "resume")

    def retry_workflow(self, workflow_id: str) -> Answer:
        """`{"id", "status"}`: a failed or cancelled one goes on from the nodes that failed, were cancelled or undone.
        Raises WorkflowNotFound, InvalidState."""
        return self._act(workflow_id, "retry")

    def fork_workflow(
        self,
        workflow_id: str,
        node: str | None = None,
        *,
        payload: object = msgspec.UNSET,
        idempotency_key: str | None = None,
    ) -> Answer:
        """As `submit_workflow`: another one with the results of one that has ended, in which this node runs again, with
        all that waits for it and what a retry would run. `payload`: of this node, instead of the one that it had.
        Raises WorkflowNotFound, InvalidState, InvalidJob."""
        said: dict[str, object] = {} if node is None else {"node": node}
        if payload is not msgspec.UNSET:
            said["payload"] = msgspec.Raw(encode_payload(payload))
        path = f"{_path(workflow_id)}/fork"
        headers = keyed(idempotency_key)
        return self._answer(self._http.call("POST", path, body=msgspec.json.encode(said), headers=headers))

    def wait_workflow(self, workflow_id: str, timeout_seconds: Duration = 60.0) -> Answer:
        """As `workflow`, once it is completed, failed or cancelled, and what undoes its nodes has run. Raises
        WaitTimeout."""
        seconds, what = seconds_of(timeout_seconds), f"workflow {workflow_id}"
        return self._answer(until_ended(self._http, _path(workflow_id), what, ENDED, seconds))

    def _act(self, workflow_id: str, what: str) -> Answer:
        return self._answer(self._http.call("POST", f"{_path(workflow_id)}/{what}"))


def _path(workflow_id: str) -> str:
    return id_path("workflows", "workflow", workflow_id)
