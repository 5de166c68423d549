"""Faults of the links between the server and those who use it, and single replies that never arrive."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from ironforge.redis.scripts import (
    BEAT,
    FENCE,
    PARK,
    RECORD,
    REQUEUE,
    RETIRE,
    SEND_EVENT,
    SUBMIT,
    SUBMIT_NEWER,
    WAIT,
    WAKE,
)
from tests.system.chaos.installation import LOOK_SECONDS, Fault, Installation, Site
from tests.system.chaos.proxy import Mode, Proxy

MODES = (Mode.CUT, Mode.BLACK_HOLE, Mode.STALL, Mode.HALF_OPEN)
WAIT_SECONDS = 2.0
# The reply to which command is lost, and a part of the request that tells the one that is meant.
REPLIES = {
    "submit": ("EVALSHA", (SUBMIT.sha, SUBMIT_NEWER.sha)),
    "fetch": ("XREADGROUP", ("",)),
    "settle": ("EXEC", ("",)),
    "park": ("EVALSHA", (PARK.sha,)),
    "record": ("EVALSHA", (RECORD.sha,)),
    "wait": ("EVALSHA", (WAIT.sha,)),
    "wake": ("EVALSHA", (WAKE.sha,)),
    "event": ("EVALSHA", (SEND_EVENT.sha,)),
    "take-over": ("EVALSHA", (FENCE.sha, REQUEUE.sha, RETIRE.sha)),
    "beat": ("EVALSHA", (BEAT.sha,)),
}
OF_THE_SUBMITTER = ("submit", "event")


def hurt_link(mode: Mode) -> Fault:
    """The fault that puts one link, or all of them, into `mode`; PASS: they work, and are slow."""

    async def fault(here: Installation, rng: random.Random) -> Sequence[Site]:
        links = _links(here)
        proxies = [rng.choice(list(links))] if rng.random() < 0.7 else list(links)
        for proxy in proxies:
            proxy.set(mode)
            if mode is Mode.PASS:
                proxy.latency_seconds = proxy.jitter_seconds = rng.uniform(0.02, 0.2)
        await asyncio.sleep(here.settings.lease_seconds * rng.uniform(0.2, 1.5))
        for proxy in proxies:
            proxy.heal()
        return [site for proxy in proxies if (site := links[proxy])]

    return fault


def drop_reply(name: str, patience_seconds: float = 0.0) -> Fault:
    """The fault that loses up to three replies. Whoever is not told what was done must find out, without doing it
    again: this explains no repeat. `patience_seconds`: how long to wait for the first of them, where that is longer."""
    command, parts = REPLIES[name]

    async def fault(here: Installation, rng: random.Random) -> Sequence[Site] | None:
        proxies = [proxy for proxy, site in _links(here).items() if (site is None) == (name in OF_THE_SUBMITTER)]
        for proxy in proxies:
            proxy.dropped.clear()
            proxy.drop_reply(command, containing=rng.choice(parts).encode(), count=rng.randint(1, 3))
        begin = time.monotonic()
        while any(proxy.drops for proxy in proxies):
            waited = time.monotonic() - begin
            if waited > WAIT_SECONDS and (_lost(proxies) or waited > patience_seconds):
                break
            await asyncio.sleep(LOOK_SECONDS)
        lost = _lost(proxies)
        for proxy in proxies:
            proxy.heal()
        return () if lost else None

    return fault


def _lost(proxies: Sequence[Proxy]) -> bool:
    return any(proxy.dropped for proxy in proxies)


def _links(here: Installation) -> dict[Proxy, Site | None]:
    links: dict[Proxy, Site | None] = {site.proxy: site for site in here.sites if site.proxy}
    return links | ({here.proxy: None} if here.proxy else {})


FAULTS: dict[str, Fault] = {
    **{f"link-{mode}": hurt_link(mode) for mode in MODES},
    "link-latency": hurt_link(Mode.PASS),
    **{f"lost-{name}": drop_reply(name) for name in REPLIES},
}
