"""Submit an album, whose photo is scaled three times side by side, and two orders: one is approved, and one paid back.

    ironforge dev &
    python -m ironforge.examples.submit_workflows

The API is looked for at IRONFORGE_URL, by default http://127.0.0.1:3000.
"""

from __future__ import annotations

import uuid

from ironforge import Client
from ironforge.workflows import Workflow, chain, dag, group, node


def album(url: str, to: str) -> Workflow:
    fetch = node("photo.fetch", {"url": url}, id="fetch")
    sizes = [
        node("photo.scale", {"file": fetch.result["file"], "width": width}, id=f"w{width}")
        for width in (100, 400, 1600)
    ]
    merge = node("album.merge", {"pages": [size.result for size in sizes]}, id="merge")
    tell = node("email.send", {"to": to, "album": merge.result}, id="tell", priority="high")
    return dag("album.build", chain(fetch, group(*sizes), merge, tell))


def order(number: str, approve_within_seconds: float) -> Workflow:
    """Paid back unless somebody approves it in time."""
    charge = node("order.charge", {"order": number}, id="charge", compensate="order.refund")
    approve = node("order.approve", {"order": number, "within_seconds": approve_within_seconds}, id="approve")
    ship = node("order.ship", {"order": number, "approved_by": approve.result["by"]}, id="ship")
    return dag("order.fulfil", chain(charge, approve, ship))


def main(client: Client) -> None:
    number = uuid.uuid4().hex[:8]
    workflows = (
        album("https://example.com/cat.jpg", "ada@example.com"),
        order(number, approve_within_seconds=60),
        order(f"{number}-late", approve_within_seconds=0.2),
    )
    ids = [client.submit_workflow(workflow)["id"] for workflow in workflows]
    client.send_event(f"approved:{number}", {"by": "ada"})
    for workflow_id in ids:
        ended = client.wait_workflow(workflow_id, timeout_seconds=60)
        print(f"{ended['name']} {workflow_id} {ended['status']}: {ended['reason'] or ended['nodes'][-1]['result']}")
        print(f"  ironforge workflows show {workflow_id}")


if __name__ == "__main__":
    with Client() as api:
        main(api)
