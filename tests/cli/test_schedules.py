"""The commands about schedules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironforge import Client
from tests.cli.kit import Dev, ironforge
from tests.support.waiting import eventually

NIGHTLY = """
source = "shop"

[schedules."shop.nightly"]
cron = ["30 2 * * *"]
timezone = "Europe/Berlin"
job = { kind = "demo.echo", payload = { month = "2026-11" } }

[schedules."shop.weekly"]
cron = ["0 18 * * 5L"]
job = { kind = "demo.echo" }
"""


@pytest.fixture
def client(dev: Dev) -> Iterator[Client]:
    """What it defines is gone after the test."""
    with Client(dev.url) as connected:
        yield connected
        for one in connected.schedules()["schedules"]:
            if one["source"] != "code":
                connected.delete_schedule(one["name"])


def put(client: Client, cron: str | None = None, name: str = "shop.nightly", **options: Any) -> Any:
    return client.put_schedule(name, kind="demo.echo", payload={"month": "2026-11"}, cron=cron, **options)


def test_a_schedule_is_put_with_flags_for_all_its_fields(dev: Dev, client: Client):
    flags = (
        *("--cron", "0 8 * * 1-5", "--cron", "0 9 * * 1-5", "--timezone", "Europe/Berlin", "--exclude", "2040-12-25"),
        *("--start", "2040-01-01T00:00:00Z", "--end", "2041-01-01T00:00:00Z", "--jitter-seconds", "30"),
        *("--overlap", "queue_one", "--catch-up", "all", "--catch-up-most", "5", "--catch-up-window-seconds", "60"),
        *("--gap", "skip", "--fold", "both", "--queue", "reports", "--max-retries", "1", "--unique", "a"),
    )
    answer = dev.json("schedules", "put", "shop.nightly", "demo.echo", '{"month": "2026-11"}', *flags)

    assert answer["schedule"] == {
        "job": {
            "kind": "demo.echo",
            "payload": {"month": "2026-11"},
            "queue": "reports",
            "max_retries": 1,
            "unique": {"key": "a"},
        },
        "cron": ["0 8 * * 1-5", "0 9 * * 1-5"],
        "timezone": "Europe/Berlin",
        "start": "2040-01-01T00:00:00Z",
        "end": "2041-01-01T00:00:00Z",
        "exclude": ["2040-12-25"],
        "jitter_seconds": 30.0,
        "overlap": "queue_one",
        "catch_up": {"policy": "all", "window_seconds": 60.0, "most": 5},
        "gap": "skip",
        "fold": "both",
    }
    shown = dev.ironforge("schedules", "show", "shop.nightly").stdout
    assert "  cron: 0 8 * * 1-5; 0 9 * * 1-5\n" in shown
    assert "  jitter_seconds: 30\n" in shown
    assert '  job: demo.echo {"month":"2026-11"}, queue reports, max_retries 1, unique key a\n' in shown
    assert "Mon 2040-01-02 08:00:00+01:00" in shown
    assert "  warning: no node runs kind demo.echo and takes jobs from queue reports" in shown


def test_it_says_in_words_when_it_ticks(dev: Dev, client: Client):
    flags = ("--cron", "0 8,9 * * 1-5", "--timezone", "Europe/Berlin")
    done = dev.ironforge("schedules", "put", "shop.nightly", "demo.echo", *flags)

    assert done.stderr.startswith("shop.nightly: at 08:00 and 09:00 on weekdays, Europe/Berlin; next in ")
    listed = dev.ironforge("schedules", "list", "--source", "").stdout.splitlines()
    assert listed[0].split() == ["NAME", "NEXT", "LAST", "STATE", "TICKS"]
    assert listed[1].startswith("shop.nightly  in ")
    assert listed[1].rstrip().endswith("  ticks  at 08:00 and 09:00 on weekdays, Europe/Berlin")


def test_a_job_that_no_node_would_take_is_told(dev: Dev, client: Client):
    done = dev.ironforge("schedules", "put", "shop.nightly", "demo.echo", "--cron", "0 9 * * *", "--queue", "lonely")

    assert done.returncode == 0
    assert done.stderr.startswith("warning: no node runs kind demo.echo and takes jobs from queue lonely now")


def test_what_a_change_of_the_clock_does_is_said_beside_the_tick(dev: Dev, client: Client):
    put(client, "30 2 * * *", timezone="Europe/Berlin")
    done = dev.ironforge("schedules", "next", "shop.nightly", "-n", "2", "--after", "2027-03-27T12:00:00Z")

    assert "Sun 2027-03-28 03:00:00+02:00" in done.stdout
    assert "in place of 2027-03-28 02:30: the clock is put forward past that" in done.stdout


def test_the_history_says_what_became_of_its_ticks(dev: Dev, client: Client):
    put(client, name="often", every_seconds=1)
    [*_, first] = eventually(lambda: client.schedule_history("often")["ticks"], "a tick")
    client.pause_schedule("often")

    assert f"started {first['job_id']}" in dev.ironforge("schedules", "history", "often").stdout
    shown = dev.ironforge("schedules", "show", "often").stdout
    assert "  last job: " in shown
    assert "TICK " in shown
    paged = dev.ironforge("schedules", "history", "often", "--limit", "1")
    assert len(paged.stdout.splitlines()) == 2


def test_one_that_has_not_ticked(dev: Dev, client: Client):
    put(client, "0 9 * * *")

    assert dev.ironforge("schedules", "history", "shop.nightly").stderr == "shop.nightly has not ticked yet\n"


def test_one_that_does_not_tick_again(dev: Dev, client: Client):
    put(client, "0 9 * * *", end="2020-01-01T00:00:00Z")

    assert dev.ironforge("schedules", "next", "shop.nightly").stderr == "shop.nightly does not tick again\n"
    assert "  ended  " in dev.ironforge("schedules", "list", "--source", "").stdout


def test_it_is_paused_with_a_note_and_goes_on(dev: Dev, client: Client):
    put(client, "0 9 * * *")
    told = ("--note", "their database moves", "--until", "2040-01-31T12:00:00Z")
    paused = dev.ironforge("schedules", "pause", "shop.nightly", *told)

    assert paused.stderr == "shop.nightly: paused until Tue 2040-01-31 12:00:00Z: their database moves\n"
    assert "  paused  " in dev.ironforge("schedules", "list", "--source", "").stdout
    resumed = dev.ironforge("schedules", "resume", "shop.nightly").stderr
    assert resumed.startswith("shop.nightly: at 09:00 every day, UTC; next in ")


def test_its_job_is_started_now(dev: Dev, client: Client):
    put(client, "0 9 1 1 *")
    done = dev.ironforge("schedules", "trigger", "shop.nightly")

    assert done.stderr == "shop.nightly starts a job\n"
    dev.becomes(done.stdout.strip(), "completed")
    assert "(triggered)" in dev.ironforge("schedules", "history", "shop.nightly").stdout


def test_a_trigger_that_starts_no_job_says_why(dev: Dev, client: Client):
    put(client, "0 9 1 1 *", queue="lonely")
    client.trigger_schedule("shop.nightly")
    again = dev.ironforge("schedules", "trigger", "shop.nightly")

    assert (again.returncode, again.stdout) == (5, "")
    assert again.stderr == "shop.nightly starts nothing: its last run had not ended\n"


def test_a_backfill_tells_what_it_will_do_and_does_it(dev: Dev, client: Client):
    put(client, "0 9 * * *")
    days = ("--from", "2026-11-01T00:00:00Z", "--to", "2026-11-04T00:00:00Z")
    asked = ("schedules", "backfill", "shop.nightly", *days)
    tried = dev.ironforge(*asked, "--dry-run")

    assert tried.stderr == "3 runs would start within 2.0s\n"
    assert [line.rstrip() for line in tried.stdout.splitlines()][1:] == [
        "Sun 2026-11-01 09:00:00Z",
        "Mon 2026-11-02 09:00:00Z",
        "Tue 2026-11-03 09:00:00Z",
    ]
    done = dev.ironforge(*asked, "--per-second", "100")
    assert done.stderr == "3 jobs submitted: the last starts in 0.0s\n"
    for line in done.stdout.splitlines()[1:]:
        dev.becomes(line.split()[-1], "completed")


def test_a_file_is_tried_and_applied(dev: Dev, client: Client, tmp_path: Path):
    path = tmp_path / "crontab.toml"
    path.write_text(NIGHTLY)
    tried = dev.ironforge("schedules", "apply", str(path), "--dry-run")
    assert tried.stdout == "created    shop.nightly\ncreated    shop.weekly\n"
    assert tried.stderr == ("source shop: 2 created, 0 changed, 0 unchanged, 0 deleted (nothing is done yet)\n")
    assert client.schedules("shop")["schedules"] == []
    applied = dev.ironforge("schedules", "apply", str(path))
    assert applied.stderr == "source shop: 2 created, 0 changed, 0 unchanged, 0 deleted\n"

    path.write_text(NIGHTLY.replace("30 2", "30 3").replace("shop.weekly", "shop.monthly"))
    changed = dev.ironforge("schedules", "apply", str(path), "--dry-run")
    assert changed.stdout.splitlines() == [
        "created    shop.monthly",
        "changed    shop.nightly",
        '             cron: ["30 2 * * *"] -> ["30 3 * * *"]',
        "deleted    shop.weekly",
    ]
    answer = dev.json("schedules", "apply", str(path))
    assert (answer["changed"], answer["deleted"]) == (["shop.nightly"], ["shop.weekly"])
    assert [one["name"] for one in client.schedules("shop")["schedules"]] == ["shop.monthly", "shop.nightly"]


def test_a_file_without_schedules_deletes_them_only_when_told(dev: Dev, client: Client, tmp_path: Path):
    path = tmp_path / "shop.json"
    path.write_text(json.dumps({"schedules": {"a": {"every_seconds": 3600, "job": {"kind": "demo.echo"}}}}))
    dev.json("schedules", "apply", str(path))
    path.write_text('{"schedules": {}}')
    done = dev.ironforge("schedules", "apply", str(path))

    assert (done.returncode, done.stdout) == (2, "")
    would = f"{path} has no schedules, so all of source shop would be deleted"
    assert done.stderr == f"ironforge: {would}: give --delete-all if they should\n"
    assert dev.json("schedules", "apply", str(path), "--delete-all")["deleted"] == ["a"]


def test_nothing_of_a_file_is_applied_when_some_of_it_is_wrong(dev: Dev, client: Client, tmp_path: Path):
    path = tmp_path / "shop.toml"
    path.write_text(NIGHTLY.replace("* 5L", "* 9L"))
    done = dev.ironforge("schedules", "apply", str(path))

    assert done.returncode == 2
    assert f"{path}: schedules.\"shop.weekly\".cron[0]: '0 18 * * 9L': day of week: " in done.stderr
    assert client.schedules("shop")["schedules"] == []


def test_what_makes_no_sense_is_told(dev: Dev, client: Client):
    never = dev.ironforge("schedules", "put", "a", "demo.echo", "--cron", "0 0 30 2 *")
    assert (never.returncode, never.stdout) == (2, "")
    assert "cron[0]: '0 0 30 2 *' never fires" in never.stderr
    gone = dev.ironforge("schedules", "show", "no.such")
    assert (gone.returncode, gone.stderr) == (
        4,
        "ironforge: there is no schedule no.such (404 schedule_not_found)\n",
    )
    assert dev.ironforge("schedules", "apply", "no_such.toml").returncode == 2
    assert dev.ironforge("schedules", "list", "--source", "shop").stderr == "no schedules\n"


def test_one_that_changed_meanwhile_is_not_deleted(dev: Dev, client: Client):
    seen = put(client, "0 9 * * *")["etag"]
    put(client, "0 10 * * *")
    done = dev.ironforge("schedules", "delete", "shop.nightly", "--etag", seen)
    assert done.returncode == 5
    assert "read it again" in done.stderr

    assert dev.ironforge("schedules", "delete", "shop.nightly").stderr == "schedule shop.nightly is deleted\n"


def test_a_long_list_has_pages(dev: Dev, client: Client):
    put(client, "0 9 * * *", name="a")
    put(client, "0 9 * * *", name="b")
    listed = ("schedules", "list", "--source", "")
    first = dev.ironforge(*listed, "--limit", "1")
    assert [line.split()[0] for line in first.stdout.splitlines()] == ["NAME", "a"]
    cursor = first.stderr.removeprefix("more with --cursor ").strip()

    assert dev.json(*listed, "--cursor", cursor)["schedules"][0]["name"] == "b"


def test_an_api_that_is_away_is_3(tmp_path: Path):
    path = tmp_path / "shop.toml"
    path.write_text(NIGHTLY)
    done = ironforge("schedules", "apply", str(path), url="http://127.0.0.1:1")

    assert done.returncode == 3
    assert "http://127.0.0.1:1" in done.stderr


def test_its_help_names_no_flag_that_it_does_not_have(dev: Dev):
    assert "run-at" not in dev.ironforge("schedules", "put", "--help").stdout
    assert "run-at" in dev.ironforge("submit", "--help").stdout


def test_a_schedule_of_a_workflow_says_what_it_starts(dev: Dev, client: Client, tmp_path: Path):
    file = tmp_path / "report.toml"
    file.write_text('name = "report"\nnodes = [{ id = "a", kind = "demo.echo" }, { id = "b", kind = "demo.echo" }]\n')
    made = dev.json("schedules", "put", "shop.report", "--workflow", str(file), "--cron", "0 9 1 1 *")
    assert [node["id"] for node in made["schedule"]["workflow"]["nodes"]] == ["a", "b"]

    workflow_id = dev.ironforge("schedules", "trigger", "shop.report").stdout.strip()
    shown = dev.ironforge("schedules", "show", "shop.report").stdout
    assert "  workflow: report, 2 nodes\n" in shown
    assert f"  last workflow: {workflow_id}, " in shown
    assert f"started workflow {workflow_id} (triggered)" in " ".join(shown.split())
    drawn = dev.ironforge("workflows", "show", workflow_id).stdout
    assert "of schedule shop.report, tick " in drawn


def test_a_schedule_starts_a_job_or_a_workflow(dev: Dev):
    done = dev.ironforge("schedules", "put", "shop.report", "--cron", "0 9 1 1 *")
    assert done.stderr == "ironforge: job: the schedule has neither a kind nor a workflow: give one of them\n"
