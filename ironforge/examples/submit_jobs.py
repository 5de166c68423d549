"""Submit jobs over HTTP and wait for them.

    ironforge dev &
    python -m ironforge.examples.submit_jobs

The API is looked for at IRONFORGE_URL, by default http://127.0.0.1:3000.
"""

from __future__ import annotations

from ironforge import Client


def main(client: Client) -> None:
    now = client.submit("email.send", {"to": "ada@example.com", "subject": "Hello"}, priority="high")
    later = client.submit("email.send", {"to": "grace@example.com", "subject": "Later"}, delay_seconds=2)
    once = [client.submit("email.send", {"to": "alan@example.com"}, idempotency_key="welcome-alan") for _ in range(2)]
    print(f"submitted {now['id']} ({now['status']}) and {later['id']} ({later['status']})")
    print(f"the same key, the same job: {once[0]['id'] == once[1]['id']}")
    for submitted in (now, later, once[0]):
        job = client.wait(submitted["id"], timeout_seconds=30)
        print(f"{job['id']} {job['status']}: {job.get('result')}")


if __name__ == "__main__":
    with Client() as api:
        main(api)
