"""Whatever is done to jobs and limits: each operation prepares what it needs, and returns what is to be done then."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ironforge.job.limits import LimitUse
from ironforge.job.record import Job, new_id
from ironforge.job.uniqueness import UniqueUse
from tests.store import kit
from tests.store.spoiling.world import World

Act = Callable[[], Awaitable[Any]]
Prepare = Callable[[World], Awaitable[Act]]
Make = Callable[[], Job]
OPERATIONS: dict[str, Prepare] = {}


def operation(prepare: Prepare) -> Prepare:
    OPERATIONS[prepare.__name__] = prepare
    return prepare


def with_each(*kinds: Make) -> Callable[[Callable[..., Awaitable[Act]]], Callable[..., Awaitable[Act]]]:
    """An operation for each kind of job; `make` makes one."""

    def register(prepare: Callable[..., Awaitable[Act]]) -> Callable[..., Awaitable[Act]]:
        for make in kinds:
            OPERATIONS[f"{prepare.__name__}_{make.__name__}"] = functools.partial(prepare, make=make)
        return prepare

    return register


def job(*limits: str, unique: UniqueUse | None = None, **fields: Any) -> Job:
    """Created long ago, all in one minute."""
    uses = tuple(LimitUse(name, "a") for name in limits)
    one = kit.job(id=kit.early(), limits=uses, **fields)
    return msgspec.structs.replace(one, unique=unique, version=2 if uses or unique else 1)


def plain() -> Job:
    return job()


def fair() -> Job:
    return job(fairness_key="f")


def limited() -> Job:
    return job("one")


def several() -> Job:
    return job("one", "two", "fast", fairness_key="f")


def parking() -> Job:
    return job("park", unique=UniqueUse(new_id().hex()))


def rated() -> Job:
    return job("fast", "one")


def slow() -> Job:
    return job("slow")


KINDS = (fair, several, parking)
