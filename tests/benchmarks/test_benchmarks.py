"""The benchmarks themselves: what they refuse, what they report, and that their bound and their peers' harness work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import bound, harness, report, rollout, schedules, unique, workflows
from benchmarks.peers import measure, table
from ironforge.settings import load
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

ROOT = Path(__file__).parents[2]


def test_a_size_that_a_question_does_not_have_is_refused():
    command = [sys.executable, "-m", "benchmarks", "drain", "--rates", "5"]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 2
    assert "drain does not take --rates" in done.stderr


def test_a_report_shows_figures_and_says_what_could_not_be_measured(tmp_path):
    results = {
        "drain": {"unit": "jobs/s", "figures": {"1 node": {"median": 41_234.5, "ratio": 0.987, "runs": [1.0]}}},
        "http": {"failed": "RuntimeError: this benchmark needs wrk"},
        "peers": {"unit": "jobs/s", "figures": {}, "failures": {"huey": "no such package"}},
    }
    document = {"date": "2026-11-24", "machine": harness.describe(load({})), "results": results}
    page = report.write(document, tmp_path / "report").read_text()
    assert "# Benchmarks of 2026-11-24" in page
    assert "| 1 node | 41,234 | 0.99 |" in page
    assert "Not measured: RuntimeError: this benchmark needs wrk" in page
    assert "- huey could not be measured: no such package" in page
    assert json.loads((tmp_path / "report" / "report.json").read_text())["results"] == results


async def test_the_server_takes_the_bare_commands_of_a_job():
    found = (await bound.run(repeats=1, jobs=1_000))["figures"]
    assert [figure["median"] > 0 for figure in found.values()] == [True, True]


async def test_submissions_with_unique_keys_are_measured_beside_plain_ones():
    figures = (await unique.run(jobs=1_000, repeats=1))["figures"]
    bulk = [figure for what, figure in figures.items() if what.startswith("bulk")]
    assert [figure["median"] > 0 for figure in bulk] == [True] * 4
    assert bulk[0]["of plain"] == 1.0


async def test_the_roll_out_that_is_measured_loses_nothing():
    [found] = (await rollout.run(rates=[200], seconds=0.1))["figures"].values()
    assert (found["completed"], found["dead"], found["lost"]) == (found["submitted"], 0, 0)
    assert found["of a run by a node, at most"] == 1


async def test_the_lateness_of_ticks_is_that_of_all_that_are_due():
    found = await schedules.late(200, 100, 0.5, 1, {})
    assert 0 <= found["queued"]["p50"] <= found["queued"]["p99"] <= found["queued"]["max"]
    assert found["started"]["p50"] >= found["queued"]["p50"]


@pytest.mark.parametrize("shape", list(workflows.SHAPES))
async def test_a_workflow_costs_the_server_the_nodes_and_who_submits_it(shape):
    found = await workflows.once(shape, 200, 2, {})
    assert [figure > 0 for figure in found] == [True] * 4


async def test_an_edge_and_the_end_of_a_map_are_timed():
    edge = await workflows.edges(20, {})
    assert 0 < edge["p50"] <= edge["p99"]
    mapped = await workflows.map_end(500, {})
    assert 0 <= mapped["end"] < mapped["all"]


@pytest.mark.parametrize("side", ["submit", "work"])
def test_a_peer_that_does_not_run_says_why(side):
    broken = table.Installed(("sh", "-c", "echo first >&2; echo it is broken >&2; exit 3"), {}, "1")
    with pytest.raises(RuntimeError, match=f"{side}: it is broken"):
        measure.submit(broken, "", 10) if side == "submit" else measure.drain(broken, "", "1", 1, 10)


def test_ironforge_is_measured_as_its_peers_are():
    with measure.server() as url:
        assert measure.submit(table.ours(), url, 3_000) > 0
        assert measure.drain(table.ours(), url, "8", 2, 3_000) > 0
