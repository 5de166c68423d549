"""Schedules that start workflows, over HTTP."""

from __future__ import annotations

from typing import Any

from tests.api.flows import shown, submit
from tests.api.test_schedules import HOURLY, JOB, put

NODES: list[dict[str, Any]] = [
    {"id": "fetch", "kind": "web.fetch", "payload": {"month": 1}},
    {"id": "send", "kind": "mail.send", "payload": {"text": {"$result": "fetch.result"}}, "after": ["fetch"]},
]
WORKFLOW = {"name": "report", "nodes": NODES}
OF_WORKFLOWS = {"every_seconds": 3600.0, "start": "2030-01-01T00:00:00Z", "workflow": WORKFLOW}


async def trigger(api: Any) -> Any:
    return (await api.call("POST", "/schedules/report/trigger")).body


async def test_it_is_there_as_it_was_defined(api: Any) -> None:
    made = await put(api, schedule=OF_WORKFLOWS)
    assert made.status == 201
    assert made.body["schedule"] == OF_WORKFLOWS
    assert [(each["code"], each["field"]) for each in made.body["warnings"]] == [
        ("kind_not_served", "workflow.nodes[1].kind"),
        ("kind_not_served", "workflow.nodes[0].kind"),
    ]


async def test_what_it_has_started_is_named_as_a_workflow(api: Any) -> None:
    await put(api, schedule=OF_WORKFLOWS)
    started = await trigger(api)
    workflow_id = started["workflow_id"]
    assert started == {"outcome": "started", "reason": "trigger", "job_id": None, "workflow_id": workflow_id}
    now = (await api.call("GET", "/schedules/report")).body
    assert (now["last_job_id"], now["last_workflow_id"]) == (None, workflow_id)
    [row] = (await api.call("GET", "/schedules/report/history")).body["ticks"]
    assert (row["outcome"], row["job_id"], row["workflow_id"]) == ("started", None, workflow_id)


async def test_a_workflow_says_which_tick_of_which_schedule_it_is_from(api: Any) -> None:
    other = await submit(api, *NODES)
    await put(api, schedule=OF_WORKFLOWS)
    workflow_id = (await trigger(api))["workflow_id"]
    found = await shown(api, workflow_id)
    assert found["schedule"]["name"] == "report"
    assert found["by"] == "schedule report"
    rows = {row["id"]: row["schedule"] for row in (await api.call("GET", "/workflows")).body["workflows"]}
    assert rows == {other: None, workflow_id: found["schedule"]}


async def test_its_jobs_say_so_too(api: Any, node: Any) -> None:
    await put(api, schedule=OF_WORKFLOWS)
    workflow_id = (await trigger(api))["workflow_id"]
    while not (job_id := (await shown(api, workflow_id))["nodes"][0]["job_id"]):
        await node.promote()
    job = (await api.call("GET", f"/jobs/{job_id}")).body
    assert job["schedule"] == (await shown(api, workflow_id))["schedule"]


async def test_a_workflow_that_runs_is_in_the_way_of_the_next_one(api: Any) -> None:
    await put(api, schedule=OF_WORKFLOWS)
    await trigger(api)
    assert await trigger(api) == {"outcome": "skipped", "reason": "overlap", "job_id": None, "workflow_id": None}


async def test_what_it_started_last_stays_what_it_is_where_it_starts_others_now(api: Any) -> None:
    await put(api, schedule=OF_WORKFLOWS)
    workflow_id = (await trigger(api))["workflow_id"]
    now = (await put(api, schedule=HOURLY)).body
    assert (now["last_job_id"], now["last_workflow_id"]) == (None, workflow_id)
    assert (await trigger(api))["reason"] == "overlap"
    still = (await api.call("GET", "/schedules/report")).body
    assert (still["last_job_id"], still["last_workflow_id"]) == (None, workflow_id)
    await put(api, schedule={**HOURLY, "overlap": "allow"})
    job_id = (await trigger(api))["job_id"]
    then = (await put(api, schedule=OF_WORKFLOWS)).body
    assert (then["last_job_id"], then["last_workflow_id"]) == (job_id, None)


async def test_a_backfill_starts_one_for_each_tick(api: Any) -> None:
    await put(api, schedule=OF_WORKFLOWS)
    asked = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-01T02:00:00Z", "per_second": 1000}
    tried = await api.call("POST", "/schedules/report/backfill", json={**asked, "dry_run": True})
    assert [(tick["job_id"], tick["workflow_id"]) for tick in tried.body["ticks"]] == [(None, None)] * 2
    done = (await api.call("POST", "/schedules/report/backfill", json=asked)).body["ticks"]
    assert [tick["job_id"] for tick in done] == [None, None]
    ticks = [(await shown(api, tick["workflow_id"]))["schedule"]["tick_at"] for tick in done]
    assert ticks == [tick["at"] for tick in done]


async def test_both_or_none_is_refused(api: Any) -> None:
    for said, code in (({**OF_WORKFLOWS, "job": JOB}, "invalid_schedule"), ({"every_seconds": 60}, "missing_field")):
        refused = await put(api, schedule=said)
        assert (refused.status, refused.code, refused.body["field"]) == (400, code, "job")


async def test_what_is_wrong_with_a_workflow_is_said_with_its_node_at_each_door(api: Any) -> None:
    for after, code in (["fetsh"], "invalid_workflow"), ([1], "invalid_type"):
        wrong = {**OF_WORKFLOWS, "workflow": {**WORKFLOW, "nodes": [NODES[0], {**NODES[1], "after": after}]}}
        refused = await put(api, schedule=wrong)
        assert (refused.status, refused.code) == (400, code)
        assert refused.body["field"] == "workflow.nodes[1].after[0]"
        refused = await api.call("PUT", "/schedules?source=s", json={"schedules": {"report": wrong}})
        assert refused.body["field"] == "schedules.report.workflow.nodes[1].after[0]"


async def test_one_of_a_thousand_nodes_is_taken(api: Any) -> None:
    nodes = [{"id": f"n{number}", "kind": "web.fetch"} for number in range(1001)]
    refused = await put(api, schedule={"every_seconds": 3600, "workflow": {"name": "report", "nodes": nodes}})
    assert (refused.status, refused.body["field"]) == (400, "workflow.nodes")
    await put(api, schedule={"every_seconds": 3600, "workflow": {"name": "report", "nodes": nodes[:-1]}})
    assert len((await shown(api, (await trigger(api))["workflow_id"]))["nodes"]) == 1000
