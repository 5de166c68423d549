"""Commands that use the API: their output, their JSON, their exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from ironforge.cli import app, output
from ironforge.errors import IronForgeError, StoreUnavailable
from tests.cli.kit import IRONFORGE, Dev, Service, environment, eventually, ironforge

UNKNOWN_ID = "01a20cc7-0a48-7730-ba48-55917afb18c7"


@pytest.fixture
def dead(dev: Dev) -> str:
    job_id = dev.submit("demo.fail", {"message": "[red]no\x1b[2J"}, max_retries=0)
    dev.becomes(job_id, "dead")
    return job_id


def test_submit_prints_the_id_and_show_the_job(dev: Dev):
    done = dev.ironforge(
        "submit", "demo.echo", '{"a": 1}', "--priority", "high", "--max-retries", "7", "--fairness-key", "a"
    )
    job_id = done.stdout.strip()
    dev.becomes(job_id, "completed")
    shown = dev.json("jobs", "show", job_id)
    assert shown["kind"] == "demo.echo"
    assert shown["priority"] == "high"
    assert shown["max_retries"] == 7
    assert shown["result"] == {"a": 1}
    assert job_id in dev.ironforge("jobs", "show", job_id).stdout


def test_submit_reads_a_payload_from_stdin_and_sends_every_digit(dev: Dev):
    done = dev.ironforge("submit", "demo.echo", "-", "--delay-seconds", "600", stdin=b"12345678901234567890.123")
    assert b"12345678901234567890.123" in dev.get(f"/jobs/{done.stdout.strip()}")


def test_submit_with_an_idempotency_key_submits_once(dev: Dev):
    arguments = ("submit", "demo.noop", "--idempotency-key", "once", "--retain-seconds", "60")
    assert dev.json(*arguments)["id"] == dev.json(*arguments)["id"]
    other = dev.ironforge("submit", "demo.echo", "--idempotency-key", "once")
    assert other.returncode == 5


def test_wait_ends_with_0_when_the_job_completed_and_with_1_when_it_did_not(dev: Dev):
    assert dev.json("submit", "demo.echo", "[3]", "--wait")["result"] == [3]
    failed = dev.ironforge("submit", "demo.fail", "--wait", "--max-retries", "0")
    assert failed.returncode == 1
    assert "RuntimeError: this job always fails" in failed.stdout
    assert "did not complete: it is dead" in failed.stderr


def test_jobs_are_listed_page_by_page(dev: Dev):
    made = {dev.submit("demo.paged", delay_seconds=600) for _ in range(3)}
    first = dev.json("jobs", "list", "--kind", "demo.paged", "--state", "scheduled", "--limit", "2")
    rest = dev.json(
        "jobs", "list", "--kind", "demo.paged", "--limit", "2", "--state", "scheduled", "--cursor", first["next"]
    )
    assert made == {job["id"] for job in first["jobs"] + rest["jobs"]}
    listed = dev.ironforge("jobs", "list", "--kind", "demo.paged", "--limit", "2")
    assert "--cursor" in listed.stderr
    assert "due 2" in listed.stdout
    assert "no jobs" in dev.ironforge("jobs", "list", "--kind", "no.such").stderr


def test_cancel_says_what_happened_and_5_when_it_is_too_late(dev: Dev):
    job_id = dev.submit("demo.noop", delay_seconds=600)
    assert dev.json("jobs", "cancel", job_id)["status"] == "cancelled"
    again = dev.ironforge("jobs", "cancel", job_id)
    assert again.returncode == 5
    running = dev.submit("demo.sleep", {"seconds": 600})
    dev.becomes(running, "running")
    assert "on " in dev.ironforge("jobs", "list", "--state", "running").stdout
    assert "told to stop" in dev.ironforge("jobs", "cancel", running).stderr
    dev.becomes(running, "cancelled")


def test_retry_puts_a_dead_job_back(dev: Dev, dead: str):
    assert "queued again" in dev.ironforge("jobs", "retry", dead, "--keep-retry-count").stderr
    dev.becomes(dead, "dead")
    assert dev.json("jobs", "show", dead)["attempts"] == 2
    assert dev.json("dlq", "retry", dead)["id"] == dead


def test_the_dead_letter_is_listed_without_letting_its_messages_steer_the_terminal(dev: Dev, dead: str):
    listed = dev.ironforge("dlq", "list", "--kind", "demo.fail").stdout
    assert dead in listed
    assert r"RuntimeError: [red]no\x1b[2J" in listed
    shown = dev.ironforge("jobs", "show", dead).stdout
    assert "\x1b" not in shown
    assert "[red]no" in shown


def test_json_carries_what_would_steer_a_terminal_or_turn_it_around_as_escapes(dev: Dev):
    hostile = "[red]\x1b]8;;http://evil.example\x1b\\\x7f\x9b31m\u202e\u2066\u200b für"
    job_id = dev.submit("demo.echo", {hostile: hostile}, delay_seconds=600)
    for arguments in (("jobs", "show", job_id), ("jobs", "list", "--state", "scheduled")):
        assert dev.ironforge(*arguments, "--json").stdout.rstrip("\n").isprintable()
        assert dev.ironforge(*arguments).stdout.replace("\n", "").isprintable()
    assert dev.json("jobs", "show", job_id)["payload"] == {hostile: hostile}


def test_a_traceback_for_the_author_of_a_bug_is_printable_too(capsys, monkeypatch):
    monkeypatch.setenv("IRONFORGE_LOG_LEVEL", "debug")
    app.explain(RuntimeError("\x1b[2J"))
    assert "\x1b" not in capsys.readouterr().err


def test_error_and_reason_are_told_once(dev: Dev):
    job_id = dev.submit("demo.fail", {"message": "told once"}, max_retries=0)
    dev.becomes(job_id, "dead")
    [told] = [
        line for line in dev.ironforge("dlq", "list", "--kind", "demo.fail").stdout.splitlines() if job_id in line
    ]
    assert told.count("told once") == 1
    assert told.count("gave up after") == 1


def test_a_job_of_a_kind_that_no_node_knows_waits_and_says_so(dev: Dev):
    job_id = dev.submit("no.such.kind")
    eventually(lambda: (dev.json("jobs", "show", job_id)["waiting_for"] or {}).get("until"), "the node to decline it")
    shown = dev.json("jobs", "show", job_id)
    assert (shown["status"], shown["waiting_for"]["code"]) == ("queued", "no_node_for_kind")


def test_there_are_more_only_where_there_are(dev: Dev):
    for _ in range(2):
        dev.submit("demo.two", delay_seconds=600)
    assert "there are more: --cursor" in dev.ironforge("jobs", "list", "--kind", "demo.two", "--limit", "1").stderr
    assert dev.ironforge("jobs", "list", "--kind", "demo.two", "--limit", "2").stderr == ""
    assert dev.ironforge("jobs", "list", "--kind", "demo.none", "--limit", "1").stderr == "no jobs\n"


def test_dlq_retry_all_retries_each_once(dev: Dev):
    made = [dev.submit("demo.fail", max_retries=0, queue="default", priority="low") for _ in range(20)]
    for job_id in made:
        dev.becomes(job_id, "dead")
    answer = dev.json("dlq", "retry", "--all", "--kind", "demo.fail")
    assert answer["retried"] >= len(made)
    for job_id in made:
        eventually(lambda job_id=job_id: json.loads(dev.get(f"/jobs/{job_id}"))["fence"] == 3, "a second run")
    assert "0 jobs queued again" in dev.ironforge("dlq", "retry", "--all", "--kind", "no.such").stderr


@pytest.mark.parametrize("arguments", [(), (UNKNOWN_ID, "--all"), (UNKNOWN_ID, "--kind", "a.kind")])
def test_dlq_retry_wants_one_job_or_all(arguments: tuple[str, ...]):
    assert ironforge("dlq", "retry", *arguments).returncode == 2


def test_stats_show_depths_and_totals(dev: Dev):
    assert {"queues", "totals", "dlq_depth"} <= dev.json("stats").keys()
    table = dev.ironforge("stats").stdout
    assert "QUEUE" in table
    assert "submitted" in table


def test_a_queue_is_paused_and_resumed(dev: Dev):
    assert dev.json("queues", "pause", "demo-idle") == {"queue": "demo-idle", "paused": True}
    assert "queue demo-idle is paused" in dev.ironforge("queues", "pause", "demo-idle").stderr
    assert dev.json("stats")["paused"] == ["demo-idle"]
    assert "paused: demo-idle" in dev.ironforge("stats").stdout
    eventually(lambda: b'ironforge_queue_paused{queue="demo-idle"} 1' in dev.get("/metrics"), "the metric")
    assert "queue demo-idle is not paused" in dev.ironforge("queues", "resume", "demo-idle").stderr
    assert dev.json("queues", "resume", "demo-idle") == {"queue": "demo-idle", "paused": False}
    assert "paused" not in dev.ironforge("stats").stdout
    wrong = dev.ironforge("queues", "pause", "no/name")
    assert wrong.returncode == 2
    assert "is not a name" in wrong.stderr


@pytest.mark.parametrize("arguments", [("stats", "--watch", "--json"), ("stats", "--watch")])
def test_stats_go_on_until_ctrl_c(dev: Dev, arguments: tuple[str, ...]):
    with Service(*arguments, url=dev.url) as watching:
        eventually(lambda: sum("queue" in line.lower() for line in list(watching.stdout)) >= 2, "two answers")
        watching.signal(signal.SIGINT)
        assert watching.ended() == 0
    if "--json" in arguments:
        assert all("queues" in json.loads(line) for line in watching.stdout)


def test_stats_on_a_terminal_are_drawn_in_place(dev: Dev):
    ours, theirs = os.openpty()
    with subprocess.Popen([*IRONFORGE, "stats", "--watch"], env=environment(url=dev.url), stdout=theirs) as watching:
        os.close(theirs)
        drawn = b""
        while drawn.count(b"QUEUED") < 2:
            drawn += os.read(ours, 65_536)
        watching.send_signal(signal.SIGINT)
    os.close(ours)
    assert watching.returncode == 0
    assert b"\x1b[1A" in drawn


def test_nodes_are_listed(dev: Dev):
    assert len(dev.json("nodes")["nodes"]) == 1
    assert "LEASE" in dev.ironforge("nodes").stdout


def test_a_job_that_does_not_exist_is_4(dev: Dev):
    for arguments in (("jobs", "show"), ("jobs", "cancel"), ("jobs", "retry"), ("dlq", "retry")):
        done = dev.ironforge(*arguments, UNKNOWN_ID)
        assert done.returncode == 4
        assert "there is no job" in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("submit", "demo.echo", "{"), "the payload is not JSON"),
        (("submit", "demo.echo", '{"a": [NaN]}'), "payload.a[0]: NaN is not a JSON number: use null or a text"),
        (("submit", "not a kind"), "kind"),
        (("submit", "demo.noop", "--priority", "urgent"), "priority"),
        (("submit", "demo.noop", "--max-retries", "many"), "max-retries"),
        (("jobs", "show", "nonsense"), "is not a job id"),
        (("jobs", "list", "--state", "nonsense"), "state"),
        (("jobs", "list", "--cursor", "nonsense"), "cursor"),
        (("dev", "--concurrency", "0"), "out of range"),
        (("dev", "--log-level", "loud"), "is not one of"),
        (("nonsense",), "nonsense"),
    ],
)
def test_wrong_usage_is_2_and_names_the_culprit(dev: Dev, arguments: tuple[str, ...], message: str):
    done = dev.ironforge(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [("stats",), ("submit", "demo.noop")])
def test_an_api_that_does_not_answer_is_3(arguments: tuple[str, ...]):
    done = ironforge(*arguments, url="http://127.0.0.1:1")
    assert done.returncode == 3
    assert "no answer from http://127.0.0.1:1 (IRONFORGE_URL, --url or url= gives another address): " in done.stderr


def test_version_and_help_need_no_server():
    assert ironforge("version").stdout == "0.1.0\n"
    assert "Exit codes:" in ironforge("--help").stdout
    assert "IRONFORGE_CONCURRENCY, default 64" in " ".join(ironforge("node", "--help").stdout.replace("│", "").split())


def test_what_is_slow_to_import_is_not_imported_for_the_version():
    source = "import sys, ironforge.cli.app; print({'aiohttp', 'redis', 'uvloop', 'actors'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", source], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_reader_that_has_seen_enough_is_no_error(dev: Dev):
    with subprocess.Popen(
        [*IRONFORGE, "jobs", "list", "--json"],
        env=environment(url=dev.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as listing:
        assert listing.stdout is not None
        listing.stdout.close()
        assert listing.stderr is not None
        assert listing.stderr.read() == b""
    assert listing.returncode == 1


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (StoreUnavailable("the store is away"), 3, "ironforge: the store is away\n"),
        (IronForgeError("no luck"), 1, "ironforge: no luck\n"),
        (ValueError("odd"), 1, "ironforge: unexpected ValueError: odd\n"),
    ],
)
def test_an_error_is_a_line_and_a_code(error: Exception, code: int, message: str, capsys: pytest.CaptureFixture[str]):
    assert code == app.explain(error)
    assert capsys.readouterr().err.startswith(message)


def test_debugging_shows_where_an_error_happened(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("IRONFORGE_LOG_LEVEL", "debug")
    app.explain(ValueError("odd"))
    assert "\nValueError: odd\n" in "\n" + capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (-1.0, "0.0s"), (59.94, "59.9s"), (60, "1m00s"), (3_661, "1h01m"), (90_000, "1d01h")],
)
def test_durations_show_their_two_largest_units(seconds: float | None, text: str):
    assert text == output.duration(seconds)


def test_ages_count_from_a_time_with_a_zone():
    assert output.age((datetime.now(UTC) - timedelta(hours=2, minutes=3)).isoformat()) == "2h03m"
