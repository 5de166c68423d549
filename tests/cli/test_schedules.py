"""The commands about schedules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.kit import Dev
from tests.support.waiting import eventually

EVERY_SECOND = ("--every-seconds", "1", "--overlap", "allow")


@pytest.fixture
def dev(dev: Dev) -> Iterator[Dev]:
    """Without schedules before and after."""
    yield dev
    for one in dev.json("schedules", "list")["schedules"]:
        dev.json("schedules", "delete", one["name"])


def put(dev: Dev, *flags: str, name: str = "report.nightly") -> Any:
    return dev.json("schedules", "put", name, "demo.echo", '{"month": "2026-11"}', *flags)


def history(dev: Dev, name: str) -> list[Any]:
    ticks: list[Any] = dev.json("schedules", "history", name)["ticks"]
    return ticks


def test_a_schedule_is_put_with_flags_for_all_its_fields(dev: Dev):
    flags = (
        *("--cron", "0 8 * * 1-5", "--cron", "0 9 * * 1-5", "--timezone", "Europe/Berlin", "--exclude", "2040-12-25"),
        *("--start", "2040-01-01T00:00:00Z", "--end", "2041-01-01T00:00:00Z", "--jitter-seconds", "30"),
        *("--overlap", "queue_one", "--catch-up", "all", "--catch-up-most", "5", "--catch-up-window-seconds", "60"),
        *("--gap", "skip", "--fold", "both", "--queue", "reports", "--max-retries", "1", "--unique", "a"),
    )
    answer = put(dev, *flags)

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
    shown = dev.ironforge("schedules", "show", "report.nightly").stdout
    assert "  cron: 0 8 * * 1-5; 0 9 * * 1-5\n" in shown
    assert "  jitter_seconds: 30\n" in shown
    assert '  job: demo.echo {"month":"2026-11"}, queue reports, max_retries 1, unique key a\n' in shown
    assert "Mon 2040-01-02 08:00:00+01:00" in shown
    assert "  warning: no node runs kind demo.echo and takes jobs from queue reports" in shown


def test_it_says_in_words_when_it_ticks(dev: Dev):
    flags = ("--cron", "0 8,9 * * 1-5", "--timezone", "Europe/Berlin")
    done = dev.ironforge("schedules", "put", "report.nightly", "demo.echo", *flags)

    assert done.stderr.startswith("report.nightly: at 08:00 and 09:00 on weekdays, Europe/Berlin; next in ")
    listed = dev.ironforge("schedules", "list").stdout.splitlines()
    assert listed[0].split() == ["NAME", "TICKS", "NEXT", "LAST", "STATE"]
    assert "  at 08:00 and 09:00 on weekdays, Europe/Berlin  in " in listed[1]
    assert listed[1].split()[-1] == "ticks"


def test_what_a_change_of_the_clock_does_is_said_beside_the_tick(dev: Dev):
    put(dev, "--cron", "30 2 * * *", "--timezone", "Europe/Berlin")
    done = dev.ironforge("schedules", "next", "report.nightly", "-n", "2", "--after", "2027-03-27T12:00:00Z")

    assert "Sun 2027-03-28 03:00:00+02:00" in done.stdout
    assert "in place of 2027-03-28 02:30: the clock is put forward past that" in done.stdout


def test_the_history_says_what_became_of_its_ticks(dev: Dev):
    put(dev, *EVERY_SECOND, name="often")
    eventually(lambda: dev.json("schedules", "history", "often")["ticks"], "a tick")
    dev.json("schedules", "pause", "often")
    [*_, first] = dev.json("schedules", "history", "often")["ticks"]

    assert f"started {first['job_id']}" in dev.ironforge("schedules", "history", "often").stdout
    shown = dev.ironforge("schedules", "show", "often").stdout
    assert "  last job: " in shown
    assert "TICK " in shown
    paged = dev.ironforge("schedules", "history", "often", "--limit", "1")
    assert len(paged.stdout.splitlines()) == 2


def test_one_that_has_not_ticked(dev: Dev):
    put(dev, "--cron", "0 9 * * *")

    assert dev.ironforge("schedules", "history", "report.nightly").stderr == "report.nightly has not ticked yet\n"


def test_one_that_does_not_tick_again(dev: Dev):
    put(dev, "--cron", "0 9 * * *", "--end", "2020-01-01T00:00:00Z")

    assert dev.ironforge("schedules", "next", "report.nightly").stderr == "report.nightly does not tick again\n"
    assert dev.ironforge("schedules", "list").stdout.split()[-1] == "ended"


def test_it_is_paused_with_a_note_and_goes_on(dev: Dev):
    put(dev, "--cron", "0 9 * * *")
    told = ("--note", "their database moves", "--until", "2040-01-31T12:00:00Z")
    paused = dev.ironforge("schedules", "pause", "report.nightly", *told)

    assert paused.stderr == "report.nightly: paused until Tue 2040-01-31 12:00:00Z: their database moves\n"
    assert dev.ironforge("schedules", "list").stdout.split()[-1] == "paused"
    resumed = dev.ironforge("schedules", "resume", "report.nightly").stderr
    assert resumed.startswith("report.nightly: at 09:00 every day, UTC; next in ")


def test_its_job_is_started_now(dev: Dev):
    put(dev, "--cron", "0 9 1 1 *")
    done = dev.ironforge("schedules", "trigger", "report.nightly")

    assert done.stderr == "report.nightly starts a job\n"
    dev.becomes(done.stdout.strip(), "completed")
    assert "(triggered)" in dev.ironforge("schedules", "history", "report.nightly").stdout


def test_a_trigger_that_starts_no_job_says_why(dev: Dev):
    put(dev, "--cron", "0 9 1 1 *", "--queue", "lonely")
    dev.ironforge("schedules", "trigger", "report.nightly")
    again = dev.ironforge("schedules", "trigger", "report.nightly")

    assert (again.returncode, again.stdout) == (5, "")
    assert again.stderr == "report.nightly starts no job: its last job had not ended\n"


def test_a_backfill_tells_what_it_will_do_and_does_it(dev: Dev):
    put(dev, "--cron", "0 9 * * *")
    asked = (
        "schedules",
        "backfill",
        "report.nightly",
        "--from",
        "2026-11-01T00:00:00Z",
        "--to",
        "2026-11-04T00:00:00Z",
    )
    tried = dev.ironforge(*asked, "--dry-run")

    assert tried.stderr == "3 jobs would start within 2.0s\n"
    assert [line.rstrip() for line in tried.stdout.splitlines()][1:] == [
        "Sun 2026-11-01 09:00:00Z",
        "Mon 2026-11-02 09:00:00Z",
        "Tue 2026-11-03 09:00:00Z",
    ]
    done = dev.ironforge(*asked, "--per-second", "100")
    assert done.stderr == "3 jobs submitted: the last starts in 0.0s\n"
    for line in done.stdout.splitlines()[1:]:
        dev.becomes(line.split()[-1], "completed")


def test_what_makes_no_sense_is_told(dev: Dev):
    never = dev.ironforge("schedules", "put", "a", "demo.echo", "--cron", "0 0 30 2 *")
    assert (never.returncode, never.stdout) == (2, "")
    assert "cron[0]: '0 0 30 2 *' never fires" in never.stderr
    gone = dev.ironforge("schedules", "show", "no.such")
    assert (gone.returncode, gone.stderr) == (
        4,
        "ironforge: there is no schedule no.such (404 schedule_not_found)\n",
    )
    assert dev.ironforge("schedules", "list").stderr == "no schedules\n"


def test_one_that_changed_meanwhile_is_not_deleted(dev: Dev):
    seen = put(dev, "--cron", "0 9 * * *")["etag"]
    put(dev, "--cron", "0 10 * * *")
    done = dev.ironforge("schedules", "delete", "report.nightly", "--etag", seen)
    assert done.returncode == 5
    assert "read it again" in done.stderr

    assert dev.ironforge("schedules", "delete", "report.nightly").stderr == "schedule report.nightly is deleted\n"


def test_a_long_list_has_pages(dev: Dev):
    put(dev, "--cron", "0 9 * * *", name="a")
    put(dev, "--cron", "0 9 * * *", name="b")
    first = dev.ironforge("schedules", "list", "--limit", "1")
    assert [line.split()[0] for line in first.stdout.splitlines()] == ["NAME", "a"]
    cursor = first.stderr.removeprefix("more with --cursor ").strip()

    assert dev.json("schedules", "list", "--cursor", cursor)["schedules"][0]["name"] == "b"
