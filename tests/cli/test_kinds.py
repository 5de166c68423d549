"""Kinds across real processes: two versions at once, a killed node, none at all, and what users are told of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.cli.installation import Installation
from tests.cli.kit import Dev, Service, eventually, ironforge
from tests.cli.test_services import free_port

pytestmark = pytest.mark.slow

APPLICATION = """
from ironforge import Forge
forge = Forge()

@forge.job("report.build", {options})
async def build(month: str) -> str:
    return month
"""


class Shop(Installation):
    """Its application has `report.build`."""

    def node(self, version: str, queues: str = "default,reports", **options: Any) -> Service:
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        return self.node_of(APPLICATION.format(options=given), version, queues)

    def live(self) -> list[str]:
        """The versions that nodes run."""
        done = ironforge("kinds", "show", "report.build", "--json", url=self.url)
        versions = json.loads(done.stdout)["versions"] if done.returncode == 0 else []
        return [version["version"] for version in versions if version["nodes"]]

    def runs(self, *versions: str) -> None:
        eventually(lambda: self.live() == [*versions], f"nodes of {versions}")

    def queue(self) -> str:
        """Where a job of the kind goes now."""
        return self.json("submit", "report.build", '{"month": "2030-01"}')["queue"]


@pytest.fixture
def installation(server: str, client: redis.Redis, tmp_path: Path) -> Iterator[Shop]:
    del client  # has emptied the server
    with Shop.running(server, tmp_path) as found:
        yield found


@pytest.mark.unmeasured
def test_two_versions_one_killed_and_none_left(installation: Shop):
    with installation.node("1", queue="reports") as old:
        installation.runs("1")
        eventually(lambda: installation.queue() == "reports", "the defaults of version 1")
        with installation.node("2", priority="high") as new:
            installation.runs("2", "1")
            eventually(lambda: installation.queue() == "default", "the defaults of version 2")
            old.signal(signal.SIGKILL)
            installation.runs("2")
            new.signal(signal.SIGTERM)
            assert new.ended() == 0
    installation.runs()
    accepted = installation.json("submit", "report.build", '{"month": "2030-01"}')
    assert accepted["priority"] == "high"
    waiting = installation.json("jobs", "show", accepted["id"])["waiting_for"]
    assert waiting["code"] == "no_node_for_queue"


def test_a_submission_says_what_its_job_goes_without_until_a_node_has_announced_its_kind(installation: Shop):
    submit = ("submit", "report.build", '{"month": "2030-01"}')
    assert (
        "kind report.build is not known: no node has announced it yet"
        in ironforge(*submit, url=installation.url).stderr
    )
    assert installation.json(*submit)["unknown_kinds"] == ["report.build"]
    with installation.node("1"):
        eventually(lambda: "unknown_kinds" not in installation.json(*submit), "the door to know the kind")
        said = ironforge(*submit, "--wait", url=installation.url).stderr
        assert "waiting for the end of" in said
        assert "not known" not in said


@pytest.mark.unmeasured
def test_a_job_runs_whose_kind_says_where(installation: Shop):
    with installation.node("1", queue="reports"):
        installation.runs("1")
        eventually(lambda: installation.queue() == "reports", "the defaults")
        done = ironforge("submit", "report.build", '{"month": "2030-01"}', "--wait", "--json", url=installation.url)
        assert json.loads(done.stdout)["result"] == "2030-01"


def test_a_node_says_at_its_start_whose_jobs_no_node_will_take(installation: Shop):
    with installation.node("1", queues="default", queue="reports") as node:
        line = node.logged("no running node serves the queue of these kinds")
        assert "report.build" in line
        assert "reports" in line
        installation.runs("1")
        findings = json.loads(ironforge("doctor", "--json", redis_url=installation.server).stdout)
        assert {"level": "warn", "check": "kinds"}.items() <= next(
            finding for finding in findings if "go to queue reports" in finding["message"]
        ).items()


def test_an_api_says_at_its_start_which_queues_no_node_serves(installation: Shop):
    installation.json("submit", "report.build", "--queue", "lonely")
    with Service("api", "--port", free_port(), redis_url=installation.server) as api:
        assert "lonely" in api.logged("no running node serves queues with waiting jobs")


def test_doctor_names_a_kind_that_no_running_node_runs(installation: Shop):
    with installation.node("1"):
        installation.runs("1")
    (installation.folder / "other.py").write_text(APPLICATION.format(options="").replace("report.build", "other"))
    with Service("node", "other", "--node-http-port", "0", cwd=installation.folder, redis_url=installation.server):
        eventually(
            lambda: ("other", True) in [(each["kind"], each["live"]) for each in installation.json("kinds")["kinds"]],
            "the other node",
        )
        done = ironforge("doctor", redis_url=installation.server)
    assert "no running node runs kind report.build" in done.stdout
    assert done.returncode == 0


def test_kinds_are_listed_and_shown_in_words(dev: Dev):
    eventually(lambda: dev.json("kinds")["kinds"], "the node to announce its kinds")
    listed = dev.ironforge("kinds", "--limit", "1")
    assert listed.stdout.split()[:5] == ["KIND", "NODES", "VERSION", "ANNOUNCED", "DEFAULTS"]
    assert "more with --cursor" in listed.stderr
    shown = dev.ironforge("kinds", "show", "demo.echo")
    assert shown.stdout.startswith("demo.echo: live\n")
    assert "  defaults: " in shown.stdout


def test_a_kind_that_does_not_exist_is_4(dev: Dev):
    done = dev.ironforge("kinds", "show", "no.such")
    assert done.returncode == 4
    assert "no.such" in done.stderr
