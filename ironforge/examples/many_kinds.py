"""An application with several kinds, typed payloads, its own backoff, and middleware around all of them.

    export IRONFORGE_REDIS_URL=redis://127.0.0.1:6379 IRONFORGE_QUEUES=default,billing
    python -m ironforge.examples.many_kinds

`ironforge node ironforge.examples.many_kinds:forge` does the same, and restarts a node that crashed.
"""

from __future__ import annotations

import hashlib
import sys
import time
from datetime import date
from typing import Annotated, Any

import msgspec

from ironforge import Backoff, Context, Discard, Forge, Retry
from ironforge.middleware import CallNext
from ironforge.node import run_node

forge = Forge()


class Invoice(msgspec.Struct, forbid_unknown_fields=True):
    customer: str
    due: date
    cents: Annotated[int, msgspec.Meta(gt=0)]


@forge.middleware
async def log_duration(context: Context, call_next: CallNext) -> Any:
    started = time.monotonic()
    try:
        return await call_next()
    finally:
        context.logger.info("handled", seconds=round(time.monotonic() - started, 3))


@forge.job("invoice.send", priority="high", queue="billing", backoff=Backoff(base_seconds=10, factor=3))
async def send_invoice(invoice: Invoice, context: Context) -> dict[str, str]:
    if invoice.due < date.today():  # noqa: DTZ011 - due dates are local to the customer
        raise Discard(f"the invoice was due on {invoice.due}")
    return {"number": context.idempotency_key[:8], "customer": invoice.customer}


@forge.job("report.import", max_retries=10)
async def import_report(url: str, *, rows: int = 0) -> Any:
    """Retry and Discard may be returned as well as raised."""
    return rows if url.startswith("https://") else Retry(after=60, reason="the mirror has no https yet")


@forge.job("file.digest", executor="process", timeout_seconds=60)
def digest(text: str, rounds: int = 100_000) -> str:
    return hashlib.pbkdf2_hmac("sha256", text.encode(), b"ironforge", rounds).hex()


if __name__ == "__main__":
    sys.exit(run_node(forge))
