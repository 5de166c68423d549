"""Limits that an application defines."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge import Forge, Rate
from ironforge.errors import ConfigError
from ironforge.job.limits import Limit


def test_an_application_defines_limits() -> None:
    forge = Forge()
    forge.limit("stripe", rate=Rate(100, per_seconds=1, burst=20))
    forge.limit("account", concurrency=1, order="fifo", on_failure="park")
    assert forge.limits == {
        "stripe": Limit(rate=Rate(100, 1, 20)),
        "account": Limit(concurrency=1, order="fifo", on_failure="park"),
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "limits nothing"),
        ({"concurrency": 0}, ">= 1"),
        ({"concurrency": 2, "order": "fifo"}, "needs concurrency 1"),
        ({"rate": Rate(0)}, ">= 1"),
    ],
)
def test_a_definition_that_makes_no_sense(given: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Forge().limit("stripe", **given)


def test_a_limit_is_defined_once_and_before_a_node_runs() -> None:
    forge = Forge()
    forge.limit("stripe", concurrency=1)
    with pytest.raises(ConfigError, match="defined twice"):
        forge.limit("stripe", concurrency=2)
    forge.freeze()
    with pytest.raises(ConfigError, match="no more registrations"):
        forge.limit("other", concurrency=2)
