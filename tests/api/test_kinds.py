"""What the API tells of kinds and of the nodes that run them, and of what no node takes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from ironforge import AsyncClient, Client
from ironforge.errors import KindNotFound
from ironforge.settings import Settings
from tests.api.conftest import Announced, Api
from tests.support.waiting import until

Start = Any
# A reading is shared for a second.
LOOK_SECONDS = 0.05


async def told(api: Api, path: str) -> Any:
    answer = await api.call("GET", path)
    assert answer.status == 200, answer.body
    return answer.body


async def test_without_nodes_no_kind_is_known(api: Api) -> None:
    assert await told(api, "/kinds") == {"kinds": [], "next": None}


async def test_a_kind_is_listed_as_its_nodes_announced_it(announce, start_api, settings: Settings) -> None:
    await announce(queue="reports", max_retries=0)
    await announce(queue="reports", max_retries=0)
    [kind] = (await told(await start_api(settings), "/kinds"))["kinds"]
    assert datetime.fromisoformat(kind.pop("announced_at"))
    assert kind == {
        "kind": "report.build",
        "live": True,
        "nodes": 2,
        "version": "1",
        "defaults": {"queue": "reports", "max_retries": 0},
        "version_policy": "any",
    }


async def test_kinds_are_listed_page_by_page(announce_kinds, start_api, settings: Settings) -> None:
    await announce_kinds("c", "a", "b")
    api = await start_api(settings)
    first = await told(api, "/kinds?limit=2")
    second = await told(api, f"/kinds?limit=2&cursor={first['next']}")
    assert [kind["kind"] for kind in first["kinds"]] == ["a", "b"]
    assert ([kind["kind"] for kind in second["kinds"]], second["next"]) == (["c"], None)


async def test_a_cursor_of_another_list_is_refused(announce_kinds, start_api, settings: Settings) -> None:
    await announce_kinds("a", "b")
    api = await start_api(settings)
    following = (await told(api, "/kinds?limit=1"))["next"]
    answer = await api.call("GET", f"/jobs?cursor={following}")
    other = await api.call("GET", "/kinds?cursor=foreign")
    assert (answer.status, answer.code) == (400, "invalid_parameter")
    assert (other.status, other.code) == (400, "invalid_parameter")


async def test_a_kind_is_shown_with_every_version_and_its_nodes(announce, start_api, settings: Settings) -> None:
    old = await announce(version="1")
    new = await announce(version="2", priority="high")
    found = await told(await start_api(settings), "/kinds/report.build")
    shown = [(each["version"], each["nodes"], each["defaults"]) for each in found["versions"]]
    assert found["live"] is True
    assert shown == [("2", [new.node], {"priority": "high"}), ("1", [old.node], {})]


async def test_a_kind_stays_without_nodes(announce, start_api, settings: Settings) -> None:
    await (await announce(version="1")).leave()
    found = await told(await start_api(settings), "/kinds/report.build")
    assert (found["live"], [each["nodes"] for each in found["versions"]]) == (False, [[]])


async def test_a_kind_that_no_node_announced_is_not_found(api: Api) -> None:
    answer = await api.call("GET", "/kinds/report.build")
    assert (answer.status, answer.code) == (404, "kind_not_found")


async def test_what_is_no_name_is_no_kind(api: Api) -> None:
    answer = await api.call("GET", "/kinds/%20")
    assert (answer.status, answer.code) == (400, "invalid_kind")


async def test_a_node_is_listed_with_its_kinds_and_the_version_of_its_application(
    announce, start_api, settings: Settings
) -> None:
    await announce(version="2026.11", serves=("default", "reports"))
    [node] = (await told(await start_api(settings), "/nodes"))["nodes"]
    assert (node["kinds"], node["app_version"]) == (["report.build"], "2026.11")
    assert node["queues"] == ["default", "reports"]


# --------------------------------------------------------------------------- the client


async def test_the_client_lists_and_shows_kinds(announce, start_api, settings: Settings) -> None:
    await announce(queue="reports")
    api = await start_api(settings)
    async with AsyncClient(api.url) as client:
        assert [kind["kind"] for kind in (await client.kinds(limit=1))["kinds"]] == ["report.build"]
        assert (await client.kind("report.build"))["versions"][0]["defaults"] == {"queue": "reports"}
        with pytest.raises(KindNotFound, match=r"report\.print"):
            await client.kind("report.print")


def test_the_client_for_plain_code_does_the_same(api_in_thread: str) -> None:
    with Client(api_in_thread) as client:
        assert client.kinds() == {"kinds": [], "next": None}


# --------------------------------------------------------------------------- nothing waits in silence


async def waiting_for(api: Api, **job: Any) -> str | None:
    found = (await told(api, f"/jobs/{await api.submit(**job)}"))["waiting_for"]
    return found and found["code"]


async def test_a_job_says_that_no_node_serves_its_queue_or_runs_its_kind(
    announce, start_api, settings: Settings
) -> None:
    await announce(serves=("default",))
    api = await start_api(settings)
    assert await waiting_for(api, kind="report.build") is None
    assert await waiting_for(api, kind="report.build", queue="reports") == "no_node_for_queue"
    assert await waiting_for(api, kind="report.print") == "no_node_for_kind"


async def test_what_a_job_waits_for_names_queue_and_kind_and_has_no_end_by_itself(
    announce, start_api, settings: Settings
) -> None:
    await announce(serves=("default",))
    api = await start_api(settings)
    found = await told(api, f"/jobs/{await api.submit(kind='report.print')}")
    assert found["waiting_for"] == {
        "code": "no_node_for_kind",
        "detail": "no running node that serves queue default runs kind report.print, and none has announced it",
        "until": None,
        "step": None,
        "event": None,
    }


async def test_a_kind_that_is_run_elsewhere_alone_waits_in_this_queue(announce, start_api, settings: Settings) -> None:
    await announce(serves=("reports",))
    await announce_other(announce)
    api = await start_api(settings)
    assert await waiting_for(api, kind="report.build", queue="reports") is None
    assert await waiting_for(api, kind="report.build", queue="default") == "no_node_for_queue"


async def announce_other(announce: Any) -> Announced:
    return await announce(serves=("other",))


async def test_a_job_that_is_not_queued_waits_for_no_node(api: Api) -> None:
    assert await waiting_for(api, delay_seconds=60) is None


async def test_jobs_in_a_list_say_it_as_well(api: Api) -> None:
    await api.submit(kind="report.build")
    await api.submit(kind="report.build", delay_seconds=60)
    page = await told(api, "/jobs")
    codes = {job["status"]: job["waiting_for"] and job["waiting_for"]["code"] for job in page["jobs"]}
    assert codes == {"queued": "no_node_for_queue", "scheduled": None}


async def test_a_job_waits_for_no_node_any_more_once_there_is_one(announce, api: Api) -> None:
    job_id = await api.submit(kind="report.build")
    assert (await told(api, f"/jobs/{job_id}"))["waiting_for"]["code"] == "no_node_for_queue"
    await announce()

    async def served() -> bool:
        return (await told(api, f"/jobs/{job_id}"))["waiting_for"] is None

    await until(served, "the node", look_seconds=LOOK_SECONDS)


async def test_the_statistics_count_the_nodes_of_each_queue_and_name_what_is_not_served(
    announce, start_api, settings: Settings
) -> None:
    await (await announce(serves=("reports",))).leave()
    await announce_other(announce)
    api = await start_api(settings)
    await api.submit(kind="report.build", queue="reports")
    await api.submit(kind="report.build", queue="other")
    stats = await told(api, "/queues/stats")
    served = {each["queue"]: each["served_by"] for each in stats["queues"]}
    assert served == {"reports": 0, "other": 1}
    assert stats["unserved"] == {"queues": ["reports"], "kinds": [], "versions": []}


async def test_a_kind_without_a_node_is_not_served(announce, start_api, settings: Settings) -> None:
    await (await announce()).leave()
    stats = await told(await start_api(settings), "/queues/stats")
    assert stats["unserved"] == {"queues": [], "kinds": ["report.build"], "versions": []}
