"""Submit ten thousand jobs in one call, all or none, and watch the queue drain.

    ironforge dev &
    python -m ironforge.examples.batch_submit [COUNT]

The API is looked for at IRONFORGE_URL, by default http://127.0.0.1:3000.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from ironforge import Client


def main(client: Client) -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    jobs: list[dict[str, Any]] = [
        {"kind": "demo.echo", "payload": {"number": number}, "priority": "low"} for number in range(count)
    ]
    started = time.perf_counter()
    ids = client.submit_many(jobs)
    print(f"{len(ids)} jobs accepted in {time.perf_counter() - started:.2f} s")
    last = client.wait(ids[-1], timeout_seconds=60)
    print(f"the last one is {last['status']} after {time.perf_counter() - started:.2f} s: {last['result']}")


if __name__ == "__main__":
    with Client() as api:
        main(api)
