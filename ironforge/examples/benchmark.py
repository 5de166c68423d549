"""How many jobs a second? Submits no-op jobs and waits until they are done.

    ironforge dev &
    python -m ironforge.examples.benchmark [COUNT]

The API is looked for at IRONFORGE_URL, by default http://127.0.0.1:3000.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from ironforge import Client


def main(client: Client) -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    jobs: list[dict[str, Any]] = [{"kind": "demo.noop", "retain_seconds": 60}] * count
    started = time.perf_counter()
    ids = client.submit_many(jobs)
    submitted = time.perf_counter() - started
    print(f"submitted {count} jobs in {submitted:.2f} s: {count / submitted:,.0f} jobs/s")
    # Jobs of one queue and priority start in order, so these end last.
    for job_id in ids[-100:]:
        job = client.wait(job_id, timeout_seconds=300)
        if job["status"] != "completed":
            sys.exit(f"{job_id} is {job['status']}, not completed: {job.get('errors')}")
    drained = time.perf_counter() - started
    print(f"all done after {drained:.2f} s: {count / drained:,.0f} jobs/s from submission to result")


if __name__ == "__main__":
    with Client() as api:
        main(api)
