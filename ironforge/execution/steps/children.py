"""Children that a handler names, as submissions: by what this application and the nodes say of their kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ironforge.errors import InvalidJob
from ironforge.handlers.forge import Forge
from ironforge.job.options import JobKeywords, check_names
from ironforge.steps.calls import ChildJob
from ironforge.steps.errors import InvalidStep
from ironforge.store import Submission


async def maker(forge: Forge, children: Sequence[ChildJob]) -> Callable[[int], Submission]:
    """What makes the submission of the child with this index. It raises what `forge.prepare` raises, with the index;
    InvalidStep for what is no child."""
    as_announced = await forge.as_announced()

    def make(index: int) -> Submission:
        kind, payload, options = parts_of(children[index], index)
        try:
            check_names("a child", options, JobKeywords)
            return as_announced(forge.prepare(kind, payload, **options))
        except InvalidJob as error:
            error.index = index
            raise

    return make


def parts_of(child: ChildJob, index: int) -> tuple[Any, Any, dict[str, Any]]:
    """Kind, payload and options."""
    match child:
        case [kind, payload]:
            return kind, payload, {}
        case [kind, payload, dict(options)]:
            return kind, payload, options
    raise InvalidStep(f"child {index} is {child!r:.60}: give (kind, payload), or (kind, payload, options)")
