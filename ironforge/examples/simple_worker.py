"""The smallest node: one handler, run until Ctrl-C.

    redis-server --appendonly yes &
    IRONFORGE_REDIS_URL=redis://127.0.0.1:6379 python -m ironforge.examples.simple_worker

Submit to it with `python -m ironforge.examples.submit_jobs`, or over HTTP (`ironforge api`).
"""

from __future__ import annotations

import sys

from ironforge import Context, Forge
from ironforge.node import run_node

forge = Forge()


@forge.job("email.send", timeout_seconds=30, max_retries=5)
async def send_email(context: Context, to: str, subject: str = "", body: str = "") -> dict[str, str]:
    context.logger.info("email sent", to=to, subject=subject, characters=len(body))
    return {"sent_to": to}


if __name__ == "__main__":
    sys.exit(run_node(forge))
