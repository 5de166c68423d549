"""The store against a plain model: whatever doors and nodes do in whatever order, no job is lost or ends twice."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from ironforge.store import expiry
from ironforge.store.consumer import stream_selector
from tests.store.model import clock
from tests.store.model.doors import StoreClient
from tests.store.model.flow import Flow
from tests.store.model.nodes import Life


def live(machine: type[StoreClient], server: str) -> None:
    # Each takes half a second: a tenth of what others get.
    examples = int(os.environ.get("IRONFORGE_MODEL_EXAMPLES", settings.default.max_examples // 10))
    options = settings(max_examples=examples, stateful_step_count=40, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(type("OnServer", (machine,), {"url": server}), settings=options)


def test_a_life_of_a_cluster(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_selector, "LOOK_SECONDS", 0.0)
    live(Life, server)


def test_a_life_with_limits_unique_keys_kinds_and_expiry(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_selector, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(expiry, "LOOK_SECONDS", 0.0)
    clock.hold(monkeypatch)
    live(Flow, server)
