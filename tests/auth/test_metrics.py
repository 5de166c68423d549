"""Metrics: each namespace sees its own, in one process and in several."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import msgspec
import pytest

from ironforge.job.request import JobRequest
from ironforge.schedules.definition import Schedule
from ironforge.store import StoreClient
from tests.auth.kit import House
from tests.cli.kit import Service, eventually, ironforge
from tests.support.servers import valkey
from tests.support.waiting import PATIENCE_SECONDS, until

PEPPER = "0123456789abcdef0123456789abcdef"
SCOPES = "jobs:submit,jobs:read,metrics:read"


def key_of(namespace: str, **settings: str) -> str:
    return ironforge("keys", "create", "n", "--scope", SCOPES, namespace=namespace, **settings).stdout.strip()


def call(url: str, key: str, path: str, body: Any = None) -> str:
    content = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url + path, content, headers)
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return answer.read().decode()


async def test_a_namespace_sees_its_own_counts_alone(house: House) -> None:
    mine, theirs = await house.key(), await house.key(namespace=house.namespace + "x")
    for _ in range(2):
        await house.submit(mine, kind="mine")
    await house.submit(theirs, kind="theirs")
    page = (await house.call("GET", "/metrics", mine)).body.decode()

    assert f'{{kind="mine",namespace="{house.namespace}",priority="medium"}} 2.0' in page
    assert "theirs" not in page
    assert "mine" not in (await house.call("GET", "/metrics", theirs)).body.decode()


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize("processes", ["1", "2"])
def test_also_where_processes_count_together(processes: str) -> None:
    with valkey() as server:
        common = {"redis_url": server, "key_pepper": PEPPER}
        keys = {name: key_of(name, **common) for name in ("default", "other")}
        # A public address: authentication is reason enough for the parent too.
        arguments = ("api", "--host", "0.0.0.0", "--port", "0", "--processes", processes)
        with Service(*arguments, auth="on", **common) as api:
            where = json.loads(api.logged("api is listening"))["url"].replace("0.0.0.0", "127.0.0.1")

            for _ in range(10):
                for name, key in keys.items():
                    call(where, key, "/jobs", {"kind": f"of-{name}"})
            for name, other in (("default", "other"), ("other", "default")):
                eventually(lambda: f'kind="of-{name}"' in call(where, keys[name], "/metrics"), "the counts")  # noqa: B023
                pages = [call(where, keys[name], "/metrics") for _ in range(10)]
                assert not [page for page in pages if f"of-{other}" in page]
                counted = [line for line in pages[0].splitlines() if f'kind="of-{name}"' in line]
                assert [float(line.rpartition(" ")[2]) for line in counted] == [10.0]
                assert "ironforge_dlq_depth" in pages[0]
            told = ["ironforge_http_requests_total{" in call(where, keys[name], "/metrics") for name in keys]
            assert dict(zip(keys, told, strict=True)) == {"default": True, "other": False}


@pytest.mark.slow
@pytest.mark.unmeasured
def test_nor_does_it_see_what_a_node_in_the_same_process_does_for_another() -> None:
    with valkey() as server:
        common = {"redis_url": server, "key_pepper": PEPPER}
        keys = {name: key_of(name, **common) for name in ("default", "other")}
        with Service("dev", "--port", "0", auth="on", namespaces="default,other", **common) as dev:
            where = json.loads(dev.logged("api is listening"))["url"]
            job = json.loads(call(where, keys["other"], "/jobs", {"kind": "of-other"}))["id"]
            waits = '"until":"'
            eventually(lambda: waits in call(where, keys["other"], f"/jobs/{job}"), "the node to decline it")
            call(where, keys["default"], "/jobs", {"kind": "of-default"})
            page = call(where, keys["default"], "/metrics")
    assert 'kind="of-default"' in page
    assert "other" not in page


async def test_a_namespace_sees_the_ticks_of_its_own_schedules(house: House) -> None:
    mine, theirs = await house.key(), await house.key(namespace=house.namespace + "x")
    for key in (mine, theirs):
        await house.call("GET", "/metrics", key)  # from its first call on a namespace is looked after
    client = StoreClient(house.inside())
    every_second = Schedule(job=JobRequest(kind="report", payload=msgspec.Raw(b"{}")), every_seconds=1.0)
    await client.schedules.put("report", every_second)
    await client.close()
    names = ("ironforge_tick_lateness_seconds_count", "ironforge_schedules")
    told = [f'{name}{{namespace="{house.namespace}"}}' for name in names]

    async def are_counted() -> bool:
        page = (await house.call("GET", "/metrics", mine)).body.decode()
        return f"{told[0]} 0.0" not in page and f"{told[1]} 1.0" in page

    await until(are_counted, "the schedule and a tick to be counted")
    page = (await house.call("GET", "/metrics", theirs)).body.decode()
    assert f'ironforge_tick_lateness_seconds_count{{namespace="{house.namespace}x"}} 0.0' in page
