"""The store against a plain model: whatever doors and nodes do in whatever order, no job is lost or ends twice."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from ironforge.redis.connection import Command, Connection
from ironforge.store import expiry
from ironforge.store.consumer import stream_selector
from ironforge.store.sharding.fan_out import FanOut
from tests.store.model import clock
from tests.store.model.bugs import BUGS, FAMILIES, STEPS
from tests.store.model.bugs import LIMITS as FOR_ALL
from tests.store.model.doors import StoreClient
from tests.store.model.families import Families
from tests.store.model.flow import Flow
from tests.store.model.nodes import Life
from tests.store.model.planting import edit
from tests.store.model.steps import Steps

pytestmark = pytest.mark.unmeasured
# Each takes half a second: a tenth of what others get.
EXAMPLES = int(os.environ.get("IRONFORGE_MODEL_EXAMPLES", settings.default.max_examples // 10))
# Among so many a planted bug is found; most are among the first five.
ENOUGH = 150


def live(machine: type[StoreClient], server: str, *, shards: int = 1, begin: int | None = None, **options: Any) -> None:
    """`begin`: the seed of chance; another one each time when left out."""
    found = settings(**{"max_examples": EXAMPLES, "stateful_step_count": 40, **options})
    lives = type("OnServer", (machine,), {"url": server, "shards": shards})
    run_state_machine_as_test(
        lives if begin is None else seed(begin)(lives),
        settings=settings(found, suppress_health_check=list(HealthCheck)),
    )


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes look at all with each call, and wait for its answer: on a busy machine the model would not know what has
    happened."""

    async def exchange(self: Connection, commands: Sequence[Command], **_: object) -> list[Any]:
        return await once(self, commands, timeout_seconds=60.0)

    once = Connection.exchange
    monkeypatch.setattr(Connection, "exchange", exchange)
    monkeypatch.setitem(FanOut.answers.__kwdefaults__, "timeout_seconds", 60.0)
    monkeypatch.setattr(stream_selector, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(stream_selector, "SUSPECTS_SECONDS", 0.0)
    monkeypatch.setattr(expiry, "LOOK_SECONDS", 0.0)


def test_a_life_of_a_cluster(server: str) -> None:
    live(Life, server)


def test_a_life_of_jobs_with_children(server: str) -> None:
    live(Families, server)


def test_a_life_of_several_shards(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.hold(monkeypatch)
    live(Flow, server, shards=3, max_examples=max(1, EXAMPLES // 3))  # each takes three times as long


def test_a_life_with_limits_unique_keys_kinds_and_expiry(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.hold(monkeypatch)
    live(Flow, server)


def test_a_life_with_steps_waits_and_events(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.hold(monkeypatch)
    live(Steps, server)


def test_a_life_with_steps_of_several_shards(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.hold(monkeypatch)
    live(Steps, server, shards=3, max_examples=max(1, EXAMPLES // 3))


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name not in FOR_ALL else ()) for name in BUGS]
)
def test_planted_bugs_are_found(server: str, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    clock.hold(monkeypatch)
    bug = BUGS[name]
    for script in bug.scripts:
        assert bug.old in script.text
        edit(monkeypatch, script, bug.old, bug.new)
    themed = type("Themed", (Steps if name in STEPS else Flow,), {"given_theme": bug.theme})
    with pytest.raises((AssertionError, KeyError, Flaky)):
        live(themed, server, begin=bug.seed, max_examples=ENOUGH, phases=[Phase.generate], database=None)


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES])
def test_planted_bugs_of_families_are_found(server: str, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    bug = FAMILIES[name]
    for script in bug.scripts:
        assert bug.old in script.text
        edit(monkeypatch, script, bug.old, bug.new)
    with pytest.raises((AssertionError, KeyError, Flaky)):
        live(Families, server, begin=bug.seed, max_examples=ENOUGH, phases=[Phase.generate], database=None)
