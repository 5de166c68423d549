"""Jobs with a unique key, as the commands tell of them."""

from __future__ import annotations

import json

from tests.cli.kit import Dev

JOB = ("submit", "demo.echo", "1", "--unique")


def test_a_job_that_was_there_already_is_told_apart(dev: Dev):
    job = (*JOB, "account:42", "--delay-seconds", "60")
    first = dev.json(*job)["id"]
    again = dev.ironforge(*job)
    assert again.stdout == f"{first}\n"
    assert again.stderr == f"{first} was there already and holds the unique key: no second job was made\n"
    assert dev.json(*job)["deduplicated"] is True
    dev.ironforge("jobs", "cancel", first)


def test_it_is_told_apart_also_when_its_end_is_waited_for(dev: Dev):
    throttled = (*JOB, json.dumps({"key": "waited", "for_seconds": 60}), "--wait")
    first = dev.json(*throttled)["id"]
    again = dev.ironforge(*throttled)
    assert again.returncode == 0
    assert f"{first} was there already" in again.stderr


def test_an_object_that_is_none_is_told(dev: Dev):
    refused = dev.ironforge(*JOB, "{bad")
    assert refused.returncode == 2
    assert refused.stderr.startswith("ironforge: --unique begins as a JSON object and is none, ")


def test_the_help_says_how_a_use_of_a_limit_is_written(dev: Dev):
    assert "NAME[:KEY[:UNITS]]" in dev.ironforge("submit", "--help").stdout
