"""What surrounds the jobs: something that handlers share, a hook for dead jobs, middleware for what is submitted.

    export IRONFORGE_REDIS_URL=redis://127.0.0.1:6379
    python -m ironforge.examples.lifecycle

Submit to it over HTTP (`ironforge api`): `ironforge submit order.place '{"customer": "ada@example.com"}'`.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

from ironforge import Context, Forge
from ironforge.events import JobDead
from ironforge.middleware import CallNextSubmission, SubmissionCall
from ironforge.node import run_node

forge = Forge()


class Outbox:
    """Stands for a connection to a mail service."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, to: str, text: str) -> None:
        self.sent.append(f"{to}: {text}")


@forge.lifespan
async def outbox() -> AsyncIterator[Outbox]:
    yield Outbox()  # what follows would run after the last job: close it there


@forge.submission_middleware
async def keep_longer(call: SubmissionCall, call_next: CallNextSubmission) -> list[str]:
    call.options.setdefault("retain_seconds", 86_400)
    return await call_next()


@forge.on("job_dead")
async def alert(event: JobDead, outbox: Outbox) -> None:
    await outbox.send("operator@example.com", f"{event.kind} {event.job_id} is dead: {event.reason}")


@forge.job("order.place")
async def place_order(customer: str, context: Context) -> None:
    await forge.submit("order.confirm", {"customer": customer}, idempotency_key=f"{context.id}:confirm")


@forge.job("order.confirm", max_retries=3)
async def confirm_order(customer: str, outbox: Outbox) -> None:
    await outbox.send(customer, "thank you for your order")


if __name__ == "__main__":
    sys.exit(run_node(forge))
