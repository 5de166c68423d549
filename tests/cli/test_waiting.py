"""The terminal says why jobs wait, in words."""

from __future__ import annotations

import re

from tests.cli.kit import Dev
from tests.support.waiting import eventually

LIMIT = ("--limit", "mail:acct_7")


def test_a_job_behind_a_limit_and_one_that_no_node_takes_say_what_they_wait_for(dev: Dev):
    dev.ironforge("limits", "put", "mail", "--rate", "1/3600s", "--burst", "1")
    first, second = [dev.json("submit", "demo.echo", "1", *LIMIT)["id"] for _ in range(2)]
    dev.becomes(first, "completed")
    shown = dev.ironforge("jobs", "show", second).stdout
    assert "limit mail lets no more of key acct_7 start now" in shown
    assert "mail, key acct_7" in shown
    elsewhere = dev.json("submit", "demo.echo", "1", "--queue", "nowhere")["id"]
    (listed,) = [
        line for line in dev.ironforge("jobs", "list", "--queue", "nowhere").stdout.splitlines() if elsewhere in line
    ]
    assert "no running node serves queue nowhere" in listed
    # Jobs of other tests may wait for nodes too.
    told = re.compile(r"no running node serves queue: .*\bnowhere\b")
    eventually(lambda: told.search(dev.ironforge("stats").stdout), "counts that were read after the submission")
    key = dev.ironforge("limits", "show", "mail", "--key", "acct_7").stdout
    assert "  key: acct_7\n  running: 0\n  waiting: 1\n  remaining: 0\n" in key
    for job_id in (second, elsewhere):
        dev.ironforge("jobs", "cancel", job_id)
