"""Jobs that expire, as the commands tell of them."""

from __future__ import annotations

from tests.cli.kit import Dev, eventually


def test_a_job_that_expires_is_cancelled_and_counted_apart(dev: Dev):
    late = ("submit", "demo.echo", "1", "--queue", "unserved", "--expires-in-seconds", "0.05", "--wait")
    done = dev.ironforge(*late)
    assert done.returncode == 1
    assert "expired" in done.stdout
    assert "did not complete: it is cancelled" in done.stderr
    assert "expired" in dev.ironforge("stats").stdout
    eventually(lambda: dev.json("stats")["totals"]["expired"] == 1, "it to be counted")
    refused = dev.ironforge("submit", "demo.echo", "--delay-seconds", "5", "--expires-in-seconds", "5")
    assert refused.returncode == 2
    assert "would never run" in refused.stderr
