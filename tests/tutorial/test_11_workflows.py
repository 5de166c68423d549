"""Lesson 11: submit several jobs that depend on each other, as one document."""

from __future__ import annotations

import json
from typing import Any

from ironforge import Discard, Forge
from ironforge.workflows import chain, dag, group, node

forge = Forge()
refunded: list[str] = []


@forge.job("photo.fetch")
async def fetch(url: str) -> dict[str, str]:
    return {"file": url.rsplit("/", 1)[-1]}


@forge.job("photo.scale")
async def scale(file: str, width: int) -> str:
    return f"{width}/{file}"


@forge.job("album.merge")
async def merge(pages: list[str]) -> str:
    return " and ".join(pages)


@forge.job("order.charge")
async def charge(order: str) -> dict[str, Any]:
    return {"order": order, "cents": 1999}


@forge.job("order.refund")
async def refund(payload: Any) -> None:
    refunded.append(payload["result"]["order"])


@forge.job("order.ship")
async def ship(order: str, address: str) -> str:
    if not address:
        raise Discard(f"order {order} has no address")
    return f"order {order} is on its way to {address}"


@forge.job("order.refunded")
async def look(order: str) -> int:
    return refunded.count(order)


def order(number: str, address: str) -> Any:
    charged = node("order.charge", {"order": number}, id="charge", compensate="order.refund")
    shipped = node("order.ship", {"order": number, "address": address}, id="ship")
    return dag("order.fulfil", chain(charged, shipped))


def test_what_one_node_returns_another_one_gets(client):
    fetched = node("photo.fetch", {"url": "https://example.com/cat.jpg"})
    # Side by side, each with the file that the first one has returned.
    file = fetched.result["file"]
    sizes = group(*(node("photo.scale", {"file": file, "width": width}) for width in (100, 400, 1600)))
    merged = node("album.merge", {"pages": [size.result for size in sizes.nodes]})

    accepted = client.submit_workflow(dag("album.build", chain(fetched, sizes, merged)))
    done = client.wait_workflow(accepted["id"])
    assert done["status"] == "completed"
    assert done["nodes"][-1]["result"] == "100/cat.jpg and 400/cat.jpg and 1600/cat.jpg"


def test_it_is_a_document_that_any_language_can_write(tmp_path, ironforge):
    document = {
        "name": "album.one",
        "nodes": [
            {"id": "fetch", "kind": "photo.fetch", "payload": {"url": "https://example.com/dog.jpg"}},
            {
                "id": "scale",
                "kind": "photo.scale",
                "payload": {"file": {"$result": "fetch.result.file"}, "width": 100},
                "after": ["fetch"],
            },
        ],
    }
    file = tmp_path / "album.json"
    file.write_text(json.dumps(document))
    # Or `curl …/workflows -d @album.json`.
    submitted = ironforge("workflows", "submit", str(file), "--watch")
    assert submitted.returncode == 0
    assert "scale  succeeded" in submitted.stdout


def test_what_was_done_is_undone_when_a_later_node_fails(client, ironforge):
    workflow_id = client.submit_workflow(order("42", address=""))["id"]
    ended = client.wait_workflow(workflow_id)
    assert ended["status"] == "failed"
    assert [one["status"] for one in ended["nodes"]] == ["succeeded", "failed"]
    assert client.wait(client.submit("order.refunded", {"order": "42"})["id"])["result"] == 1
    assert "order 42 has no address" in ironforge("workflows", "show", workflow_id).stdout


def test_it_goes_on_with_another_payload(client):
    """As a workflow of its own, which has the results of the first one."""
    workflow_id = client.submit_workflow(order("43", address=""))["id"]
    client.wait_workflow(workflow_id)
    forked = client.fork_workflow(workflow_id, "ship", payload={"order": "43", "address": "Baker Street"})
    ended = client.wait_workflow(forked["id"])
    assert ended["nodes"][-1]["result"] == "order 43 is on its way to Baker Street"
