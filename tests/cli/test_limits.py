"""The commands about limits."""

from __future__ import annotations

from tests.cli.kit import Dev


def test_a_limit_is_defined_overridden_shown_and_deleted(dev: Dev):
    put = dev.ironforge("limits", "put", "stripe", "--concurrency", "4", "--rate", "100/2s", "--burst", "20")
    assert put.stdout + put.stderr == "limit stripe: 4 at once, 100 in 2 s, burst 20\n"
    until = ("--until", "2040-01-31T12:00:00Z", "--note", "their database is slow")
    answer = dev.json("limits", "override", "stripe", "--concurrency", "1", *until)
    assert answer["effective"]["concurrency"] == 1
    listed = dev.ironforge("limits", "list").stdout
    assert "until 2040-01-31T12:00:00.000Z, their database is slow" in listed
    shown = dev.ironforge("limits", "show", "stripe", "--key", "acct_42").stdout
    assert "  defined: 4 at once, 100 in 2 s, burst 20\n" in shown
    assert "  remaining: 1\n" in shown
    assert dev.json("limits", "override", "stripe", "--clear")["override"] is None
    assert dev.json("limits", "resume", "stripe", "--key", "acct_42")["released"] == 0
    assert dev.json("limits", "delete", "stripe") == {"name": "stripe", "deleted": True}
    gone = dev.ironforge("limits", "show", "stripe")
    assert gone.returncode == 4
    assert gone.stderr == "ironforge: there is no limit stripe: define it first (404 limit_not_found)\n"


def test_what_makes_no_sense_is_told(dev: Dev):
    both = dev.ironforge("limits", "override", "stripe", "--clear", "--concurrency", "1")
    assert (both.returncode, both.stderr) == (2, "ironforge: give --concurrency, --rate, or both, or --clear alone\n")
    rate = dev.ironforge("limits", "put", "stripe", "--rate", "often")
    assert (rate.returncode, rate.stderr) == (2, "ironforge: --rate 'often' is not UNITS/SECONDS, such as 100/1s\n")
    burst = dev.ironforge("limits", "override", "stripe", "--concurrency", "1", "--burst", "5")
    assert (burst.returncode, burst.stderr) == (2, "ironforge: --burst belongs to --rate: give that too\n")
    fifo = dev.ironforge("limits", "put", "stripe", "--concurrency", "2", "--fifo")
    assert fifo.returncode == 2
    assert "order fifo of limit stripe needs concurrency 1" in fifo.stderr


def test_a_job_is_submitted_with_its_limits(dev: Dev):
    dev.ironforge("limits", "put", "stripe", "--rate", "100/1s", "--burst", "20")
    dev.ironforge("limits", "put", "mail", "--concurrency", "2")
    used = ("--limit", "stripe:acct:42:3", "--limit", "mail:acct_42", "--limit", "plain")
    dev.ironforge("limits", "put", "plain", "--concurrency", "1")
    job = dev.json("submit", "demo.echo", "1", *used, "--wait")
    assert job["status"] == "completed"
    assert job["limits"] == [
        {"name": "stripe", "key": "acct:42", "units": 3},
        {"name": "mail", "key": "acct_42", "units": 1},
        {"name": "plain", "key": "", "units": 1},
    ]
