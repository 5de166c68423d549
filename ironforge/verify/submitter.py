"""Submits jobs whose promises are more than to be run.

Before each call the ledger is told what its jobs ask for, so that it knows of those whose answer was lost as well.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, Final, TypedDict

from ironforge.errors import Duplicate, InvalidState, JobNotFound, StoreUnavailable
from ironforge.handlers.forge import Forge
from ironforge.job.limits import LimitUse
from ironforge.job.record import format_id, new_id, parse_id
from ironforge.job.unique_option import Unique
from ironforge.store import StoreClient
from ironforge.verify.handlers import KIND, Payload
from ironforge.verify.ledger import Ledger

# Fairness keys with their weights. Jobs that have one wait outside the streams, and their tenants in turn.
TENANTS: Final = (("small", 1), ("middle", 2), ("large", 5))
KEYED: Final = 0.4


class Fairness(TypedDict, total=False):
    fairness_key: str
    fairness_weight: int


class Submitter:
    """`ids`: of all jobs that it tried to submit."""

    def __init__(self, forge: Forge, store_client: StoreClient, ledger: Ledger) -> None:
        self._forge = forge
        self._store_client = store_client
        self._ledger = ledger
        self.ids: list[str] = []

    async def submit(self, payloads: Sequence[Payload], kind: str = KIND, **options: Any) -> list[str]:
        """The ids with which they were sent, whatever the answer."""
        ids = [format_id(new_id()) for _ in payloads]
        batch = [
            self._forge.prepare(kind, payload, id=job, **options) for job, payload in zip(ids, payloads, strict=True)
        ]
        limits = [LimitUse(use.name, use.key, use.units) for use in options.get("limits", ())]
        unique = options.get("unique", Unique("")).key
        to_the_end = unique if options.get("unique", Unique("")).while_ == "unfinished" else ""
        self.ids += ids
        expires_in = options.get("expires_in_seconds", 0.0)
        self._ledger.note("asked", ids, name=kind, limits=limits, unique=to_the_end, expires_in=expires_in)
        asked = time.monotonic()
        try:
            answers = await self._store_client.producer.submit(batch)
        except StoreUnavailable:
            self._ledger.note("submit_info", ids)
        except Duplicate as error:  # also where the one that it was to take the place of has started
            self._told_apart(error.job_id, unique, asked)
        else:
            for answer in answers:
                if answer.deduplicated:
                    self._told_apart(format_id(answer.id), unique, asked)
                else:
                    self._ledger.note("submit_ok", [format_id(answer.id)])
        return ids

    def _told_apart(self, job: str, unique: str, asked: float) -> None:
        self._ledger.note("told_apart", [job], unique=unique, seconds=time.monotonic() - asked)


async def cancel(store_client: StoreClient, ledger: Ledger, job: str) -> bool:
    """Whether there was an answer."""
    try:
        state = await store_client.producer.cancel(parse_id(job))
    except (InvalidState, JobNotFound):
        return True
    except StoreUnavailable:
        ledger.note("cancel_info", [job])
        return False
    ledger.note("cancel_ok", [job], name=str(state))
    return True


def fairness(rng: random.Random) -> Fairness:
    """The options of a job: those of a tenant's for some, none for most."""
    if rng.random() >= KEYED:
        return {}
    key, weight = rng.choice(TENANTS)
    return {"fairness_key": key, "fairness_weight": weight}
