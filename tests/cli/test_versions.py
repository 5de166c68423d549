"""Jobs that stay with a version of the application, across processes: a kill, a roll-out, and who is told of it."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.cli.installation import Installation
from tests.cli.kit import Service, eventually, ironforge

pytestmark = pytest.mark.slow

APPLICATION = """
import time
from ironforge import Context, Forge
forge = Forge()

@forge.job("order.fulfil", version_policy="same")
async def fulfil(order: str, context: Context) -> str:
    await context.event(f"approved:{order}")
    return VERSION

@forge.job("order.ship", version_policy="same")
def ship(context: Context) -> str:
    if context.fence == 0:
        time.sleep(600)
    return VERSION
"""


class Shop(Installation):
    def node(self, version: str) -> Service:
        return self.node_of(APPLICATION.replace("VERSION", repr(version)), version)

    def show(self, job_id: str) -> Any:
        return self.json("jobs", "show", job_id)

    def submit(self, kind: str, payload: str = "null") -> str:
        return str(self.json("submit", kind, payload)["id"])

    def reaches(self, job_id: str, status: str) -> None:
        eventually(lambda: self.show(job_id)["status"] == status, f"{job_id} to be {status}")

    def is_stranded(self, job_id: str) -> bool:
        return (self.show(job_id)["waiting_for"] or {}).get("code") == "no_node_for_version"

    def metrics(self) -> str:
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:
            return str(answer.read().decode())


@pytest.fixture
def installation(server: str, client: redis.Redis, tmp_path: Path) -> Iterator[Shop]:
    del client  # has emptied the server
    with Shop.running(server, tmp_path) as found:
        yield found


@pytest.mark.unmeasured
def test_after_a_kill_and_a_roll_out_every_door_tells_of_jobs_that_no_node_may_go_on_with(installation: Shop):
    with installation.node("1") as old:
        waits = installation.submit("order.fulfil", '{"order": "42"}')
        runs = installation.submit("order.ship")
        installation.reaches(waits, "waiting")
        installation.reaches(runs, "running")
        old.signal(signal.SIGKILL)
    with installation.node("2"):
        ironforge("events", "send", "approved:42", "1", url=installation.url)
        for job_id in (waits, runs):
            eventually(lambda job_id=job_id: installation.is_stranded(job_id), "it to be declined")
        unserved = [{"kind": kind, "version": "1", "jobs": 1} for kind in ("order.fulfil", "order.ship")]
        eventually(lambda: installation.json("stats")["unserved"]["versions"] == unserved, "statistics to name both")
        assert "order.fulfil in version 1 (1 job)" in ironforge("stats", url=installation.url).stdout
        eventually(lambda: "\nironforge_unserved_version_jobs 2.0" in installation.metrics(), "a metric of it")
        found = json.loads(ironforge("doctor", "--json", redis_url=installation.server).stdout)
        assert [each["fix"].rpartition(": ")[2] for each in found if each["check"] == "versions"] == [
            f"ironforge kinds release {kind} --version 1" for kind in ("order.fulfil", "order.ship")
        ]
        with installation.node("2") as late:
            late.logged("no running node has the version of the application that began these jobs")
        assert installation.json("kinds", "release", "order.fulfil", "--version", "1")["released"] == 1
        installation.reaches(waits, "completed")
        assert (installation.show(waits)["result"], installation.show(waits)["app_version"]) == ("2", "2")
        with installation.node("1"):
            installation.reaches(runs, "completed")
        assert installation.show(runs)["result"] == "1"
        eventually(lambda: installation.json("stats")["unserved"]["versions"] == [], "nothing to be left")


@pytest.mark.unmeasured
def test_before_a_roll_out_the_doctor_says_which_jobs_need_a_node_of_an_older_version(installation: Shop):
    with installation.node("1"):
        waits = installation.submit("order.fulfil", '{"order": "42"}')
        installation.reaches(waits, "waiting")
        settings = {"redis_url": installation.server, "cwd": installation.folder}
        own = ironforge("doctor", "--json", "--deploy", "shop_1", app_version="1", **settings)
        new = ironforge("doctor", "--json", "--deploy", "shop_1", app_version="2", **settings)
    said = [each["message"] for each in json.loads(new.stdout) if each["level"] == "warn"]
    assert said == [
        f"1 waiting job of kind 'order.fulfil', begun by version 1 of the application, which they stay with: {waits}"
    ]
    assert (new.returncode, [each for each in json.loads(own.stdout) if each["level"] != "ok"]) == (0, [])


def test_a_kind_that_no_node_has_announced_has_nothing_to_release(installation: Shop):
    done = ironforge("kinds", "release", "order.fulfil", "--version", "1", url=installation.url)
    assert (done.returncode, "no node has announced kind order.fulfil" in done.stderr) == (4, True)
