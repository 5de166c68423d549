"""Short ways to write workflows, for tests."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ironforge.errors import InvalidJob
from ironforge.workflows.checks import check_workflow
from ironforge.workflows.decoding import decode_workflow
from ironforge.workflows.definition import Workflow
from ironforge.workflows.graph import Graph


def node(name: str, *after: Any, **more: Any) -> dict[str, Any]:
    return {"id": name, "kind": f"do.{name}", **({"after": after} if after else {}), **more}


def edge(name: str, when: str) -> dict[str, str]:
    return {"node": name, "when": when}


def result(text: str) -> dict[str, str]:
    return {"$result": text}


def workflow(*nodes: dict[str, Any], **more: Any) -> Workflow:
    return decode_workflow(msgspec.json.encode({"name": "test", "nodes": nodes, **more}))


def checked(*nodes: dict[str, Any], **more: Any) -> Graph:
    return check_workflow(workflow(*nodes, **more))


def refusal(*nodes: dict[str, Any], **more: Any) -> InvalidJob:
    with pytest.raises(InvalidJob) as refused:
        checked(*nodes, **more)
    return refused.value
