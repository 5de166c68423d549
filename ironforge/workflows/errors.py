"""How a workflow, or a value that one of its nodes is to get, is refused."""

from __future__ import annotations

from ironforge.errors import InvalidJob, IronForgeError, Refused


def wrong(field: str, why: str, hint: str) -> InvalidJob:
    return InvalidJob(f"{field}: {why}: {hint}", code="invalid_workflow", field=field, hint=hint)


class WorkflowNotFound(Refused):
    """There is no such workflow: never submitted, past its retention, or not the caller's."""

    code = "workflow_not_found"


class Unresolved(IronForgeError):
    """A node cannot run: what its payload or its map refers to is not there, or is too large. `place`: where that
    stands in the node, such as `payload.parts[0]`."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place}: {why}")
        self.place = place
        self.why = why
