"""Bugs of maps and of results that nodes get, planted in a node, are found by the tests of that, each by the one
that says what it breaks."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from ironforge.execution.workflows.mapping import Items
from ironforge.steps.children import Window
from ironforge.store.steps import sources
from ironforge.store.steps.children import RedisChildren
from tests.actors.node.kit import World
from tests.actors.node.workflows import test_ends as ends
from tests.actors.node.workflows import test_maps as maps
from tests.actors.node.workflows import test_results as results

pytestmark = [pytest.mark.unmeasured, pytest.mark.one_shard]


class Bug(NamedTuple):
    """`name` of `owner` becomes what `other` makes of it. `found_by`: a test that fails with it."""

    owner: Any
    name: str
    other: Callable[[Any], Any]
    found_by: Callable[[World], Awaitable[None]]


def gives(function: Callable[..., Any]) -> Callable[[Any], Any]:
    """`function` in its place."""
    return lambda _: function


def all_of(_real: Any) -> Any:
    async def unfinished(*given: Any) -> Any:
        return given[-1]

    return unfinished


def room_beside_those_that_are_open(_real: Any) -> Any:
    async def room(_: Any, submission: Any) -> int:
        return submission.window.most if submission.window else 500

    return room


few_at_once = functools.partial(maps.test_no_more_jobs_are_there_at_once_than_it_says, max_parallel=7)
BUGS = {
    "an item has two jobs, and another one none": Bug(
        Items,
        "__getitem__",
        lambda real: lambda self, at: real(self, at if isinstance(at, slice) else max(0, at - 1)),
        maps.test_each_item_has_a_job_and_results_are_in_the_order_of_items,
    ),
    "the last item is lost": Bug(
        Items,
        "__len__",
        lambda real: lambda self: max(0, real(self) - 1),
        maps.test_each_item_has_a_job_and_results_are_in_the_order_of_items,
    ),
    "items that have completed have another job after a retry": Bug(
        RedisChildren, "_unfinished", all_of, ends.test_a_map_that_is_retried_runs_the_items_again_that_did_not_complete
    ),
    "all items are there at once": Bug(Window, "of", gives(lambda *_: None), few_at_once),
    "as many again are there as there are already": Bug(
        RedisChildren, "_room", room_beside_those_that_are_open, few_at_once
    ),
    "a result of which nothing is known is null": Bug(
        sources,
        "_check_ended",
        gives(lambda *_: None),
        results.test_a_result_that_is_lost_fails_the_attempt_and_is_never_null,
    ),
    "another result is given": Bug(
        sources,
        "_result",
        gives(lambda record: record and b'{"n":1}'),
        results.test_results_are_byte_for_byte_what_was_returned,
    ),
}


@pytest.mark.parametrize("name", BUGS)
async def test_it_is_found(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    owner, place, other, found_by = BUGS[name]
    monkeypatch.setattr(owner, place, other(getattr(owner, place)))
    world.cluster.checked = False
    with pytest.raises(AssertionError):
        await found_by(world)
