"""Short ways to submit workflows over HTTP and to look at them, for tests."""

from __future__ import annotations

import io
from typing import Any

GHOST = "0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50"


def document(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "test", "nodes": nodes, **more}


async def post(api: Any, body: bytes) -> Any:
    headers = {"Content-Type": "application/json"}
    return await api.call("POST", "/workflows", data=io.BytesIO(body), headers=headers)


async def submit(api: Any, *nodes: dict[str, Any], **more: Any) -> str:
    answer = await api.call("POST", "/workflows", json=document(*nodes, **more))
    assert answer.status == 201, answer.body
    return answer.body["id"]


async def shown(api: Any, workflow_id: str, **query: str) -> dict[str, Any]:
    answer = await api.call("GET", f"/workflows/{workflow_id}", params=query)
    assert answer.status == 200, answer.body
    return answer.body


async def act(api: Any, workflow_id: str, what: str, **options: Any) -> Any:
    return await api.call("POST", f"/workflows/{workflow_id}/{what}", **options)


async def until_running(api: Any, worker: Any, workflow_id: str, number: int = 0) -> dict[str, Any]:
    while (found := await shown(api, workflow_id))["nodes"][number]["status"] != "running":
        await worker.promote()
    return found


async def until_ended(api: Any, worker: Any, workflow_id: str) -> dict[str, Any]:
    while (found := await shown(api, workflow_id))["status"] in ("running", "paused"):
        await worker.promote()
    return found
