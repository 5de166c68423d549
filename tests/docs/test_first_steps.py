"""The first steps as a new user takes them, with a server that `ironforge dev` brings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge import Client
from tests.docs.pages import MANUAL, Reader, section
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

PAGE = MANUAL / "first_steps.md"
START = "scripts/dev"
STEPS = ("## 1.", "## 2.", "## 3.", "## 4.")


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with Reader(tmp_path) as reader:
        yield reader


def test_a_job_is_submitted_and_completed(reader: Reader) -> None:
    accepted, waited = reader.read(section(PAGE, STEPS[0]))

    assert '"status":"queued"' in accepted
    assert "completed" in waited
    with Client(reader.url) as client:
        eventually(lambda: client.stats()["totals"].get("completed") == 2, "both jobs to complete")


def test_priorities_are_strict(reader: Reader) -> None:
    reader.read(section(PAGE, STEPS[1]))
    log = reader.service.stderr
    eventually(lambda: "".join(log).count("email sent") == 3, "three mails")

    assert re.findall(r'"to": "(\w+)"', "".join(log)) == ["critical", "medium", "low"]


def test_a_failing_job_is_retried_dead_and_retried_by_its_user(reader: Reader) -> None:
    submit, retry = (block for block in section(PAGE, STEPS[2]) if block.language == "sh")
    [submitted] = reader.read([submit])
    assert '"jobs":[]' in submitted
    with Client(reader.url) as client:
        eventually(lambda: client.dlq()["jobs"], "the job to be dead")
        [dead] = client.dlq()["jobs"]
        assert [error["attempt"] for error in dead["errors"]] == [1, 2]

        [retried] = reader.read([retry])
        assert '"status":"queued"' in retried
        eventually(lambda: client.get(dead["id"])["attempts"] == 1, "the job to run, and fail, again")


def test_the_benchmark_runs(reader: Reader) -> None:
    [figures] = reader.read(section(PAGE, STEPS[3]))

    assert "2 nodes" in figures


def test_these_tests_take_all_steps() -> None:
    first, *others = section(PAGE)

    assert first.text == "scripts/dev\n"
    assert others == [block for step in STEPS for block in section(PAGE, step)]
