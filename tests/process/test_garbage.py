"""What was loaded before a node begins is not looked through for garbage while it runs."""

from __future__ import annotations

import gc

from ironforge.execution import isolation


async def frozen() -> int:
    return gc.get_freeze_count()


def test_what_is_loaded_is_set_apart_while_the_loop_of_a_node_runs() -> None:
    before = len(gc.get_objects())
    assert isolation.run(frozen()) > before // 2
    assert gc.get_freeze_count() == 0
