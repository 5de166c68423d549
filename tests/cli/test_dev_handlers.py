"""What handlers under `ironforge dev` submit: its own server may be on no address that they could know."""

from __future__ import annotations

import json

import pytest

from ironforge import Client
from ironforge.workflows import dag, item, map_over, node
from tests.cli.kit import Dev

pytestmark = pytest.mark.slow

FAMILY = """
import asyncio

from ironforge import Context, Forge

forge = Forge()


@forge.job("leaf")
async def leaf(n: int = 0) -> int:
    return n + 1


@forge.job("from.loop")
async def from_loop() -> str:
    return await forge.submit("leaf")


@forge.job("from.thread")
def from_thread() -> str:
    return asyncio.run(forge.submit("leaf"))


@forge.job("from.process", executor="process")
def from_process() -> str:
    return asyncio.run(forge.submit("leaf"))


@forge.job("parent")
async def parent(context: Context) -> list[int]:
    return await context.map("leaves", "leaf", [{"n": n} for n in range(3)])
"""


@pytest.fixture(scope="module", params=[(), ("--namespace", "family")], ids=["as it stands", "in a namespace"])
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("family")
    (folder / "family.py").write_text(FAMILY)
    with Dev(folder, "family", *request.param) as dev:
        yield dev


@pytest.mark.parametrize("kind", ["from.loop", "from.thread", "from.process"])
def test_a_job_that_a_handler_submits_runs_there(family: Dev, kind: str) -> None:
    submitted = family.submit(kind, max_retries=0)
    family.becomes(submitted, "completed")
    family.becomes(json.loads(family.get(f"/jobs/{submitted}"))["result"], "completed")


def test_so_do_children_of_a_job_and_of_a_node_that_is_a_map(family: Dev) -> None:
    listed = node("parent", max_retries=0)
    mapped = map_over(listed.result, "leaf", {"n": item}, max_retries=0)
    with Client(family.url) as client:
        ended = client.wait_workflow(client.submit_workflow(dag("family.tree", listed, mapped))["id"], 60)
    assert [(one["status"], one["result"]) for one in ended["nodes"]] == [
        ("succeeded", [1, 2, 3]),
        ("succeeded", [2, 3, 4]),
    ]
