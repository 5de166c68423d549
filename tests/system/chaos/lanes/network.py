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
        begin = time.monotonic()
        part, count = rng.choice(parts).encode(), rng.randint(1, 3)
        while not (lost := await _lose(proxies, command, part, count)) and time.monotonic() - begin < patience_seconds:
            pass  # whoever had asked had gone before there was a reply
        for proxy in proxies:
            proxy.heal()
        return () if lost else None

    return fault


async def _lose(proxies: Sequence[Proxy], command: str, part: bytes, count: int) -> bool:
    """Whether any reply was lost, of so many that are to be on each link."""
    for proxy in proxies:
        proxy.drops.clear()
        proxy.drop_reply(command, containing=part, count=count)
    deadline = time.monotonic() + WAIT_SECONDS
    while any(len(proxy.dropped) < count for proxy in proxies) and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
    return any(proxy.dropped for proxy in proxies)


def _links(here: Installation) -> dict[Proxy, Site | None]:
    links: dict[Proxy, Site | None] = {site.proxy: site for site in here.sites if site.proxy}
    return links | ({here.proxy: None} if here.proxy else {})


FAULTS: dict[str, Fault] = {
    **{f"link-{mode}": hurt_link(mode) for mode in MODES},
    "link-latency": hurt_link(Mode.PASS),
    **{f"lost-{name}": drop_reply(name) for name in REPLIES},
}
